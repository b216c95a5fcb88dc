//go:build linux

package lab

import (
	"crypto/sha256"
	"strings"
	"testing"
)

// TestTreeHash compares with the definition written out (RFC 6962, section 2.1).
func TestTreeHash(t *testing.T) {
	node := func(l, r [32]byte) [32]byte {
		return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
	var leaf [5][32]byte
	for i := range leaf {
		leaf[i] = sha256.Sum256([]byte{0, byte(i)})
	}
	for n, want := range map[int][32]byte{
		1: leaf[0],
		2: node(leaf[0], leaf[1]),
		3: node(node(leaf[0], leaf[1]), leaf[2]),
		5: node(node(node(leaf[0], leaf[1]), node(leaf[2], leaf[3])), leaf[4]),
	} {
		if got := treeHash(leaf[:n]); got != want {
			t.Errorf("%d leaves: %x, want %x", n, got, want)
		}
	}
}

func TestSumDBPages(t *testing.T) {
	db, err := newSumDB(DefaultModules())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(db.key, SumDBName+"+") {
		t.Errorf("key %q", db.key)
	}
	for _, path := range []string{"/supported", "/latest", "/lookup/example.net/beta@v1.2.3", "/tile/8/0/000.p/3"} {
		if _, ok := db.pages[path]; !ok {
			t.Errorf("no page %s", path)
		}
	}
	if len(db.pages["/tile/8/0/000.p/3"]) != 3*32 {
		t.Errorf("a tile of %d bytes", len(db.pages["/tile/8/0/000.p/3"]))
	}
}

func TestProxyTree(t *testing.T) {
	tree, err := proxyTree([]Module{{"example.org/gamma/v2", 22000}, {GitName + "/team/tool", 100}})
	if err != nil {
		t.Fatal(err)
	}
	for _, ext := range []string{".info", ".mod", ".zip"} {
		if len(tree["/example.org/gamma/v2/@v/v2.1.0"+ext]) == 0 {
			t.Errorf("no %s file", ext)
		}
	}
	if n := len(tree["/example.org/gamma/v2/@v/v2.1.0.zip"]); n < 22000 || n > 24000 {
		t.Errorf("zip of %d bytes, want about 22000", n)
	}
	if len(tree) != 3 {
		t.Errorf("%d files: the git host's module is among them", len(tree))
	}
}
