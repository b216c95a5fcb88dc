package hostevents

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"goproxytrace/capture/hostlog"
)

func thisSystem() system {
	return system{
		run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
			dir, err := windows.GetSystemDirectory() // not PATH: this may run with an administrator's rights
			if err != nil {
				return nil, err
			}
			return runAt(ctx, filepath.Join(dir, name+".exe"), args...)
		},
		value: registryValue,
		keys:  registryKeys,
		admin: func() bool { return windows.GetCurrentProcessToken().IsElevated() },
		env:   os.Getenv,
		now:   func() int64 { return time.Now().UnixNano() },
	}
}

func (c *collector) begin()                  {}
func (c *collector) interval() time.Duration { return windowsInterval }
func (c *collector) close()                  {}

func (c *collector) meanwhile(ctx context.Context) []hostlog.Record { return c.windowsMeanwhile(ctx) }
func (c *collector) end(ctx context.Context) []hostlog.Record       { return c.windowsEnd(ctx) }

func openKey(hive, key string, access uint32) (registry.Key, error) {
	root := registry.LOCAL_MACHINE
	if hive == "HKCU" {
		root = registry.CURRENT_USER
	}
	return registry.OpenKey(root, key, access)
}

func registryValue(hive, key, name string) (string, bool, error) {
	k, err := openKey(hive, key, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer k.Close()
	if s, _, err := k.GetStringValue(name); err == nil {
		return s, true, nil
	}
	n, _, err := k.GetIntegerValue(name)
	if errors.Is(err, registry.ErrNotExist) {
		return "", false, nil
	}
	return strconv.FormatUint(n, 10), err == nil, err
}

// maxKeys bounds the keys below one that are listed.
const maxKeys = 1024

func registryKeys(hive, key string) ([]string, error) {
	k, err := openKey(hive, key, registry.ENUMERATE_SUB_KEYS)
	if errors.Is(err, registry.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer k.Close()
	names, err := k.ReadSubKeyNames(maxKeys)
	if len(names) > 0 {
		err = nil // the end of the list is an error too
	}
	return names, err
}
