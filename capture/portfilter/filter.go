package portfilter

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"

	"goproxytrace/capture"
)

// Filter is a condition ready to use.
type Filter struct {
	// Text describes the condition, for the record in the capture.
	Text          string
	ethernet, raw []bpf.RawInstruction
	// machines run the programs in user space, made when first needed.
	machines map[capture.LinkType]*bpf.VM
}

// New builds the filter. An expression is compiled by the system's tcpdump.
func New(o Options) (*Filter, error) {
	f := &Filter{Text: o.Expression(linkRaw)}
	programs := []struct {
		link     capture.LinkType
		compiled *[]bpf.RawInstruction
	}{{linkEthernet, &f.ethernet}, {linkRaw, &f.raw}}
	for _, p := range programs {
		var err error
		if o.Filter != "" {
			*p.compiled, err = compile(o.Filter, p.link)
			if err != nil && p.link == linkRaw && f.ethernet != nil {
				// "ether host", "vlan": nothing of the kind on bare IP.
				*p.compiled, err = []bpf.RawInstruction{{Op: 0x06}}, nil
			}
		} else {
			*p.compiled, err = o.ports(p.link == linkEthernet)
		}
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Match reports whether a captured frame meets the condition. A frame of a
// link type that the filter cannot read does. Match is not safe for
// concurrent use.
func (f *Filter) Match(link capture.LinkType, frame []byte) bool {
	if link == linkPKTAP || link == linkPKTAPOld {
		link, frame = unwrapPKTAP(link, frame)
	}
	program := f.raw
	switch link {
	case linkEthernet:
		program = f.ethernet
	case linkRaw, 228, 229: // LINKTYPE_IPV4, LINKTYPE_IPV6
	case linkNull, linkLoop:
		if len(frame) < 4 {
			return false
		}
		frame = frame[4:]
	default:
		return true
	}
	key := linkRaw
	if link == linkEthernet {
		key = linkEthernet
	}
	vm := f.machines[key]
	if vm == nil {
		instructions, ok := bpf.Disassemble(program)
		if !ok {
			return true
		}
		var err error
		if vm, err = bpf.NewVM(instructions); err != nil {
			return true
		}
		if f.machines == nil {
			f.machines = make(map[capture.LinkType]*bpf.VM)
		}
		f.machines[key] = vm
	}
	n, err := vm.Run(frame)
	return err == nil && n > 0
}

// unwrapPKTAP passes over Apple's packet-tap header; a frame whose header
// makes no sense comes back as it is.
func unwrapPKTAP(link capture.LinkType, frame []byte) (capture.LinkType, []byte) {
	const version2 = 0x80000
	if len(frame) < 40 {
		return link, frame
	}
	if n := int(frame[0]); binary.LittleEndian.Uint32(frame[36:])&version2 != 0 && n >= 40 && n <= len(frame) {
		return rawOfBSD(uint32(binary.LittleEndian.Uint16(frame[6:]))), frame[n:]
	}
	n := binary.LittleEndian.Uint32(frame)
	dlt := binary.LittleEndian.Uint32(frame[8:])
	if n < 108 || uint64(n) > uint64(len(frame)) || dlt > 0xffff {
		return link, frame
	}
	return rawOfBSD(dlt), frame[n:]
}

// rawOfBSD turns the BSDs' DLT_RAW into the registry's value.
func rawOfBSD(dlt uint32) capture.LinkType {
	if dlt == 12 || dlt == 14 {
		return linkRaw
	}
	return capture.LinkType(dlt)
}

// Kernel constants of a packet socket's frames (linux/if_packet.h,
// linux/if_arp.h).
const (
	packetOutgoing   = 4
	hardwareEther    = 1
	hardwareLoopback = 772
)

// RawIPHardware are the hardware types whose frames a packet socket delivers
// from the IP header on: tunnels (tun, WireGuard, ipip, sit, GRE), PPP, SLIP,
// and modems in raw IP mode.
var RawIPHardware = []uint16{0xfffe, 512, 519, 256, 768, 769, 776, 778, 823}

// Socket says what one packet socket takes in.
type Socket struct {
	// Any takes in every interface, else those whose index is listed.
	Any        bool
	Interfaces []uint32
}

// Socket returns the filter for a Linux packet socket that is bound to no
// interface. What is sent through a loopback interface comes in again as
// received, so that the first copy is left out.
func (f *Filter) Socket(s Socket) ([]bpf.RawInstruction, error) {
	a := newAssembler()
	if !s.Any {
		a.emit(bpf.LoadExtension{Num: bpf.ExtInterfaceIndex})
		for _, index := range s.Interfaces {
			a.jumpIf(bpf.JumpEqual, index, "link")
		}
		a.jump("reject")
	}
	a.mark("link")
	a.emit(bpf.LoadExtension{Num: bpf.ExtLinkLayerType})
	a.jumpIf(bpf.JumpEqual, hardwareEther, "ethernet")
	a.jumpIf(bpf.JumpEqual, hardwareLoopback, "loopback")
	for _, t := range RawIPHardware {
		a.jumpIf(bpf.JumpEqual, uint32(t), "raw")
	}
	a.mark("reject")
	a.emit(bpf.RetConstant{Val: 0})
	a.mark("raw")
	a.jump("raw program")
	a.mark("loopback")
	a.emit(bpf.LoadExtension{Num: bpf.ExtType}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetOutgoing, SkipTrue: 1}, bpf.RetConstant{Val: 0})
	a.mark("ethernet")
	// The two programs follow; their own jumps are relative.
	for _, i := range f.ethernet {
		a.emit(i)
	}
	a.mark("raw program")
	// A tunnel of Ethernet frames may call itself by such a hardware type;
	// what does not begin with an IP header is left out.
	a.emit(bpf.LoadAbsolute{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
	a.jumpIf(bpf.JumpEqual, 4, "ip")
	a.jumpIf(bpf.JumpEqual, 6, "ip")
	a.emit(bpf.RetConstant{Val: 0})
	a.mark("ip")
	for _, i := range f.raw {
		a.emit(i)
	}
	program, err := a.assemble()
	if err != nil {
		return nil, err
	}
	const maxInstructions = 4096 // BPF_MAXINSNS
	if len(program) > maxInstructions {
		return nil, fmt.Errorf("filter for %d interfaces takes %d instructions, the kernel allows %d", len(s.Interfaces), len(program), maxInstructions)
	}
	return program, nil
}

// Nothing is the program that takes in no packet.
func Nothing() []bpf.RawInstruction { return []bpf.RawInstruction{{Op: 0x06}} }
