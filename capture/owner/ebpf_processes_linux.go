package owner

import "github.com/cilium/ebpf/asm"

// Register of the event's memory, for programs about processes: it is too
// large for the stack.
const bufRegister = asm.R6

// field copies size bytes at base+off of the kernel's memory into the event.
func (a *assembler) field(at, size int32, base asm.Register, off int32) {
	a.add(
		asm.Mov.Reg(asm.R3, base),
		asm.Add.Imm(asm.R3, off),
		asm.Mov.Reg(asm.R1, bufRegister),
		asm.Add.Imm(asm.R1, at),
		asm.Mov.Imm(asm.R2, size),
		asm.FnProbeReadKernel.Call(),
	)
}

// word moves a word from the stack into the event.
func (a *assembler) word(at int16, stack int16) {
	a.add(asm.LoadMem(asm.R1, asm.RFP, stack, asm.Word), asm.StoreMem(bufRegister, at, asm.R1, asm.Word))
}

// task begins an event about the process whose task is in objRegister; the
// program's context is in R6 before and lost.
func (a *assembler) task(kind int32) {
	a.pointer(tempRegister, objRegister, a.k.taskNS)
	a.pointer(tempRegister, tempRegister, a.k.nsNet)
	a.read(stackKey, 4, tempRegister, a.k.netInum)
	a.watched(stackKey)
	a.add(
		asm.LoadMem(tempRegister, asm.RFP, stackKey, asm.Word),
		asm.StoreImm(asm.RFP, stackWord, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, a.maps.scratch.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackWord),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.Mov.Reg(bufRegister, asm.R0),
		asm.StoreMem(bufRegister, prNamespace, tempRegister, asm.Word),
		asm.StoreImm(bufRegister, prKind, int64(kind), asm.Word),
		asm.StoreImm(bufRegister, prCode, 0, asm.Word),
		asm.StoreImm(bufRegister, prInner, 0, asm.Word),
		asm.StoreImm(bufRegister, prArgs, 0, asm.Word),
		asm.StoreImm(bufRegister, prPath, 0, asm.Word),
		asm.FnKtimeGetBootNs.Call(),
		asm.StoreMem(bufRegister, prTime, asm.R0, asm.DWord),
		asm.FnGetCurrentUidGid.Call(),
		asm.StoreMem(bufRegister, prUID, asm.R0, asm.Word),
	)
	a.pointer(tempRegister, objRegister, a.k.taskLeader)
	a.field(prStart, 8, tempRegister, a.k.taskStart)
	a.field(prComm, 16, tempRegister, a.k.taskComm)
	a.pid(stackEvent)
	a.word(prPID, stackEvent)
	// Its number in its own PID namespace, where that is not the first.
	a.pointer(walkRegister, tempRegister, a.k.taskPid)
	a.read(stackKey, 4, walkRegister, a.k.pidLevel)
	a.add(
		asm.LoadMem(asm.R1, asm.RFP, stackKey, asm.Word),
		asm.JEq.Imm(asm.R1, 0, "outer"),
		asm.JGT.Imm(asm.R1, 32, "outer"),
		asm.LSh.Imm(asm.R1, 4),
		asm.Add.Reg(walkRegister, asm.R1),
	)
	a.field(prInner, 4, walkRegister, a.k.pidNumbers+a.k.upidNr)
	a.mark("outer", asm.Mov.Imm(asm.R0, 0))
	a.pointer(tempRegister, tempRegister, a.k.taskParent)
	a.pid(stackEvent)
	a.word(prParent, stackEvent)
}

// sendTask sends an event of the fixed part and as many bytes more as the
// register holds.
func (a *assembler) sendTask(more asm.Register) {
	a.add(
		asm.LoadMapPtr(asm.R1, a.maps.ring.FD()),
		asm.Mov.Reg(asm.R2, bufRegister),
		asm.Mov.Reg(asm.R3, more),
		asm.And.Imm(asm.R3, maxArgs),
		asm.Add.Imm(asm.R3, prArgv),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
	)
	a.countLost()
}

// forking sends new processes (sched_process_fork: parent, child), not threads.
func (a *assembler) forking() asm.Instructions {
	a.begin()
	a.clear()
	a.add(asm.LoadMem(objRegister, ctxRegister, 8, asm.DWord))
	// A thread's leader is another task.
	a.pointer(tempRegister, objRegister, a.k.taskLeader)
	a.add(asm.JNE.Reg(tempRegister, objRegister, "exit"))
	a.task(eventFork)
	a.add(asm.Mov.Imm(tempRegister, 0))
	a.sendTask(tempRegister)
	return a.program("forking", 0)
}

// executing sends what a process executes, with its arguments, while they are
// sure to be in memory (sched_process_exec: task, old pid, bprm).
func (a *assembler) executing() asm.Instructions {
	a.begin()
	a.clear()
	a.add(
		asm.LoadMem(objRegister, ctxRegister, 0, asm.DWord),
		asm.LoadMem(asm.R1, ctxRegister, 16, asm.DWord),
		asm.StoreMem(asm.RFP, stackArgs, asm.R1, asm.DWord),
	)
	a.task(eventExec)
	a.add(asm.LoadMem(tempRegister, asm.RFP, stackArgs, asm.DWord))
	a.pointer(walkRegister, tempRegister, a.k.bprmInterp)
	a.add(
		asm.Mov.Reg(asm.R1, bufRegister),
		asm.Add.Imm(asm.R1, prPath),
		asm.Mov.Imm(asm.R2, maxPath),
		asm.Mov.Reg(asm.R3, walkRegister),
		asm.FnProbeReadKernelStr.Call(),
	)
	a.pointer(tempRegister, objRegister, a.k.taskMM)
	a.pointer(walkRegister, tempRegister, a.k.mmArgStart)
	a.pointer(tempRegister, tempRegister, a.k.mmArgEnd)
	a.add(
		asm.Sub.Reg(tempRegister, walkRegister),
		asm.StoreMem(bufRegister, prArgs, tempRegister, asm.Word),
		asm.JLE.Imm(tempRegister, maxArgs, "fits"),
		asm.Mov.Imm(tempRegister, maxArgs),
	)
	a.mark("fits", asm.And.Imm(tempRegister, maxArgs))
	a.add(
		asm.Mov.Reg(asm.R1, bufRegister),
		asm.Add.Imm(asm.R1, prArgv),
		asm.Mov.Reg(asm.R2, tempRegister),
		asm.Mov.Reg(asm.R3, walkRegister),
		asm.FnProbeReadUser.Call(),
		asm.JEq.Imm(asm.R0, 0, "read"),
		asm.StoreImm(bufRegister, prArgs, 0, asm.Word),
		asm.Mov.Imm(tempRegister, 0),
	)
	a.mark("read", asm.Mov.Imm(asm.R0, 0))
	a.sendTask(tempRegister)
	return a.program("executing", 0)
}

// exiting sends processes whose last thread ends (sched_process_exit: task).
func (a *assembler) exiting() asm.Instructions {
	a.begin()
	a.clear()
	a.add(asm.LoadMem(objRegister, ctxRegister, 0, asm.DWord))
	a.pointer(tempRegister, objRegister, a.k.taskSignal)
	a.read(stackKey, 4, tempRegister, a.k.signalLive)
	a.add(asm.LoadMem(asm.R1, asm.RFP, stackKey, asm.Word), asm.JNE.Imm(asm.R1, 0, "exit"))
	a.task(eventExit)
	a.pointer(tempRegister, objRegister, a.k.taskSignal)
	a.read(stackKey, 4, tempRegister, a.k.signalFlags)
	a.add(asm.LoadMem(asm.R1, asm.RFP, stackKey, asm.Word), asm.JSet.Imm(asm.R1, groupExit, "group"))
	a.field(prCode, 4, objRegister, a.k.taskExit)
	a.add(asm.Ja.Label("out"))
	a.mark("group", asm.Mov.Imm(asm.R0, 0))
	a.field(prCode, 4, tempRegister, a.k.signalExit)
	a.mark("out", asm.Mov.Imm(tempRegister, 0))
	a.sendTask(tempRegister)
	return a.program("exiting", 0)
}
