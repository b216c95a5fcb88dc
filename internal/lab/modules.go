//go:build linux

package lab

import (
	"archive/zip"
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// version is the only version of every made-up module, by its path.
func (m Module) version() string {
	if strings.HasSuffix(m.Path, "/v2") {
		return "v2.1.0"
	}
	return "v1.2.3"
}

// onGit is true where the git host serves the module.
func (m Module) onGit() bool { return strings.HasPrefix(m.Path, GitName+"/") }

func (m Module) goMod() []byte { return fmt.Appendf(nil, "module %s\n\ngo 1.20\n", m.Path) }

// file is one file of a module.
type file struct {
	name string
	data []byte
}

// files are those of a module. Random text does not compress: the zip has the
// size asked for.
func (m Module) files(seed byte) []file {
	blob := make([]byte, m.Size)
	rand.NewChaCha8([32]byte{seed}).Read(blob)
	return []file{{"go.mod", m.goMod()}, {"doc.go", []byte("// Package made is made up.\npackage made\n")}, {"data.bin", blob}}
}

// proxyTree returns what a module proxy serves for the modules, by URL path.
func proxyTree(modules []Module) (map[string][]byte, error) {
	out := map[string][]byte{}
	for i, m := range modules {
		if m.onGit() {
			continue
		}
		prefix := "/" + m.Path + "/@v/" + m.version()
		out[prefix+".mod"] = m.goMod()
		out[prefix+".info"] = fmt.Appendf(nil, `{"Version":%q,"Time":"2025-03-01T12:00:00Z"}`, m.version())
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		root := m.Path + "@" + m.version() + "/"
		for _, f := range m.files(byte(i)) {
			w, err := z.Create(root + f.name)
			if err == nil {
				_, err = w.Write(f.data)
			}
			if err != nil {
				return nil, fmt.Errorf("zip of %s: %w", m.Path, err)
			}
		}
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("zip of %s: %w", m.Path, err)
		}
		out[prefix+".zip"] = b.Bytes()
	}
	return out, nil
}

// mainModule is the go.mod file of the client's main module.
func mainModule(modules []Module) []byte {
	var b bytes.Buffer
	b.WriteString("module example.com/main\n\ngo 1.20\n\nrequire (\n")
	for _, m := range modules {
		fmt.Fprintf(&b, "\t%s %s\n", m.Path, m.version())
	}
	b.WriteString(")\n")
	return b.Bytes()
}
