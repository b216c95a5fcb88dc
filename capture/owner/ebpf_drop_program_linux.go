package owner

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Offsets in an event about a packet that the kernel threw away. Numbers are in
// host byte order where not said otherwise.
const (
	drTime      = 0  // u64: ns since boot
	drReason    = 8  // u32: enum skb_drop_reason
	drNamespace = 12 // u32: inode number of the network namespace
	drOwn       = 16 // u32: 1 where a socket of this host was attached to it
	drTail      = 20 // u32: end of the linear part, bytes from the buffer's head
	drNetwork   = 24 // u16: where the network header begins, likewise
	drSport     = 26 // u16, network byte order: local port of that socket
	drDport     = 28 // u16, network byte order: its peer's port
	drIP        = 32 // 40 bytes: the network header, as far as that
	drTCP       = 72 // 20 bytes: the TCP header, likewise
	drSize      = drTCP + 24
)

// stackDrop is where such an event lies on a program's stack.
const stackDrop = stackArgs - drSize

// noWakeup is BPF_RB_NO_WAKEUP: the reader looks when it is time to.
const noWakeup = 1

// dropLayout is where the kernel keeps what a drop is told from.
type dropLayout struct {
	// Places of skb:kfree_skb's arguments in the context, in bytes.
	argSkb, argReason                                                   int16
	skbHead, skbTail, skbNetwork, skbSock, skbDevice, deviceNet, netNum int32
	// reasons are the numbers that this kernel gives to what is looked for.
	reasons map[uint32]*dropReason
}

// dropReason is a reason for which a host throws packets of its own away.
type dropReason struct {
	// name is the kernel's, without its prefix (include/net/dropreason-core.h).
	name string
	// by tells whose doing it is, behind "this machine's".
	by string
}

const reasonPrefix = "SKB_DROP_REASON_"

// dropReasons are the reasons that someone set up on this host. Others happen to
// any healthy connection (TCP_OFOWINDOW, TCP_OLD_DATA, NO_SOCKET, SOCKET_FILTER
// of captures), to what is broken on its way (TCP_CSUM), or say nothing
// (NOT_SPECIFIED).
var dropReasons = []dropReason{
	{"NETFILTER_DROP", "packet filter (netfilter)"},
	{"BPF_CGROUP_EGRESS", "BPF filter of a control group"},
	{"TC_INGRESS", "traffic control filter"},
	{"TC_EGRESS", "traffic control filter"},
	{"IP_RPFILTER", "reverse path filter (rp_filter)"},
	{"XFRM_POLICY", "IPsec policy"},
}

var errNoReasons = errors.New("this kernel does not say why it drops packets (Linux 5.17 does)")

// readDropLayout finds out how the running kernel tells of drops.
func readDropLayout(types *btf.Cache) (*dropLayout, error) {
	spec, err := types.Kernel()
	if err != nil {
		return nil, err
	}
	var reasons *btf.Enum
	var event *btf.Typedef
	if spec.TypeByName("skb_drop_reason", &reasons) != nil || spec.TypeByName("btf_trace_kfree_skb", &event) != nil {
		return nil, errNoReasons
	}
	l := layout{spec: spec}
	d := &dropLayout{
		skbHead: l.at("sk_buff", "head"), skbTail: l.at("sk_buff", "tail"), skbNetwork: l.at("sk_buff", "network_header"),
		skbSock: l.at("sk_buff", "sk"), skbDevice: l.at("sk_buff", "dev"), deviceNet: l.at("net_device", "nd_net", "net"),
		netNum: l.at("net", "ns", "inum"), argSkb: -1, argReason: -1, reasons: map[uint32]*dropReason{},
	}
	if l.err != nil {
		return nil, l.err
	}
	pointer, ok := event.Type.(*btf.Pointer)
	if !ok {
		return nil, fmt.Errorf("kernel type %s is a %T", event.Name, event.Type)
	}
	proto, ok := pointer.Target.(*btf.FuncProto)
	if !ok {
		return nil, fmt.Errorf("kernel type %s points to a %T", event.Name, pointer.Target)
	}
	for i, p := range proto.Params[min(1, len(proto.Params)):] { // the first is the hook's own
		switch t := btf.UnderlyingType(p.Type).(type) {
		case *btf.Enum:
			if t.Name == reasons.Name {
				d.argReason = int16(8 * i)
			}
		case *btf.Pointer:
			if s, ok := t.Target.(*btf.Struct); ok && s.Name == "sk_buff" {
				d.argSkb = int16(8 * i)
			}
		}
	}
	if d.argSkb < 0 || d.argReason < 0 {
		return nil, errNoReasons
	}
	for i := range dropReasons {
		for _, v := range reasons.Values {
			if v.Name == reasonPrefix+dropReasons[i].name {
				d.reasons[uint32(v.Value)] = &dropReasons[i]
			}
		}
	}
	if len(d.reasons) == 0 {
		return nil, errNoReasons
	}
	return d, nil
}

// numbers are those of the reasons, in the order of the table.
func (d *dropLayout) numbers() (out []uint32) {
	for i := range dropReasons {
		for n, r := range d.reasons {
			if r == &dropReasons[i] {
				out = append(out, n)
			}
		}
	}
	return out
}

// dropping sends TCP packets that the kernel threw away for one of the reasons,
// with their headers. Whose they are is judged outside; here goes out what is in
// a namespace that is watched, and of what has no socket yet (what came in, or is
// passed on) what acknowledges something, as all does that answers a client.
// ports, if any, are those of which one end must have one.
func (a *assembler) dropping(d *dropLayout, ports []uint16) asm.Instructions {
	const (
		packetRegister = objRegister
		sockRegister   = tempRegister
	)
	a.begin()
	a.add(asm.LoadMem(asm.R1, ctxRegister, d.argReason, asm.Word))
	// Most of what the kernel frees ends here.
	for _, n := range d.numbers() {
		a.add(asm.JEq.Imm(asm.R1, int32(n), "wanted"))
	}
	a.add(asm.Ja.Label("exit"))
	a.mark("wanted", asm.Mov.Imm(asm.R0, 0))
	for off := int16(0); off < drSize; off += 8 {
		a.add(asm.StoreMem(asm.RFP, stackDrop+off, asm.R0, asm.DWord))
	}
	a.add(
		asm.StoreMem(asm.RFP, stackWord, asm.R0, asm.DWord), asm.StoreMem(asm.RFP, stackKey, asm.R0, asm.DWord),
		asm.StoreMem(asm.RFP, stackDrop+drReason, asm.R1, asm.Word),
		asm.LoadMem(packetRegister, ctxRegister, d.argSkb, asm.DWord),
	)
	a.pointer(sockRegister, packetRegister, d.skbSock)
	a.add(asm.JEq.Imm(sockRegister, 0, "foreign"))
	// What is no whole socket (struct request_sock, inet_timewait_sock) has no
	// port of its own here, and neither has one that listens a peer.
	a.read(stackWord, 1, sockRegister, a.k.sockState)
	a.add(
		asm.LoadMem(asm.R1, asm.RFP, stackWord, asm.Byte),
		asm.JEq.Imm(asm.R1, tcpTimeWait, "foreign"),
		asm.JEq.Imm(asm.R1, tcpNewSynRecv, "foreign"),
		asm.JEq.Imm(asm.R1, tcpListen, "foreign"),
		asm.StoreImm(asm.RFP, stackDrop+drOwn, 1, asm.Word),
	)
	a.read(stackDrop+drSport, 2, sockRegister, a.k.sockSport)
	a.read(stackDrop+drDport, 2, sockRegister, a.k.sockDport)
	a.pointer(walkRegister, sockRegister, a.k.sockNet)
	a.read(stackDrop+drNamespace, 4, walkRegister, d.netNum)
	a.watched(stackDrop + drNamespace)
	// A packet keeps its socket when it crosses into another namespace, until
	// that one's IP takes it: what is dropped there is not this host's doing.
	a.pointer(walkRegister, packetRegister, d.skbDevice)
	a.add(asm.JEq.Imm(walkRegister, 0, "headers"))
	a.pointer(walkRegister, walkRegister, d.deviceNet)
	a.read(stackKey, 4, walkRegister, d.netNum)
	a.add(
		asm.LoadMem(asm.R1, asm.RFP, stackKey, asm.Word), asm.LoadMem(asm.R2, asm.RFP, stackDrop+drNamespace, asm.Word),
		asm.JNE.Reg(asm.R1, asm.R2, "exit"),
		asm.Ja.Label("headers"),
	)
	a.mark("foreign", asm.Mov.Imm(asm.R0, 0))
	a.pointer(walkRegister, packetRegister, d.skbDevice)
	a.add(asm.JEq.Imm(walkRegister, 0, "exit"))
	a.pointer(walkRegister, walkRegister, d.deviceNet)
	a.read(stackDrop+drNamespace, 4, walkRegister, d.netNum)
	a.watched(stackDrop + drNamespace)

	a.mark("headers", asm.Mov.Imm(asm.R0, 0))
	a.read(stackDrop+drTail, 4, packetRegister, d.skbTail)
	a.read(stackDrop+drNetwork, 2, packetRegister, d.skbNetwork)
	a.pointer(walkRegister, packetRegister, d.skbHead)
	a.add(asm.LoadMem(asm.R1, asm.RFP, stackDrop+drNetwork, asm.Half), asm.Add.Reg(walkRegister, asm.R1))
	a.read(stackDrop+drIP, 40, walkRegister, 0)
	a.add(
		asm.LoadMem(asm.R1, asm.RFP, stackDrop+drIP, asm.Byte),
		asm.Mov.Reg(asm.R2, asm.R1), asm.RSh.Imm(asm.R2, 4),
		asm.JEq.Imm(asm.R2, 4, "four"), asm.JNE.Imm(asm.R2, 6, "exit"),
		asm.LoadMem(asm.R1, asm.RFP, stackDrop+drIP+6, asm.Byte), asm.JNE.Imm(asm.R1, tcpProtocol, "exit"),
		asm.Add.Imm(walkRegister, 40), asm.Ja.Label("transport"),
	)
	a.mark("four", asm.And.Imm(asm.R1, 0xf))
	a.add(
		asm.LSh.Imm(asm.R1, 2),
		asm.LoadMem(asm.R2, asm.RFP, stackDrop+drIP+9, asm.Byte), asm.JNE.Imm(asm.R2, tcpProtocol, "exit"),
		asm.Add.Reg(walkRegister, asm.R1),
	)
	a.mark("transport", asm.Mov.Imm(asm.R0, 0))
	a.read(stackDrop+drTCP, 20, walkRegister, 0)
	a.add(
		asm.LoadMem(asm.R1, asm.RFP, stackDrop+drOwn, asm.Word), asm.JNE.Imm(asm.R1, 0, "ports"),
		asm.LoadMem(asm.R1, asm.RFP, stackDrop+drTCP+13, asm.Byte), asm.And.Imm(asm.R1, flagACK), asm.JEq.Imm(asm.R1, 0, "exit"),
	)
	a.mark("ports", asm.LoadMem(asm.R1, asm.RFP, stackDrop+drTCP, asm.Half))
	if len(ports) > 0 {
		a.add(
			asm.LoadMem(asm.R2, asm.RFP, stackDrop+drTCP+2, asm.Half),
			asm.HostTo(asm.BE, asm.R1, asm.Half), asm.HostTo(asm.BE, asm.R2, asm.Half),
		)
		for _, p := range ports {
			a.add(asm.JEq.Imm(asm.R1, int32(p), "send"), asm.JEq.Imm(asm.R2, int32(p), "send"))
		}
		a.add(asm.Ja.Label("exit"))
	}
	a.mark("send", asm.FnKtimeGetBootNs.Call())
	a.add(
		asm.StoreMem(asm.RFP, stackDrop+drTime, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, a.maps.ring.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, stackDrop),
		asm.Mov.Imm(asm.R3, drSize), asm.Mov.Imm(asm.R4, noWakeup),
		asm.FnRingbufOutput.Call(),
	)
	a.countLost()
	return a.program("dropping", 0)
}
