package probe

import (
	"goproxytrace/analyze/diagnose"
)

// Cause is which difference decides between passing and dying.
type Cause string

// Causes.
const (
	// Healthy: the go command's own way passed each time.
	Healthy Cause = "healthy"
	// Intermittent: it passed and died with nothing changed.
	Intermittent Cause = "intermittent"
	// Undecided: it died, and no difference tells why.
	Undecided Cause = "undecided"
	// NotRun: nothing was tried that says anything.
	NotRun Cause = "not-run"

	LookupFailed Cause = "lookup-failed"
	LookupForged Cause = "lookup-forged"
	LocalBlock   Cause = "local-block"
	AddressBlock Cause = "address"
	PortBlock    Cause = "port"
	NameBlock    Cause = "name"
	LargeHello   Cause = "hello-size"
	PostQuantum  Cause = "post-quantum"
	PathMTU      Cause = "path-mtu"
	Family       Cause = "family"
	Inspection   Cause = "inspection"
	// Readable: the go command is let through, by something that inspects and
	// that this system trusts.
	Readable      Cause = "inspection-trusted"
	BadCert       Cause = "certificate"
	ProxyRefusal  Cause = "proxy-refused"
	ProxyFailure  Cause = "proxy-failed"
	SilentServer  Cause = "silent-server"
	HTTPRefusal   Cause = "http-status"
	HTTP2         Cause = "http2"
	SilentRequest Cause = "silent-request"
	Throttled     Cause = "throttled"
)

// Finding is the judgement on one host.
type Finding struct {
	Target
	Cause Cause
	// Address is the remote end that it is about, empty for none.
	Address string
	// Verdict is in the words of the contract. Its class is that of the go
	// command's own way, ok where that passed.
	diagnose.Verdict
	// Cells are the matrix: what each arm came to in each lane.
	Cells []Cell
}

// Cell is what the attempts of one arm in one lane came to.
type Cell struct {
	Lane
	Arm Arm
	// Passed and Died count the outcomes that say something, Shadowed the
	// failures that a block left over from another may have caused.
	Passed, Died, Shadowed int
	// Stage, End and Class are of the latest attempt that died and counts;
	// where none counts, of the latest that died.
	Stage diagnose.Stage
	End   End
	Class diagnose.Class
	// Attempts are its attempts in order.
	Attempts []*Attempt
}

// Counted is how many outcomes say something.
func (c *Cell) Counted() int { return c.Passed + c.Died }

// Uncounted is how many failures do not count, since one before may have caused
// them; none with Timing.Quick.
func (c *Cell) Uncounted() int { return len(c.Attempts) - c.Counted() }

// always reports whether each outcome that counts passed (or died).
func (c *Cell) alwaysPassed() bool { return c != nil && c.Passed > 0 && c.Died == 0 }
func (c *Cell) alwaysDied() bool   { return c != nil && c.Died > 0 && c.Passed == 0 }

// Values that sentences of findings mention, beside diagnose.CommonValues.
func armValues(c *Cell) []diagnose.Value {
	return []diagnose.Value{
		diagnose.Text("arm", string(c.Arm)), diagnose.Num("passed", int64(c.Passed)), diagnose.Num("of", int64(c.Counted())),
		diagnose.Num("shadowed", int64(c.Uncounted())), diagnose.Text("class", string(c.Class)), diagnose.Text("way", c.way()),
	}
}

// way says how a lane goes, for people: an address, a proxy or a resolver.
func (l *Lane) way() string {
	switch {
	case l.Via != "":
		return l.Via
	case l.Address.IsValid():
		return l.Address.String()
	case l.Resolver.IsValid():
		return l.Resolver.String()
	}
	return ""
}
