package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"goproxytrace/capture/nic"
	"goproxytrace/internal/terminal"
)

func newInterfacesCommand(std streams) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "interfaces",
		Short: "List the network interfaces to capture on",
		Long: `Interfaces lists the network interfaces with the numbers and names that live -i
takes. Those marked with a star are captured on unless -i names others: they
carry the default routes, or are loopback.

Exit codes: 0 done, 1 error, 2 wrong command line.`,
		Example: `  goproxytrace interfaces
  goproxytrace live -i 2 -- go mod download`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return listInterfaces(std, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// listed is an interface as it is listed.
type listed struct {
	Number      int      `json:"number"`
	Name        string   `json:"name"`
	Friendly    string   `json:"friendly_name,omitempty"`
	Description string   `json:"description,omitempty"`
	Addresses   []string `json:"addresses"`
	Up          bool     `json:"up"`
	Loopback    bool     `json:"loopback"`
	// Default is true where it is captured on without -i.
	Default bool   `json:"default"`
	MTU     int    `json:"mtu,omitempty"`
	GUID    string `json:"guid,omitempty"`
	// Unreadable says why it cannot be captured on.
	Unreadable string `json:"unreadable,omitempty"`
}

func listInterfaces(std streams, asJSON bool) error {
	list, err := nic.List()
	if err != nil {
		return fmt.Errorf("interfaces: %w", err)
	}
	standard, err := nic.Default()
	if err != nil {
		return fmt.Errorf("interfaces: %w", err)
	}
	out := []listed{}
	for _, i := range list {
		l := listed{
			Number: i.Number, Name: i.Name, Friendly: i.FriendlyName, Description: i.Description, Addresses: []string{},
			Up: i.Up, Loopback: i.Loopback, MTU: i.MTU, GUID: i.GUID, Unreadable: i.Unreadable,
			Default: slices.ContainsFunc(standard, func(s nic.Interface) bool { return s.Name == i.Name }),
		}
		for _, a := range i.Addresses {
			l.Addresses = append(l.Addresses, a.String())
		}
		out = append(out, l)
	}
	if asJSON {
		return writeIndented(std.out, out)
	}
	o := terminal.Detect(std.out, terminal.Never, os.Getenv)
	rows := [][]string{}
	for _, l := range out {
		mark, state := " ", []string{}
		if l.Default {
			mark = "*"
		}
		if !l.Up {
			state = append(state, "down")
		}
		if l.Loopback {
			state = append(state, "loopback")
		}
		if l.Unreadable != "" {
			state = append(state, l.Unreadable)
		}
		if l.Friendly != "" {
			state = append([]string{l.Friendly}, state...)
		} else if l.Description != "" {
			state = append([]string{l.Description}, state...)
		}
		rows = append(rows, []string{fmt.Sprintf("%d%s", l.Number, mark), o.Text(l.Name), o.Text(strings.Join(l.Addresses, " ")), o.Text(strings.Join(state, ", "))})
	}
	return writeColumns(std.out, rows)
}

// writeIndented writes JSON for people and programs.
func writeIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// writeColumns writes rows with their columns aligned.
func writeColumns(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], terminal.Width(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-terminal.Width(cell)+2))
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}
