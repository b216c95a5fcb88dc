package analyze

import (
	"encoding/json"
	"fmt"
	"iter"
)

// Held is a finished connection as a Store holds it: exactly one field is set.
type Held struct {
	// Connection is shared with the Store and must not be changed.
	Connection *Connection
	// JSON is the connection as encoding/json writes it, valid until the
	// next one is asked for.
	JSON []byte
}

// Decode returns the connection; it is the caller's own only where JSON is set.
func (h Held) Decode() (*Connection, error) {
	if h.Connection != nil {
		return h.Connection, nil
	}
	c := new(Connection)
	if err := json.Unmarshal(h.JSON, c); err != nil {
		return nil, fmt.Errorf("decoding a finished connection: %w", err)
	}
	return c, nil
}

// Held yields the connections in order of their IDs, without decoding those
// that are encoded.
func (s *Store) Held() iter.Seq2[Held, error] {
	return func(yield func(Held, error) bool) {
		for h, err := range s.raw() {
			if !yield(Held{Connection: h.conn, JSON: h.json}, err) || err != nil {
				return
			}
		}
	}
}
