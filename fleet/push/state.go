package push

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"goproxytrace/fleet/spans"
)

// State is what is known of an endpoint: the cases that it has, and the counters.
// It is a file (bbolt) that one process at a time has open; what a method
// returned without error for is on the disk.
type State struct {
	db *bolt.DB
	// Instance tells the counters of this state from those of others
	// (service.instance.id); Started is when they began to count.
	Instance string
	Started  time.Time
	// Secret is a key for pseudonyms where the operator keeps none.
	Secret []byte
}

// The buckets of the file.
var (
	bucketMeta     = []byte("meta")
	bucketCases    = []byte("cases")    // case to Record
	bucketRecorded = []byte("recorded") // a recorder's identifier to the case's
	bucketSeries   = []byte("series")   // spans.Series.Key to a count, 8 bytes
)

const stateSchema = "goproxytrace.push/v1"

// maxSeries bounds the counters, together with twice of it: captures name as many
// hosts as they like. What is beyond counts into a series of its own, as in the
// OpenTelemetry Metrics SDK ("Cardinality limits").
const maxSeries = 2000

// Record says what became of a case.
type Record struct {
	// Parts is how many of its parts the endpoint has acknowledged, made by
	// this Version of the program.
	Parts   int    `json:"parts"`
	Version string `json:"version,omitempty"`
	// Done is when all were, nil before.
	Done *time.Time `json:"done,omitempty"`
	// Refused counts spans that the endpoint will not take, Reason says why.
	Refused int64  `json:"refused,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Counts are what the case added to the counters, kept only where a later
	// case may complete it.
	Counts map[string]uint64 `json:"counts,omitempty"`
	// Superseded is true where it was not sent because another tells the
	// same, and more.
	Superseded bool `json:"superseded,omitempty"`
}

// ErrInUse says that another process has the state open.
var ErrInUse = errors.New("another process uses this state")

// errOtherEndpoint says that a state is about another endpoint.
type errOtherEndpoint struct{ path, have, want string }

func (e *errOtherEndpoint) Error() string {
	return fmt.Sprintf("state %s: it is what %s has acknowledged, not %s", e.path, e.have, e.want)
}

// IsOtherEndpoint reports whether a state was not opened because it is about
// another endpoint.
func IsOtherEndpoint(err error) bool {
	var e *errOtherEndpoint
	return errors.As(err, &e)
}

// Open opens a state, or makes it. One that was made for another endpoint is an
// error, unless moved says that the endpoint has a new name.
func Open(path, endpoint string, moved bool) (s *State, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	defer func() {
		// A file that somebody else wrote to makes bbolt panic.
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("state %s: damaged: %v", path, r)
		}
	}()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("state %s: %w", path, err)
	}
	s = &State{db: db}
	if err := db.Update(func(tx *bolt.Tx) error { return s.begin(tx, path, endpoint, moved) }); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

func (s *State) begin(tx *bolt.Tx, path, endpoint string, moved bool) error {
	for _, name := range [][]byte{bucketMeta, bucketCases, bucketRecorded, bucketSeries} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	get := func(name string) string { return string(meta.Get([]byte(name))) }
	put := func(name, value string) error { return meta.Put([]byte(name), []byte(value)) }
	switch have := get("schema"); have {
	case stateSchema:
	case "":
		var b [48]byte
		_, _ = rand.Read(b[:]) // it never fails (crypto/rand)
		err := errors.Join(put("schema", stateSchema), put("instance", uuid([16]byte(b[:16]))), put("secret", string(b[16:])),
			put("started", time.Now().UTC().Format(time.RFC3339Nano)), put("endpoint", endpoint))
		if err != nil {
			return err
		}
	default:
		return fmt.Errorf("state %s: schema %q, want %q", path, have, stateSchema)
	}
	if have := get("endpoint"); have != endpoint {
		if !moved {
			return &errOtherEndpoint{path, have, endpoint}
		}
		if err := put("endpoint", endpoint); err != nil {
			return err
		}
	}
	var err error
	if s.Started, err = time.Parse(time.RFC3339Nano, get("started")); err != nil {
		return fmt.Errorf("state %s: %w", path, err)
	}
	s.Instance, s.Secret = get("instance"), []byte(get("secret"))
	return nil
}

// uuid is a random one (RFC 9562, section 5.4).
func uuid(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Close closes the file.
func (s *State) Close() error { return s.db.Close() }

// Case returns what is recorded of a case, the zero Record for nothing.
func (s *State) Case(id string) (r Record, err error) {
	err = s.db.View(func(tx *bolt.Tx) error { return load(tx, id, &r) })
	return r, err
}

func load(tx *bolt.Tx, id string, r *Record) error {
	raw := tx.Bucket(bucketCases).Get([]byte(id))
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, r); err != nil {
		return fmt.Errorf("state: case %s: %w", id, err)
	}
	return nil
}

// Recorded returns the case of a recorder's identifier, "" for none.
func (s *State) Recorded(identifier string) (id string, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		id = string(tx.Bucket(bucketRecorded).Get([]byte(identifier)))
		return nil
	})
	return id, err
}

// Save records a case. Its identifier at a recorder is "" for none; add goes to
// the counters.
func (s *State) Save(id, recorder string, r Record, add map[string]uint64) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = s.db.Update(func(tx *bolt.Tx) error {
		if err := tx.Bucket(bucketCases).Put([]byte(id), raw); err != nil {
			return err
		}
		if recorder != "" && r.Done != nil {
			if err := tx.Bucket(bucketRecorded).Put([]byte(recorder), []byte(id)); err != nil {
				return err
			}
		}
		return count(tx.Bucket(bucketSeries), add)
	})
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

func count(b *bolt.Bucket, add map[string]uint64) error {
	had := b.Stats().KeyN
	for _, k := range slices.Sorted(maps.Keys(add)) {
		n := add[k]
		have := b.Get([]byte(k))
		if have == nil && had >= maxSeries {
			k = overflow(k, had < 2*maxSeries)
			have = b.Get([]byte(k))
		}
		if have == nil {
			had++
		}
		if len(have) == 8 {
			n += binary.BigEndian.Uint64(have)
		}
		if err := b.Put([]byte(k), binary.BigEndian.AppendUint64(nil, n)); err != nil {
			return err
		}
	}
	return nil
}

// overflow is the series of what has none of its own: of all servers together, or
// where even those would be too many (of hosts, of classes that no program has),
// of everything.
func overflow(key string, verdict bool) string {
	s, err := spans.ParseKey(key)
	if err != nil {
		return key
	}
	out := spans.Series{Metric: s.Metric, Attributes: map[string]string{OverflowKey: "true"}}
	if verdict {
		out.Host = s.Host
		for name, value := range s.Attributes {
			if name != string(semconv.ServerAddressKey) {
				out.Attributes[name] = value
			}
		}
	}
	return out.Key()
}

// OverflowKey marks the series of what is beyond maxSeries. In OTLP it is a
// boolean.
const OverflowKey = "otel.metric.overflow"

// Counter is the value of one series.
type Counter struct {
	spans.Series
	Value uint64
}

// Counters lists all series, by their keys.
func (s *State) Counters() (list []Counter, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSeries).ForEach(func(k, v []byte) error {
			series, err := spans.ParseKey(string(k))
			if err != nil || len(v) != 8 {
				return fmt.Errorf("state: series %q: damaged", k)
			}
			list = append(list, Counter{series, binary.BigEndian.Uint64(v)})
			return nil
		})
	})
	return list, err
}
