//go:build !linux

package lab

import (
	"context"
	"errors"
)

// Lab is the network of one running scenario.
type Lab struct{}

// Forward puts a statement in front of the router's forward chain.
func (l *Lab) Forward(string) error { return errors.ErrUnsupported }

// Missing names what this machine lacks for the lab; empty means ready.
func Missing() []string { return []string{"Linux"} }

// Run plays a scenario and leaves its capture in dir as NAME.pcapng.
func Run(context.Context, Scenario, string) (*Result, error) { return nil, errors.ErrUnsupported }
