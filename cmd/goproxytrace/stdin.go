package main

import (
	"context"
	"io"
	"os"

	"golang.org/x/term"
)

// stdinSource prepares standard input for reading: a file is read as such,
// with its size; a pipe in a way that an interrupt ends, since nothing else
// ends a read from a pipe that nobody writes to. A terminal holds no capture.
func stdinSource(ctx context.Context, in io.Reader) (io.Reader, int64, error) {
	if f, ok := in.(*os.File); ok {
		st, err := f.Stat()
		switch {
		case err != nil: // reading tells
		case st.Mode().IsRegular():
			return in, max(st.Size(), 1), nil
		case st.Mode()&os.ModeCharDevice != 0 && term.IsTerminal(int(f.Fd())):
			return nil, 0, withHint(usagef("standard input is a terminal, which holds no capture"),
				"name a file, or give it one: tcpdump -w - | goproxytrace analyze -")
		}
	}
	return newPipeReader(ctx, in), 0, nil
}

// pipeReader reads from a pipe until ctx is cancelled.
type pipeReader struct {
	ctx   context.Context
	free  chan []byte
	full  chan []byte
	err   error // valid once full is closed
	chunk []byte
	rest  []byte
}

const pipeChunk = 256 << 10

func newPipeReader(ctx context.Context, in io.Reader) *pipeReader {
	p := &pipeReader{ctx: ctx, free: make(chan []byte, 2), full: make(chan []byte, 2)}
	p.free <- make([]byte, pipeChunk)
	p.free <- make([]byte, pipeChunk)
	go func() {
		defer close(p.full)
		for {
			var b []byte
			select {
			case b = <-p.free:
			case <-ctx.Done():
				return
			}
			n, err := in.Read(b[:pipeChunk])
			p.full <- b[:n] // never blocks: there are as many places as chunks
			if err != nil {
				p.err = err
				return
			}
		}
	}()
	return p
}

func (p *pipeReader) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.chunk != nil {
			p.free <- p.chunk
			p.chunk = nil
		}
		select {
		case c, ok := <-p.full:
			if !ok {
				if p.err == nil {
					return 0, p.ctx.Err()
				}
				return 0, p.err
			}
			p.chunk, p.rest = c, c
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
