package probe

import (
	"net"
	"sync"
)

// meter counts what goes over a connection. The first write of a TLS client is
// its ClientHello.
type meter struct {
	net.Conn

	mu       sync.Mutex
	first    int // bytes of the first write
	received int
}

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.mu.Lock()
	if m.first == 0 {
		m.first = n
	}
	m.mu.Unlock()
	return n, err
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.mu.Lock()
	m.received += n
	m.mu.Unlock()
	return n, err
}

func (m *meter) counts() (first, received int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.first, m.received
}
