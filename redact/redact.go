// Package redact replaces what must not leave a machine by pseudonyms.
//
// In come values by their meaning: addresses, host names, paths, command
// lines, modules, free text; out come values of the same kind in which nothing
// private is left. One Redactor gives one value the same pseudonym wherever it
// stands, so that what belonged together still does: addresses of one network
// stay in one network, names below one domain stay below one domain, and a
// name keeps its length, so that it fits where it stood in a packet. What is
// public stays (Options.Public), and so do addresses whose meaning is what
// matters: loopback, unspecified, multicast, and 198.18.0.0/15.
//
// Where it is not known whether something is private, it is taken for private.
package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
)

// Kind is a kind of what is replaced.
type Kind uint8

// Kinds. Hosts are names of machines, Modules paths of modules, Commands the
// arguments of command lines.
const (
	Addresses Kind = iota
	Hosts
	Users
	Paths
	Modules
	Commands
	kinds
)

var kindNames = [kinds]string{"addresses", "hosts", "users", "paths", "modules", "commands"}

func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// KindNames lists what ParseKind takes.
func KindNames() []string { return kindNames[:] }

// ParseKind returns the kind of a name.
func ParseKind(name string) (Kind, error) {
	for k, n := range kindNames {
		if n == name {
			return Kind(k), nil
		}
	}
	return 0, fmt.Errorf("unknown kind %q", name)
}

// Options says what a Redactor replaces, and by what.
type Options struct {
	// Public returns the part at the end of a host name that is public: all
	// of it, a domain in which others have names of their own, or nothing.
	// In and out are in lower case without a dot at the end. Nil is nothing.
	Public func(host string) string
	// Reveal lists kinds that are not replaced. Credentials always are.
	Reveal []Kind
	// Key makes pseudonyms the same in all documents that are made with it
	// (HMAC with SHA-256). Without one they are numbered as they come.
	Key []byte
}

// A Redactor knows the pseudonyms given so far. It must not be used from
// several goroutines at once. Its memory grows with the number of different
// values it was given.
type Redactor struct {
	public func(string) string
	reveal [kinds]bool
	key    []byte

	addrs   addresses
	macs    map[[6]byte][6]byte
	zones   map[string]*zone
	hosts   map[string]string            // those replaced so far
	counted map[string]map[string]string // by stem: value to pseudonym
	issued  map[string]bool              // pseudonyms in counted
	// known are words that are secret where they stand in a text: users and
	// hosts without a domain, in lower case.
	known   map[string]Kind
	phrases []string // of known, those of several words; the longest first
	private []string // patterns of private modules
}

// New returns a Redactor.
func New(o Options) *Redactor {
	r := &Redactor{
		public: o.Public, key: o.Key,
		macs: make(map[[6]byte][6]byte), zones: make(map[string]*zone), hosts: make(map[string]string),
		counted: make(map[string]map[string]string), issued: make(map[string]bool), known: make(map[string]Kind),
	}
	r.addrs.init()
	for _, k := range o.Reveal {
		if k < kinds {
			r.reveal[k] = true
		}
	}
	return r
}

// Reveals reports whether values of a kind stay as they are.
func (r *Redactor) Reveals(k Kind) bool { return r.reveal[k] }

// LearnClient says that an address is this machine's, or that of another
// client: global addresses of its network (/24, /64) are then replaced too.
func (r *Redactor) LearnClient(a netip.Addr) {
	if a = plain(a); a.IsValid() && !stays(a) && blockOf(a) == nil {
		r.addrs.own[network(a)] = struct{}{}
	}
}

// maxKnown bounds the words that are looked for in texts.
const maxKnown = 4096

// LearnHost says that a word is the name of a host: it is then found in texts
// also where nothing but that tells it from another word.
func (r *Redactor) LearnHost(name string) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(name); err == nil || strings.Contains(name, ".") {
		return // texts show these by their form
	}
	r.learn(name, Hosts)
}

// LearnUser says that a word is the name of a user.
func (r *Redactor) LearnUser(name string) {
	if !commonUser(name) {
		r.learn(strings.ToLower(name), Users)
		// Texts are searched with ASCII letters made small, which keeps
		// lengths: other letters are found as they are written.
		r.learn(lower(name), Users)
		r.learn(lower(strings.ToUpper(name)), Users)
	}
}

func (r *Redactor) learn(word string, k Kind) {
	if len(word) < 2 || len(word) > 256 || len(r.known) >= maxKnown || ordinary[word] {
		return
	}
	if _, have := r.known[word]; have {
		return
	}
	r.known[word] = k
	if strings.Trim(word, wordBytes) == "" {
		return
	}
	at := 0
	for at < len(r.phrases) && len(r.phrases[at]) >= len(word) {
		at++
	}
	r.phrases = append(r.phrases, "")
	copy(r.phrases[at+1:], r.phrases[at:])
	r.phrases[at] = word
}

// LearnPrivate takes patterns of private modules in the form of GOPRIVATE.
func (r *Redactor) LearnPrivate(patterns string) {
	for p := range strings.SplitSeq(patterns, ",") {
		if p = strings.TrimSuffix(strings.TrimSpace(p), "/"); p != "" && len(r.private) < maxKnown {
			r.private = append(r.private, p)
		}
	}
}

// mac returns the keyed hash of a value of a kind.
func (r *Redactor) mac(kind string, value string) [sha256.Size]byte {
	h := hmac.New(sha256.New, r.key)
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(value))
	return [sha256.Size]byte(h.Sum(nil))
}

// numbered returns the pseudonym of a value that may have any length: the stem
// and a number, or with a key the beginning of its hash.
func (r *Redactor) numbered(stem, value string) string {
	m := r.counted[stem]
	if m == nil {
		m = make(map[string]string)
		r.counted[stem] = m
	}
	if p, ok := m[value]; ok {
		return p
	}
	if r.issued[value] {
		return value // replaced already
	}
	p := fmt.Sprintf("%s-%d", stem, len(m)+1)
	if r.key != nil {
		p = fmt.Sprintf("%s-%.8x", stem, r.mac(stem, value))
	}
	m[value], r.issued[p] = p, true
	return p
}
