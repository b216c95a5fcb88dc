//go:build linux

package lab

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Hooks for Site.Accept, Site.Hello and Tunnel.

// ResetAtOnce resets a new connection.
func ResetAtOnce(_ context.Context, c *net.TCPConn) bool {
	c.SetLinger(0)
	c.Close()
	return true
}

// Silent reads on and never answers: the kernel acknowledges, the program does
// not speak.
func Silent(ctx context.Context, c *net.TCPConn, _ []byte) bool {
	<-ctx.Done()
	return true
}

// ResetAfterHello ends the connection with a reset.
func ResetAfterHello(ctx context.Context, c *net.TCPConn, _ []byte) bool {
	pause(ctx, 20*time.Millisecond)
	c.SetLinger(0)
	c.Close()
	return true
}

// CloseAfterHello ends the connection with FIN.
func CloseAfterHello(ctx context.Context, c *net.TCPConn, _ []byte) bool {
	pause(ctx, 20*time.Millisecond)
	c.Close()
	return true
}

// Answer writes fixed bytes and closes.
func Answer(text string) func(context.Context, *net.TCPConn, []byte) bool {
	return func(ctx context.Context, c *net.TCPConn, _ []byte) bool {
		pause(ctx, 20*time.Millisecond)
		io.WriteString(c, text)
		c.CloseWrite()
		pause(ctx, 200*time.Millisecond)
		c.Close()
		return true
	}
}

// Alert writes a fatal alert in clear and closes (RFC 8446, section 6).
func Alert(number byte) func(context.Context, *net.TCPConn, []byte) bool {
	return Answer(string([]byte{21, 3, 3, 0, 2, 2, number}))
}

// Refuse answers CONNECT with a status.
func Refuse(status int, header string) func(context.Context, *net.TCPConn, string) bool {
	return func(ctx context.Context, c *net.TCPConn, _ string) bool {
		fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status, http.StatusText(status), header)
		c.CloseWrite()
		pause(ctx, 200*time.Millisecond)
		return true
	}
}

// Hooks for Site.Request.

type request = func(ctx context.Context, l *Lab, w http.ResponseWriter, r *http.Request) bool

// For narrows a hook to paths with this ending.
func For(ending string, hook request) request {
	return func(ctx context.Context, l *Lab, w http.ResponseWriter, r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, ending) && hook(ctx, l, w, r)
	}
}

// Status answers with an error.
func Status(code int) request {
	return func(_ context.Context, _ *Lab, w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, http.StatusText(code), code)
		return true
	}
}

// Think waits before the answer.
func Think(d time.Duration) request {
	return func(ctx context.Context, _ *Lab, _ http.ResponseWriter, _ *http.Request) bool {
		pause(ctx, d)
		return false
	}
}

// NoAnswer never answers.
func NoAnswer(ctx context.Context, _ *Lab, _ http.ResponseWriter, _ *http.Request) bool {
	<-ctx.Done()
	return true
}

// CutThenThink cuts the path when the request's acknowledgement is back.
func CutThenThink(ctx context.Context, l *Lab, _ http.ResponseWriter, _ *http.Request) bool {
	pause(ctx, l.calm())
	l.Cut()
	<-ctx.Done()
	return true
}

// InterruptThenThink interrupts the go command and never answers.
func InterruptThenThink(ctx context.Context, l *Lab, _ http.ResponseWriter, _ *http.Request) bool {
	pause(ctx, time.Second)
	l.Interrupt()
	<-ctx.Done()
	return true
}

// RedirectTo sends the client to the same path of another site.
func RedirectTo(name string) request {
	return func(_ context.Context, _ *Lab, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "https://"+name+r.URL.Path, http.StatusFound)
		return true
	}
}

// Hooks for Site.Body.

// StopBody sends no more of it.
func StopBody(ctx context.Context, _ *Lab, _ *net.TCPConn) { <-ctx.Done() }

// PauseBody sends the rest later.
func PauseBody(d time.Duration) func(context.Context, *Lab, *net.TCPConn) {
	return func(ctx context.Context, _ *Lab, _ *net.TCPConn) { pause(ctx, d) }
}

// ResetBody resets the connection when the client has what was sent.
func ResetBody(ctx context.Context, l *Lab, c *net.TCPConn) {
	l.end(ctx, c)
	c.SetLinger(0)
	c.Close()
}

// CloseBody ends the connection with FIN when the client has what was sent.
func CloseBody(ctx context.Context, l *Lab, c *net.TCPConn) {
	l.end(ctx, c)
	c.CloseWrite()
	// Closing with something unread would reset the connection.
	pause(ctx, 200*time.Millisecond)
	c.Close()
}

// LoseBody cuts the path when the client has what was sent: what arrives no
// more leaves no hole.
func LoseBody(ctx context.Context, l *Lab, c *net.TCPConn) {
	l.quiet(ctx, c)
	l.Cut()
	<-ctx.Done()
}

// Hooks for Scenario.While.

// OtherDownload is a program beside the go command that asks a site for a path.
func OtherDownload(after time.Duration, name, path string) func(context.Context, *Lab) {
	return func(ctx context.Context, l *Lab) {
		pause(ctx, after)
		l.Client(func() {
			c, err := tls.Dial("tcp", net.JoinHostPort(siteAddrs[name].v4.String(), "443"),
				&tls.Config{ServerName: name, InsecureSkipVerify: true}) // the lab's own authority is not this program's
			if err != nil {
				return
			}
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, name)
			io.Copy(io.Discard, c)
		})
	}
}
