//go:build linux

package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"
)

// Kind is a kind of server certificate.
type Kind int

const (
	Good      Kind = iota // under the client's authority
	Untrusted             // under an authority that the client does not know
	Expired               // since an hour
	WrongName             // for another host
)

// authority is a private certificate authority.
type authority struct {
	cert *x509.Certificate
	der  []byte
	key  *ecdsa.PrivateKey
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{"Lab"}},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	return &authority{cert, der, key}, err
}

// pem is what SSL_CERT_FILE holds.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.der})
}

// issue makes a server certificate for name.
func (a *authority) issue(name string, kind Kind) (tls.Certificate, error) {
	from, to := time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour)
	switch kind {
	case Untrusted:
		other, err := newAuthority("Inspection Root")
		if err != nil {
			return tls.Certificate{}, err
		}
		return other.issue(name, Good)
	case Expired:
		to = time.Now().Add(-time.Hour)
	case WrongName:
		name = "other.invalid"
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, key.Public(), a.key)
	return tls.Certificate{Certificate: [][]byte{der, a.der}, PrivateKey: key}, err
}
