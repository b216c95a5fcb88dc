package owner

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// layout finds where the running kernel keeps the fields of its structures.
// The first failure sticks.
type layout struct {
	spec *btf.Spec
	err  error
}

// at returns the offset in bytes of a field that names lead to from a
// structure; anonymous structures and unions on the way are not named.
func (l *layout) at(structure string, names ...string) int32 {
	if l.err != nil {
		return 0
	}
	var s *btf.Struct
	if err := l.spec.TypeByName(structure, &s); err != nil {
		l.err = fmt.Errorf("kernel type %s: %w", structure, err)
		return 0
	}
	var t btf.Type = s
	var bits btf.Bits
	for _, name := range names {
		m, ok := member(t, name)
		if !ok {
			l.err = fmt.Errorf("kernel type %s has no field %s", structure, name)
			return 0
		}
		if m.BitfieldSize != 0 {
			l.err = fmt.Errorf("kernel type %s: field %s is a bit field", structure, name)
			return 0
		}
		bits += m.Offset
		t = m.Type
	}
	return int32(bits.Bytes())
}

func member(t btf.Type, name string) (btf.Member, bool) {
	var members []btf.Member
	switch s := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		members = s.Members
	case *btf.Union:
		members = s.Members
	}
	for _, m := range members {
		if m.Name == name {
			return m, true
		}
		if m.Name == "" {
			if inner, ok := member(m.Type, name); ok {
				inner.Offset += m.Offset
				return inner, true
			}
		}
	}
	return btf.Member{}, false
}

// kernel is what the programs need to know of the running kernel: offsets in
// bytes of fields in its structures.
type kernel struct {
	// struct sock and what it begins with
	sockNet, sockFamily, sockState, sockDport, sockDaddr, sockSaddr, sockDaddr6, sockSaddr6 int32
	sockProtocol, sockErr, sockSport                                                        int32
	netInum                                                                                 int32
	// struct task_struct
	taskLeader, taskTGID, taskParent, taskFlags, taskStart, taskComm, taskNS, taskSignal, taskExit, taskMM, taskPid int32
	nsNet                                                                                                           int32
	pidLevel, pidNumbers, upidNr, upidNS, pidnsInum                                                                 int32
	signalLive, signalExit, signalFlags                                                                             int32
	mmArgStart, mmArgEnd                                                                                            int32
	bprmInterp                                                                                                      int32
}

func readKernel(types *btf.Cache) (*kernel, error) {
	spec, err := types.Kernel()
	if err != nil {
		if errors.Is(err, btf.ErrNotSupported) || errors.Is(err, btf.ErrNotFound) {
			return nil, errors.New("the kernel has no type information (CONFIG_DEBUG_INFO_BTF)")
		}
		return nil, fmt.Errorf("kernel type information: %w", err)
	}
	l := &layout{spec: spec}
	common := func(names ...string) int32 { return l.at("sock", append([]string{"__sk_common"}, names...)...) }
	k := &kernel{
		sockNet:      common("skc_net", "net"),
		sockFamily:   common("skc_family"),
		sockState:    common("skc_state"),
		sockDport:    common("skc_dport"),
		sockDaddr:    common("skc_daddr"),
		sockSaddr:    common("skc_rcv_saddr"),
		sockDaddr6:   common("skc_v6_daddr"),
		sockSaddr6:   common("skc_v6_rcv_saddr"),
		sockProtocol: l.at("sock", "sk_protocol"),
		sockErr:      l.at("sock", "sk_err"),
		sockSport:    l.at("inet_sock", "inet_sport"),
		netInum:      l.at("net", "ns", "inum"),
		taskLeader:   l.at("task_struct", "group_leader"),
		taskTGID:     l.at("task_struct", "tgid"),
		taskParent:   l.at("task_struct", "real_parent"),
		taskFlags:    l.at("task_struct", "flags"),
		taskStart:    l.at("task_struct", "start_boottime"),
		taskComm:     l.at("task_struct", "comm"),
		taskNS:       l.at("task_struct", "nsproxy"),
		taskSignal:   l.at("task_struct", "signal"),
		taskExit:     l.at("task_struct", "exit_code"),
		taskMM:       l.at("task_struct", "mm"),
		taskPid:      l.at("task_struct", "thread_pid"),
		nsNet:        l.at("nsproxy", "net_ns"),
		pidLevel:     l.at("pid", "level"),
		pidNumbers:   l.at("pid", "numbers"),
		upidNr:       l.at("upid", "nr"),
		upidNS:       l.at("upid", "ns"),
		pidnsInum:    l.at("pid_namespace", "ns", "inum"),
		signalLive:   l.at("signal_struct", "live"),
		signalExit:   l.at("signal_struct", "group_exit_code"),
		signalFlags:  l.at("signal_struct", "flags"),
		mmArgStart:   l.at("mm_struct", "arg_start"),
		mmArgEnd:     l.at("mm_struct", "arg_end"),
		bprmInterp:   l.at("linux_binprm", "interp"),
	}
	return k, l.err
}
