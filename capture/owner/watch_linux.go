package owner

import (
	"errors"
	"fmt"
	"strings"
)

// open chooses the best mechanism that works.
func (w *Watcher) open(opts Options) error {
	if opts.Namespaces == nil {
		own, err := inode("/proc/self/ns/net")
		if err != nil {
			return err
		}
		opts.Namespaces = []uint64{own}
	}
	mechanisms := []string{EBPF, Seccomp, SocketTable}
	if opts.Mechanism != "" {
		mechanisms = []string{opts.Mechanism}
	}
	var errs error
	for _, name := range mechanisms {
		if name == Seccomp && !opts.Starts && opts.Mechanism == "" {
			continue
		}
		p, err := openMechanism(w, name, opts)
		if err == nil {
			w.platform, w.mechanism = p, name
			if name != EBPF {
				w.undropped = "the kernel tells of them through eBPF only, which is not used"
				if errs != nil {
					w.undropped += ": " + strings.ReplaceAll(errs.Error(), "\n", "; ")
				}
			}
			return nil
		}
		errs = errors.Join(errs, fmt.Errorf("%s: %w", name, err))
		w.limit("%s is not used: %v", name, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, errs)
}

func openMechanism(w *Watcher, name string, opts Options) (platform, error) {
	switch name {
	case EBPF:
		return newEBPF(w, opts)
	case Seccomp:
		return newSeccomp(w, opts)
	case SocketTable:
		return newPoller(w, opts)
	}
	return nil, fmt.Errorf("no mechanism of that name on Linux")
}
