//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func measure(context.Context, *options, []string, io.Writer, io.Writer) error {
	return errors.New("needs Linux")
}
