package pcapfile

import "testing"

// TestAppleOwners reads Apple's indices into the section's process blocks, and
// nothing from one that points to no block.
func TestAppleOwners(t *testing.T) {
	for _, o := range [...]order{false, true} {
		index := func(code uint16, i int) []byte { return opt(o, code, string(words(o, i))) }
		process := func(pid int) []byte { return blockOf(o, blockProcess, words(o, pid, opt(o, optProcName, "x"))) }
		frames, _, err := readBytes(cat(
			shb(o), idb(o, 1, 0), process(11), process(22),
			epb(o, 0, at, payload, index(0x8001, 0), index(0x8003, 1)),
			epb(o, 0, at, payload, index(0x8003, 0), index(0x8001, 1), opt(o, optPacketProcess, string(words(o, 33, 0)))),
			epb(o, 0, at, payload, opt(o, optPacketProcess, string(words(o, 33, 0))), index(0x8001, 1)),
			epb(o, 0, at, payload, index(0x8001, 2), index(0x8003, 900)),
			epb(o, 0, at, payload, opt(o, 0x8001, "ab"), opt(o, 0x8003, "abcdefgh")),
			shb(o), idb(o, 1, 0),
			epb(o, 0, at, payload, index(0x8001, 0), index(0x8003, 0)), // another section's
		))
		if err != nil {
			t.Fatal(err)
		}
		type owner struct {
			pid, effective uint32
			byKernel       bool
		}
		for i, want := range []owner{{11, 22, true}, {22, 11, true}, {33, 0, false}, {}, {}, {}} {
			p := frames[i].pk
			if got := (owner{p.ProcessID, p.EffectivePID, p.OwnerByKernel}); got != want {
				t.Errorf("packet %d: %+v, want %+v", i+1, got, want)
			}
		}
	}
}
