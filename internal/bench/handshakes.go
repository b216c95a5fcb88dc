package main

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"time"
)

// flight is what one side wrote in a row.
type flight struct {
	fromServer bool
	data       []byte
}

// recordHandshakes makes real TLS handshakes in memory, TLS 1.3 and every
// third TLS 1.2, and returns what crossed the wire in each. Ed25519 keeps the
// lengths the same from run to run; keys and randoms differ.
func recordHandshakes(n int) ([][]flight, error) {
	// A fixed seed: the certificate is the same in every run.
	key := ed25519.NewKeyFromSeed([]byte("goproxytrace benchmark captures!"))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "proxy.example", Organization: []string{"Benchmark Module Proxy"}},
		DNSNames:     []string{"proxy.example", "sum.example", "*.mirror.example"},
		NotBefore:    time.Unix(1700000000, 0), NotAfter: time.Unix(4000000000, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	// RFC 5280 certificates of public servers are of this size with their
	// extensions; an unused one stands in for those.
	template.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Value: make([]byte, 900)}}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("create certificate: %w", err)
	}
	cert := tls.Certificate{Certificate: [][]byte{der, der}, PrivateKey: key}
	names := []string{"proxy.example", "sum.example", "eu.mirror.example", "us.mirror.example"}
	out := make([][]flight, 0, n)
	for i := range n {
		version := uint16(tls.VersionTLS13)
		if i%3 == 2 {
			version = tls.VersionTLS12
		}
		f, err := recordHandshake(cert, names[i%len(names)], version)
		if err != nil {
			return nil, fmt.Errorf("record handshake: %w", err)
		}
		out = append(out, f)
	}
	return out, nil
}

func recordHandshake(cert tls.Certificate, name string, version uint16) ([]flight, error) {
	c, s := net.Pipe()
	log := &flightLog{}
	client := tls.Client(&loggedConn{Conn: c, log: log}, &tls.Config{
		ServerName: name, NextProtos: []string{"h2", "http/1.1"},
		MinVersion: tls.VersionTLS12, MaxVersion: version,
		// Nothing is protected here: both ends live in this function.
		InsecureSkipVerify: true,
	})
	server := tls.Server(&loggedConn{Conn: s, log: log, fromServer: true}, &tls.Config{
		Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"},
	})
	done := make(chan error, 1)
	go func() {
		// A read carries the server through its handshake and, in TLS 1.3,
		// through the ticket that follows.
		b := make([]byte, 1)
		_, err := io.ReadFull(server, b)
		if err == nil {
			_, err = server.Write(b)
		}
		done <- err
	}()
	_, err := client.Write([]byte("x"))
	if err == nil {
		_, err = io.ReadFull(client, make([]byte, 1))
	}
	if serr := <-done; err == nil {
		err = serr
	}
	c.Close()
	s.Close()
	return log.flights, err
}

type flightLog struct {
	mu      sync.Mutex
	flights []flight
}

type loggedConn struct {
	net.Conn
	log        *flightLog
	fromServer bool
}

func (c *loggedConn) Write(b []byte) (int, error) {
	c.log.mu.Lock()
	if n := len(c.log.flights); n > 0 && c.log.flights[n-1].fromServer == c.fromServer {
		c.log.flights[n-1].data = append(c.log.flights[n-1].data, b...)
	} else {
		c.log.flights = append(c.log.flights, flight{c.fromServer, append([]byte(nil), b...)})
	}
	c.log.mu.Unlock()
	return c.Conn.Write(b)
}
