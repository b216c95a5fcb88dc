package probe

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// verify judges the shown chain as crypto/tls does for the go command: with
// the system's roots, for this name.
func verify(cs *tls.ConnectionState, name string) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("no certificate was shown")
	}
	_, err := cs.PeerCertificates[0].Verify(options(cs, name, nil))
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
	return nil
}

func options(cs *tls.ConnectionState, name string, roots *x509.CertPool) x509.VerifyOptions {
	o := x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range cs.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	return o
}

// maxChain bounds what is kept of a chain.
const maxChain = 8

// chainOf describes the chain. An issuer is public where a chain to a root of
// Mozilla's list exists; who is not on it is a company's, a product's or
// nobody's.
func chainOf(cs *tls.ConnectionState, name string) (out []Certified) {
	for i, c := range cs.PeerCertificates {
		if i == maxChain {
			break
		}
		sum := sha256.Sum256(c.Raw)
		d := Certified{Subject: c.Subject.String(), Issuer: c.Issuer.String(), NotAfter: c.NotAfter.UTC(), SHA256: hex.EncodeToString(sum[:])}
		for _, n := range c.DNSNames {
			if len(d.Names) == maxChain {
				break
			}
			d.Names = append(d.Names, n)
		}
		if i == 0 {
			_, err := c.Verify(options(cs, name, nil))
			d.Trusted = err == nil
			// Dates and names are another matter than who vouches.
			o := options(cs, "", publicRoots())
			o.CurrentTime = c.NotBefore
			_, err = c.Verify(o)
			d.Public = err == nil
		}
		out = append(out, d)
	}
	return out
}

var publicRoots = sync.OnceValue(func() *x509.CertPool {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		c, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			continue // of a newer kind than this program's Go reads
		}
		if root.Constraint == nil {
			pool.AddCert(c)
		} else {
			pool.AddCertWithConstraint(c, root.Constraint)
		}
	}
	return pool
})
