package owner

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Kinds of events that the programs send.
const (
	eventConnect    = iota + 1 // connect() was called (cgroup hook)
	eventState                 // a socket changed its state
	eventPort                  // a socket that connects has its local port
	eventUse                   // a process received from an accepted socket
	eventRetransmit            // a segment was sent again
	eventFork
	eventExec
	eventExit
)

// Offsets in an event about a socket. Numbers are in host byte order where not
// said otherwise.
const (
	evKind      = 0  // u32
	evError     = 4  // u32: errno of the socket
	evTime      = 8  // u64: ns since boot
	evCookie    = 16 // u64
	evStart     = 24 // u64: start of the current process, ns since boot
	evPID       = 32 // u32: the current process in our PID namespace, zero none
	evTID       = 36 // u32: the current thread in the first PID namespace
	evNamespace = 40 // u32: inode number of the network namespace
	evFamily    = 44 // u16
	evOld       = 46 // u8: TCP state before
	evNew       = 47 // u8: and after
	evLocal     = 48 // 16 bytes
	evRemote    = 64 // 16 bytes
	evLocalPort = 80 // u16, network byte order
	evPeerPort  = 82 // u16, network byte order
	evFlags     = 84 // u32: flags of the current task
	evComm      = 88 // 16 bytes
	evSize      = 104
)

// Offsets in an event about a process.
const (
	prKind      = 0  // u32
	prCode      = 4  // u32: wait status
	prTime      = 8  // u64: ns since boot
	prStart     = 16 // u64: ns since boot
	prPID       = 24 // u32: in our PID namespace
	prParent    = 28 // u32: in our PID namespace
	prInner     = 32 // u32: in its own PID namespace, zero where that is the first one
	prUID       = 36 // u32
	prNamespace = 40 // u32: inode number of the network namespace
	prArgs      = 44 // u32: bytes of arguments there are; more than maxArgs is cut
	prComm      = 48 // 16 bytes
	prPath      = 64 // maxPath bytes, terminated by zero
	prArgv      = prPath + maxPath
	maxPath     = 256
	maxArgs     = 4095 // 2^n-1: the verifier needs a mask
	prSize      = prArgv + maxArgs + 1
)

// Linux's TCP states (include/net/tcp_states.h).
const (
	tcpEstablished = iota + 1
	tcpSynSent
	tcpSynRecv
	tcpFinWait1
	tcpFinWait2
	tcpTimeWait
	tcpClose
	tcpCloseWait
	tcpLastAck
	tcpListen
	tcpClosing
	tcpNewSynRecv
)

const (
	afINET, afINET6 = 2, 10
	kernelThread    = 0x00200000 // PF_KTHREAD
	groupExit       = 0x00000004 // SIGNAL_GROUP_EXIT
	tcpProtocol     = 6
	opTCPConnect    = 3 // BPF_SOCK_OPS_TCP_CONNECT_CB
	firstPIDNS      = 0xeffffffc
	maxPIDNS        = 4 // levels of PID namespaces looked through for ours
)

// Places on a program's stack: the event, and words for intermediate values.
const (
	stackEvent   = -evSize
	stackWord    = stackEvent - 8
	stackKey     = stackWord - 8
	stackArgs    = stackKey - 8 // length of the arguments
	ctxRegister  = asm.R6
	objRegister  = asm.R7 // the socket, or the task
	tempRegister = asm.R8
	walkRegister = asm.R9
)

// maps are what the programs share with us.
type maps struct {
	ring, lost, namespaces, accepted, scratch *ebpf.Map
}

// assembler makes the programs for one kernel.
type assembler struct {
	k    *kernel
	maps *maps
	// all is true where every network namespace is watched.
	all bool
	// pidns is the inode number of our PID namespace.
	pidns  uint32
	labels int
	ins    asm.Instructions
}

func (a *assembler) add(ins ...asm.Instruction) { a.ins = append(a.ins, ins...) }

// mark gives the next instruction a label; every program ends with one that
// does something.
func (a *assembler) mark(label string, ins asm.Instruction) { a.add(ins.WithSymbol(label)) }

func (a *assembler) label(s string) string {
	a.labels++
	return s + string(rune('a'+a.labels/26)) + string(rune('a'+a.labels%26))
}

// begin starts a program.
func (a *assembler) begin() {
	a.ins = nil
	a.add(asm.Mov.Reg(ctxRegister, asm.R1))
}

// program ends a program with a return value and returns it.
func (a *assembler) program(name string, result int32) asm.Instructions {
	a.mark("exit", asm.Mov.Imm(asm.R0, result))
	a.add(asm.Return())
	a.ins[0] = a.ins[0].WithSymbol(name)
	return a.ins
}

// read copies size bytes at base+off of the kernel's memory to the stack.
func (a *assembler) read(stack int16, size int32, base asm.Register, off int32) {
	a.add(
		asm.Mov.Reg(asm.R3, base),
		asm.Add.Imm(asm.R3, off),
		asm.Mov.Reg(asm.R1, asm.RFP),
		asm.Add.Imm(asm.R1, int32(stack)),
		asm.Mov.Imm(asm.R2, size),
		asm.FnProbeReadKernel.Call(),
	)
}

// pointer reads the pointer at base+off into a register.
func (a *assembler) pointer(dst, base asm.Register, off int32) {
	a.read(stackWord, 8, base, off)
	a.add(asm.LoadMem(dst, asm.RFP, stackWord, asm.DWord))
}

// clear zeroes the event on the stack.
func (a *assembler) clear() {
	a.add(asm.Mov.Imm(asm.R0, 0))
	for off := int16(0); off < evSize; off += 8 {
		a.add(asm.StoreMem(asm.RFP, stackEvent+off, asm.R0, asm.DWord))
	}
	a.add(asm.StoreMem(asm.RFP, stackWord, asm.R0, asm.DWord), asm.StoreMem(asm.RFP, stackKey, asm.R0, asm.DWord))
}

// watched leaves the program unless the namespace whose number is on the stack
// is one of those that are watched.
func (a *assembler) watched(stack int16) {
	if a.all {
		return
	}
	a.add(
		asm.LoadMapPtr(asm.R1, a.maps.namespaces.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, int32(stack)),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
	)
}

// store puts R0 into the event.
func (a *assembler) store(field int16, size asm.Size) {
	a.add(asm.StoreMem(asm.RFP, stackEvent+field, asm.R0, size))
}

func (a *assembler) stamp(field int16) {
	a.add(asm.FnKtimeGetBootNs.Call())
	a.store(field, asm.DWord)
}

// pid puts the number that a task's process has in our PID namespace on the
// stack; zero where it has none. The task's address is in tempRegister, which
// stays.
func (a *assembler) pid(stack int16) {
	if a.pidns == firstPIDNS {
		a.read(stack, 4, tempRegister, a.k.taskTGID)
		return
	}
	done := a.label("pid")
	a.pointer(walkRegister, tempRegister, a.k.taskLeader)
	a.pointer(walkRegister, walkRegister, a.k.taskPid)
	a.add(asm.StoreImm(asm.RFP, stack, 0, asm.Word))
	for level := range int32(maxPIDNS) {
		next := a.label("level")
		// struct pid is allocated for its own level only.
		a.read(stackKey, 4, walkRegister, a.k.pidLevel)
		a.add(asm.LoadMem(asm.R1, asm.RFP, stackKey, asm.Word), asm.JLT.Imm(asm.R1, level, done))
		upid := a.k.pidNumbers + 16*level
		a.pointer(asm.R1, walkRegister, upid+a.k.upidNS)
		a.read(stackKey, 4, asm.R1, a.k.pidnsInum)
		a.add(asm.LoadMem(asm.R1, asm.RFP, stackKey, asm.Word), asm.LoadImm(asm.R2, int64(a.pidns), asm.DWord), asm.JNE.Reg(asm.R1, asm.R2, next))
		a.read(stack, 4, walkRegister, upid+a.k.upidNr)
		a.add(asm.Ja.Label(done))
		a.mark(next, asm.Mov.Imm(asm.R0, 0))
	}
	a.mark(done, asm.Mov.Imm(asm.R0, 0))
}

// current describes the current process in a socket's event.
func (a *assembler) current() {
	a.add(asm.FnGetCurrentTask.Call(), asm.Mov.Reg(tempRegister, asm.R0))
	a.pid(stackEvent + evPID)
	a.read(stackEvent+evFlags, 4, tempRegister, a.k.taskFlags)
	a.pointer(walkRegister, tempRegister, a.k.taskLeader)
	a.read(stackEvent+evStart, 8, walkRegister, a.k.taskStart)
	a.read(stackEvent+evComm, 16, walkRegister, a.k.taskComm)
	a.add(asm.FnGetCurrentPidTgid.Call())
	a.store(evTID, asm.Word)
}

// socket describes the socket in objRegister.
func (a *assembler) socket() {
	a.pointer(tempRegister, objRegister, a.k.sockNet)
	a.read(stackEvent+evNamespace, 4, tempRegister, a.k.netInum)
	a.watched(stackEvent + evNamespace)
	a.read(stackWord, 2, objRegister, a.k.sockProtocol)
	a.add(asm.LoadMem(asm.R1, asm.RFP, stackWord, asm.Half), asm.JNE.Imm(asm.R1, tcpProtocol, "exit"))
	a.read(stackEvent+evFamily, 2, objRegister, a.k.sockFamily)
	a.read(stackEvent+evLocalPort, 2, objRegister, a.k.sockSport)
	a.read(stackEvent+evPeerPort, 2, objRegister, a.k.sockDport)
	a.read(stackEvent+evError, 4, objRegister, a.k.sockErr)
	a.add(asm.LoadMem(asm.R1, asm.RFP, stackEvent+evFamily, asm.Half), asm.JEq.Imm(asm.R1, afINET6, "six"), asm.JNE.Imm(asm.R1, afINET, "exit"))
	a.read(stackEvent+evLocal, 4, objRegister, a.k.sockSaddr)
	a.read(stackEvent+evRemote, 4, objRegister, a.k.sockDaddr)
	a.add(asm.Ja.Label("cookie"))
	a.mark("six", asm.Mov.Imm(asm.R0, 0))
	a.read(stackEvent+evLocal, 16, objRegister, a.k.sockSaddr6)
	a.read(stackEvent+evRemote, 16, objRegister, a.k.sockDaddr6)
	a.mark("cookie", asm.Mov.Reg(asm.R1, objRegister))
	a.add(asm.FnGetSocketCookie.Call())
	a.store(evCookie, asm.DWord)
	a.stamp(evTime)
}

// send sends the event on the stack, or counts it as lost.
func (a *assembler) send() {
	a.add(
		asm.LoadMapPtr(asm.R1, a.maps.ring.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackEvent),
		asm.Mov.Imm(asm.R3, evSize),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
	)
	a.countLost()
}

// countLost counts an event where R0 says that it could not be sent.
func (a *assembler) countLost() {
	a.add(
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.StoreImm(asm.RFP, stackKey, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, a.maps.lost.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
	)
}

// connecting sends sockets that enter SYN-SENT. That happens in the process's
// own context. The other transitions have a program of their own (changing),
// because the kernel does not run a program again while it runs on the same
// processor: a softirq that interrupts this one must not go unnoticed.
func (a *assembler) connecting() asm.Instructions {
	a.begin()
	a.clear()
	a.add(
		asm.LoadMem(asm.R2, ctxRegister, 16, asm.Word),
		asm.JNE.Imm(asm.R2, tcpSynSent, "exit"),
		asm.StoreMem(asm.RFP, stackEvent+evNew, asm.R2, asm.Byte),
		asm.LoadMem(asm.R1, ctxRegister, 8, asm.Word),
		asm.StoreMem(asm.RFP, stackEvent+evOld, asm.R1, asm.Byte),
		asm.StoreImm(asm.RFP, stackEvent+evKind, eventState, asm.Word),
		asm.LoadMem(objRegister, ctxRegister, 0, asm.DWord),
	)
	a.socket()
	a.current()
	a.send()
	return a.program("connecting", 0)
}

// changing sends the end of SYN-SENT and SYN-RECEIVED, the first state that
// only the process brings about (close, shutdown), and the end.
func (a *assembler) changing() asm.Instructions {
	a.begin()
	a.clear()
	a.add(
		asm.LoadMem(asm.R2, ctxRegister, 16, asm.Word),
		asm.LoadMem(asm.R1, ctxRegister, 8, asm.Word),
		asm.StoreMem(asm.RFP, stackEvent+evNew, asm.R2, asm.Byte),
		asm.StoreMem(asm.RFP, stackEvent+evOld, asm.R1, asm.Byte),
		asm.StoreImm(asm.RFP, stackEvent+evKind, eventState, asm.Word),
		asm.LoadMem(objRegister, ctxRegister, 0, asm.DWord),
		asm.JEq.Imm(asm.R1, tcpListen, "exit"),
		asm.JEq.Imm(asm.R2, tcpSynSent, "exit"),
		asm.JEq.Imm(asm.R1, tcpSynSent, "wanted"),
		asm.JEq.Imm(asm.R1, tcpSynRecv, "wanted"),
		asm.JEq.Imm(asm.R2, tcpFinWait1, "wanted"),
		asm.JEq.Imm(asm.R2, tcpLastAck, "wanted"),
		asm.JNE.Imm(asm.R2, tcpClose, "exit"),
	)
	a.mark("wanted", asm.Mov.Imm(asm.R0, 0))
	a.socket()
	// Accepted: look out for the process that receives from it.
	a.add(
		asm.LoadMem(asm.R1, ctxRegister, 8, asm.Word),
		asm.JNE.Imm(asm.R1, tcpSynRecv, "known"),
		asm.LoadMapPtr(asm.R1, a.maps.accepted.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackEvent+evCookie),
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
		asm.Ja.Label("out"),
	)
	// Only these two states say anything of the current process.
	a.mark("known", asm.LoadMem(asm.R2, ctxRegister, 16, asm.Word))
	a.add(asm.JEq.Imm(asm.R2, tcpFinWait1, "whose"), asm.JNE.Imm(asm.R2, tcpLastAck, "out"))
	a.mark("whose", asm.Mov.Imm(asm.R0, 0))
	a.current()
	a.mark("out", asm.Mov.Imm(asm.R0, 0))
	a.send()
	return a.program("changing", 0)
}

// using sends the first time a process receives from an accepted socket
// (tcp_rcv_space_adjust runs within recv).
func (a *assembler) using() asm.Instructions {
	a.begin()
	a.clear()
	a.add(
		asm.LoadMem(objRegister, ctxRegister, 0, asm.DWord),
		asm.Mov.Reg(asm.R1, objRegister),
		asm.FnGetSocketCookie.Call(),
		asm.StoreMem(asm.RFP, stackEvent+evCookie, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, a.maps.accepted.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackEvent+evCookie),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.LoadMapPtr(asm.R1, a.maps.accepted.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackEvent+evCookie),
		asm.FnMapDeleteElem.Call(),
		asm.StoreImm(asm.RFP, stackEvent+evKind, eventUse, asm.Word),
	)
	a.socket()
	a.current()
	a.send()
	return a.program("using", 0)
}

// retransmitting sends sockets that send a segment again in SYN-SENT: there
// the local port is known. It stands in for the sockops program.
func (a *assembler) retransmitting() asm.Instructions {
	a.begin()
	a.clear()
	a.add(
		asm.LoadMem(objRegister, ctxRegister, 0, asm.DWord),
		asm.StoreImm(asm.RFP, stackEvent+evKind, eventRetransmit, asm.Word),
	)
	a.read(stackWord, 1, objRegister, a.k.sockState)
	a.add(asm.LoadMem(asm.R1, asm.RFP, stackWord, asm.Byte), asm.JNE.Imm(asm.R1, tcpSynSent, "exit"))
	a.socket()
	a.send()
	return a.program("retransmitting", 0)
}
