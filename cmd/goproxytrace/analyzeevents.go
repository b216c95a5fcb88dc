package main

import (
	"errors"
	"fmt"
	"os"

	"goproxytrace/capture/hostevents"
	"goproxytrace/capture/hostlog"
)

// readEvents reads what the host logged. Files that are damaged count as far as
// they go; one that cannot be read at all is an error, since a verdict without
// it may differ.
func readEvents(std streams, paths []string) ([]hostlog.Record, error) {
	var l hostevents.Log
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
		err = l.Add(f)
		_ = f.Close()
		var damage *hostevents.DamageError
		switch {
		case errors.As(err, &damage):
			complain(std, fmt.Errorf("events: %s: read as far as it goes: %w", path, err))
		case err != nil:
			return nil, fmt.Errorf("events: %s: %w", path, err)
		}
	}
	return l.Records(), nil
}
