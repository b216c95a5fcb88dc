package npcap

import (
	"errors"
	"fmt"

	"github.com/gopacket/gopacket/pcap"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"goproxytrace/capture"
	"goproxytrace/capture/engine/hint"
	_ "goproxytrace/capture/npcap/guard" // before pcap
)

// snapLen is more than any frame has.
const snapLen = 1 << 18

// Open begins to capture.
func Open(o Options) (*Capture, error) {
	s := observe()
	if !s.loaded {
		return nil, hint.New(errors.New("Npcap is not installed: wpcap.dll could not be loaded"), s.advice())
	}
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	c, err := open(o, func(a *Adapter) (Handle, error) { return activate(a, &o) })
	if err != nil {
		var advised interface{ Hint() string }
		if errors.As(err, &advised) {
			return nil, err
		}
		return nil, hint.New(err, s.advice())
	}
	if s.outdated() {
		c.info.Notes = append(c.info.Notes, s.advice())
	}
	return c, nil
}

func observe() state {
	s := state{loaded: pcap.LoadWinPCAP() == nil, elevated: windows.GetCurrentProcessToken().IsElevated()}
	if s.loaded {
		s.version = pcap.Version()
	}
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Services\npcap\Parameters`, registry.QUERY_VALUE)
	if err == nil {
		defer key.Close()
		n, _, err := key.GetIntegerValue("AdminOnly")
		s.adminOnly = err == nil && n != 0
	}
	return s
}

// handle is an adapter opened through wpcap.dll.
type handle struct{ *pcap.Handle }

func activate(a *Adapter, o *Options) (Handle, error) {
	inactive, err := pcap.NewInactiveHandle(a.Name)
	if err != nil {
		return nil, err
	}
	for _, set := range []error{
		inactive.SetSnapLen(snapLen), inactive.SetPromisc(false),
		inactive.SetTimeout(readTimeout), inactive.SetBufferSize(o.Buffer),
	} {
		if set != nil {
			inactive.CleanUp()
			return nil, set
		}
	}
	// Activate takes the handle over where it succeeds.
	active, err := inactive.Activate()
	if err != nil {
		inactive.CleanUp()
		return nil, err
	}
	h := handle{active}
	expression := o.Filter.Expression(h.LinkType())
	if err := active.SetBPFFilter(expression); err != nil {
		active.Close()
		return nil, hint.New(fmt.Errorf("filter expression %q: %w", expression, err), "The syntax is tcpdump's, see pcap-filter(7).")
	}
	return h, nil
}

func (h handle) LinkType() capture.LinkType { return capture.LinkType(h.Handle.LinkType()) }

func (h handle) Next() ([]byte, int64, int, error) {
	data, info, err := h.ZeroCopyReadPacketData()
	if errors.Is(err, pcap.NextErrorTimeoutExpired) {
		return nil, 0, 0, ErrTimeout
	}
	return data, info.Timestamp.UnixNano(), info.Length, err
}

func (h handle) Dropped() (uint64, error) {
	s, err := h.Stats()
	if err != nil {
		return 0, err
	}
	return uint64(uint32(s.PacketsDropped)), nil
}
