package tlswire

import (
	"crypto/md5"
	"encoding/hex"
	"testing"
)

// The examples that JA3's authors give with its definition.
func TestJA3(t *testing.T) {
	ext := func(types ...uint16) (l []Extension) {
		for _, n := range types {
			l = append(l, Extension{Type: n})
		}
		return l
	}
	for _, k := range []struct {
		hello     ClientHello
		text, sum string
	}{
		{ClientHello{
			Version: 769, CipherSuites: []uint16{47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4},
			Extensions: ext(0, 10, 11), Groups: []uint16{23, 24, 25}, PointFormats: []byte{0},
		}, "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0", "ada70206e40642a3e4461f35503241d5"},
		{ClientHello{Version: 769, CipherSuites: []uint16{4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99}},
			"769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6"},
		// GREASE changes nothing.
		{ClientHello{Version: 769, CipherSuites: []uint16{0x0a0a, 4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99, 0xfafa}, Extensions: ext(0x1a1a), Groups: []uint16{0x2a2a}},
			"769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6"},
	} {
		b := appendJA3(nil, &k.hello)
		sum := md5.Sum(b)
		if string(b) != k.text || hex.EncodeToString(sum[:]) != k.sum {
			t.Errorf("%s = %x, want %s = %s", b, sum, k.text, k.sum)
		}
	}
}

// The example of JA4's technical details.
func TestJA4(t *testing.T) {
	h := ClientHello{
		Version:             versionTLS12,
		SupportedVersions:   []uint16{0x6a6a, 0x0304, 0x0303},
		CipherSuites:        []uint16{0x8a8a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
		SignatureAlgorithms: []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601},
		ALPN:                []string{"h2", "http/1.1"},
	}
	for _, n := range []uint16{0x4a4a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0x5a5a} {
		h.Extensions = append(h.Extensions, Extension{Type: n})
	}
	if got, want := ja4(&h), "t13d1516h2_8daaf6152771_e5627efa2ab1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// Without signature algorithms the last part has no underscore; without
	// anything the hashes are zeros.
	if got, want := ja4(&ClientHello{Version: versionSSL3}), "ts3i000000_000000000000_000000000000"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for proto, want := range map[string]string{
		"h2": "h2", "http/1.1": "h1", "x": "xx", "": "00", "\xab": "ab", "\xab\xcd": "ad", "0\xab": "3b", "01\xab\xcd": "3d", "\xff0": "f0",
	} {
		if got := ja4ALPN([]string{proto}); got != want {
			t.Errorf("ALPN %q: %s, want %s", proto, got, want)
		}
	}
}

func TestTablesAreSorted(t *testing.T) {
	for name, table := range map[string][]entry{
		"suites": suites[:], "groups": groups[:], "extensions": extensions[:], "signatures": signatures[:],
		"versions": versions[:], "alerts": alerts[:], "handshakes": handshakes[:], "content types": contentTypes[:],
	} {
		for i := 1; i < len(table); i++ {
			if table[i-1].number >= table[i].number {
				t.Errorf("%s: %#x stands behind %#x", name, table[i].number, table[i-1].number)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, k := range [][2]string{
		{CipherSuiteName(0x1301), "TLS_AES_128_GCM_SHA256"}, {CipherSuiteName(0xc02f), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
		{CipherSuiteName(0x8a8a), "GREASE (0x8a8a)"}, {CipherSuiteName(0xfff0), "0xfff0"},
		{GroupName(0x11ec), "X25519MLKEM768"}, {GroupName(0x11eb), "SecP256r1MLKEM768"}, {GroupName(0x11ed), "SecP384r1MLKEM1024"},
		{ExtensionName(0), "server_name"}, {ExtensionName(0xfe0d), "encrypted_client_hello"}, {SignatureName(0x0904), "mldsa44"},
		{VersionName(0x0304), "TLS 1.3"}, {VersionName(0x0300), "SSL 3.0"}, {VersionName(0x7f1c), "TLS 1.3 draft 28"}, {VersionName(0), ""},
		{AlertName(112), "unrecognized_name"}, {AlertName(200), "alert 200"}, {HandshakeName(1), "client_hello"}, {HandshakeName(99), "handshake 99"},
		{ContentTypeName(23), "application_data"}, {ContentTypeName(99), "content type 99"}, {RoleServer.String(), "server"},
	} {
		if k[0] != k[1] {
			t.Errorf("%q, want %q", k[0], k[1])
		}
	}
	for n := range 256 {
		if knownHandshake(uint8(n)) != (lookup(handshakes[:], uint16(n)) != "" && n <= 67) {
			t.Errorf("handshake type %d", n)
		}
	}
}
