package owner

import "github.com/cilium/ebpf/asm"

// porting sends the local end of a socket whose SYN is about to be sent
// (struct bpf_sock_ops, linux/bpf.h: op 0, family 20, local_ip4 28, local_ip6
// 48, local_port 68 in host byte order).
func (a *assembler) porting() asm.Instructions {
	a.begin()
	a.clear()
	a.add(
		asm.LoadMem(asm.R1, ctxRegister, 0, asm.Word),
		asm.JNE.Imm(asm.R1, opTCPConnect, "exit"),
		asm.StoreImm(asm.RFP, stackEvent+evKind, eventPort, asm.Word),
		asm.LoadMem(asm.R1, ctxRegister, 20, asm.Word),
		asm.StoreMem(asm.RFP, stackEvent+evFamily, asm.R1, asm.Half),
		asm.LoadMem(asm.R2, ctxRegister, 68, asm.Word),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.StoreMem(asm.RFP, stackEvent+evLocalPort, asm.R2, asm.Half),
		asm.JEq.Imm(asm.R1, afINET6, "six"),
		asm.JNE.Imm(asm.R1, afINET, "exit"),
		asm.LoadMem(asm.R1, ctxRegister, 28, asm.Word),
		asm.StoreMem(asm.RFP, stackEvent+evLocal, asm.R1, asm.Word),
		asm.Ja.Label("cookie"),
	)
	for i := range int16(4) {
		ins := asm.LoadMem(asm.R1, ctxRegister, 48+4*i, asm.Word)
		if i == 0 {
			a.mark("six", ins)
		} else {
			a.add(ins)
		}
		a.add(asm.StoreMem(asm.RFP, stackEvent+evLocal+4*i, asm.R1, asm.Word))
	}
	a.mark("cookie", asm.Mov.Reg(asm.R1, ctxRegister))
	a.add(asm.FnGetSocketCookie.Call())
	a.store(evCookie, asm.DWord)
	a.stamp(evTime)
	a.send()
	// sockops: 1 is "go on".
	return a.program("porting", 1)
}

// calling sends each connect() of a TCP socket, before the kernel looks for a
// route (struct bpf_sock_addr, linux/bpf.h: user_ip4 4, user_ip6 8, user_port
// 24 in network byte order, family 28, protocol 36).
func (a *assembler) calling(six bool) asm.Instructions {
	a.begin()
	a.clear()
	a.add(
		asm.LoadMem(asm.R1, ctxRegister, 36, asm.Word),
		asm.JNE.Imm(asm.R1, tcpProtocol, "exit"),
		asm.StoreImm(asm.RFP, stackEvent+evKind, eventConnect, asm.Word),
		asm.LoadMem(asm.R1, ctxRegister, 28, asm.Word),
		asm.StoreMem(asm.RFP, stackEvent+evFamily, asm.R1, asm.Half),
		asm.LoadMem(asm.R1, ctxRegister, 24, asm.Word),
		asm.StoreMem(asm.RFP, stackEvent+evPeerPort, asm.R1, asm.Half),
	)
	if six {
		for i := range int16(4) {
			a.add(asm.LoadMem(asm.R1, ctxRegister, 8+4*i, asm.Word), asm.StoreMem(asm.RFP, stackEvent+evRemote+4*i, asm.R1, asm.Word))
		}
	} else {
		a.add(asm.LoadMem(asm.R1, ctxRegister, 4, asm.Word), asm.StoreMem(asm.RFP, stackEvent+evRemote, asm.R1, asm.Word))
	}
	a.add(asm.FnGetCurrentTask.Call(), asm.Mov.Reg(tempRegister, asm.R0))
	a.pointer(walkRegister, tempRegister, a.k.taskNS)
	a.pointer(walkRegister, walkRegister, a.k.nsNet)
	a.read(stackEvent+evNamespace, 4, walkRegister, a.k.netInum)
	a.watched(stackEvent + evNamespace)
	a.add(asm.Mov.Reg(asm.R1, ctxRegister), asm.FnGetSocketCookie.Call())
	a.store(evCookie, asm.DWord)
	a.current()
	a.stamp(evTime)
	a.send()
	// cgroup/connect: 1 lets the call pass.
	return a.program("calling", 1)
}
