//go:build linux

package lab

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// sumDB is a checksum database of a few modules: records in a Merkle tree
// (RFC 6962, section 2) whose head is a signed note.
type sumDB struct {
	// key is the verifier key for GOSUMDB, name included.
	key   string
	pages map[string][]byte // by path below the database's root
}

func newSumDB(modules []Module) (*sumDB, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	// 1 is the note format's number for Ed25519.
	typed := append([]byte{1}, public...)
	hash := sha256.Sum256(append([]byte(SumDBName+"\n"), typed...))
	id := hash[:4]
	db := &sumDB{key: fmt.Sprintf("%s+%08x+%s", SumDBName, binary.BigEndian.Uint32(id), base64.StdEncoding.EncodeToString(typed)), pages: map[string][]byte{}}
	var records []string
	var leaves [][32]byte
	var lookups []string
	for i, m := range modules {
		if m.onGit() {
			continue
		}
		all := m.files(byte(i))
		record := fmt.Sprintf("%s %s %s\n%s %s/go.mod %s\n", m.Path, m.version(), sumOf(m.Path+"@"+m.version()+"/", all),
			m.Path, m.version(), sumOf("", all[:1]))
		lookups = append(lookups, "/lookup/"+m.Path+"@"+m.version())
		records = append(records, record)
		leaves = append(leaves, sha256.Sum256([]byte("\x00"+record)))
	}
	head := treeHash(leaves)
	text := fmt.Sprintf("go.sum database tree\n%d\n%s\n", len(leaves), base64.StdEncoding.EncodeToString(head[:]))
	note := fmt.Sprintf("%s\n— %s %s\n", text, SumDBName,
		base64.StdEncoding.EncodeToString(append(slices.Clone(id), ed25519.Sign(private, []byte(text))...)))
	db.pages["/supported"] = nil
	db.pages["/latest"] = []byte(note)
	for i, path := range lookups {
		db.pages[path] = fmt.Appendf(nil, "%d\n%s\n%s", i, records[i], note)
	}
	// All partial tiles of level 0: a client may ask for any width.
	var tile []byte
	for i, h := range leaves {
		tile = append(tile, h[:]...)
		db.pages[fmt.Sprintf("/tile/8/0/000.p/%d", i+1)] = slices.Clone(tile)
	}
	return db, nil
}

// treeHash is the Merkle tree hash of RFC 6962, section 2.1.
func treeHash(leaves [][32]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	left, right := treeHash(leaves[:split]), treeHash(leaves[split:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

// sumOf is the h1: hash of go.sum.
func sumOf(prefix string, files []file) string {
	var lines []string
	for _, f := range files {
		sum := sha256.Sum256(f.data)
		lines = append(lines, hex.EncodeToString(sum[:])+"  "+prefix+f.name+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return "h1:" + base64.StdEncoding.EncodeToString(sum[:])
}
