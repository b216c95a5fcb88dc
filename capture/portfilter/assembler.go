package portfilter

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// assembler builds a program whose jumps name their targets. Conditional
// jumps of classic BPF reach 255 instructions; here each is followed by an
// unconditional one, which reaches everywhere.
type assembler struct {
	instructions []bpf.Instruction
	marks        map[string]int
	jumps        map[int]string
}

func newAssembler() *assembler {
	return &assembler{marks: make(map[string]int), jumps: make(map[int]string)}
}

func (a *assembler) emit(i ...bpf.Instruction) { a.instructions = append(a.instructions, i...) }

// mark gives the next instruction a name.
func (a *assembler) mark(name string) { a.marks[name] = len(a.instructions) }

func (a *assembler) jump(target string) {
	a.jumps[len(a.instructions)] = target
	a.emit(bpf.Jump{})
}

// jumpIf jumps to target where the accumulator meets the condition.
func (a *assembler) jumpIf(c bpf.JumpTest, value uint32, target string) {
	a.emit(bpf.JumpIf{Cond: c, Val: value, SkipFalse: 1})
	a.jump(target)
}

func (a *assembler) assemble() ([]bpf.RawInstruction, error) {
	for at, target := range a.jumps {
		to, ok := a.marks[target]
		if !ok || to <= at {
			return nil, fmt.Errorf("filter: jump at %d to %q does not go forward", at, target)
		}
		a.instructions[at] = bpf.Jump{Skip: uint32(to - at - 1)}
	}
	raw, err := bpf.Assemble(a.instructions)
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	return raw, nil
}
