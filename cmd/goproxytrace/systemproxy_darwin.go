package main

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"strings"
	"time"

	"goproxytrace/live/command"
)

// systemProxy is the proxy for https in the system's settings, empty for none.
// The go command does not read them.
func systemProxy(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	b, err := command.Output(ctx, command.Options{Args: []string{"/usr/sbin/scutil", "--proxy"}}, 1<<20)
	if err != nil {
		return ""
	}
	values := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), " : "); ok {
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	switch {
	case values["HTTPSEnable"] == "1" && values["HTTPSProxy"] != "":
		if values["HTTPSPort"] == "" {
			return values["HTTPSProxy"]
		}
		return net.JoinHostPort(values["HTTPSProxy"], values["HTTPSPort"])
	case values["ProxyAutoConfigEnable"] == "1":
		return "a script at " + values["ProxyAutoConfigURLString"]
	}
	return ""
}
