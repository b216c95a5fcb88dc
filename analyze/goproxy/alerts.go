package goproxy

import (
	"strconv"
	"strings"
)

// alertNumbers maps the words that crypto/tls has for an alert to its number
// (crypto/tls/alert.go).
var alertNumbers = map[string]int{
	"close notify": 0, "unexpected message": 10, "bad record mac": 20, "decryption failed": 21, "record overflow": 22,
	"decompression failure": 30, "handshake failure": 40, "bad certificate": 42, "unsupported certificate": 43, "revoked certificate": 44,
	"expired certificate": 45, "unknown certificate": 46, "illegal parameter": 47, "unknown certificate authority": 48,
	"access denied": 49, "error decoding message": 50, "error decrypting message": 51, "export restriction": 60,
	"protocol version not supported": 70, "insufficient security level": 71, "internal error": 80, "inappropriate fallback": 86,
	"user canceled": 90, "no renegotiation": 100, "missing extension": 109, "unsupported extension": 110,
	"certificate unobtainable": 111, "unrecognized name": 112, "bad certificate status response": 113,
	"bad certificate hash value": 114, "unknown psk identity": 115, "certificate required": 116,
	"no application protocol": 120, "encrypted client hello required": 121,
}

// alertNumber reads what follows "tls: ", -1 for none that is known.
func alertNumber(words string) int {
	words = strings.ToLower(strings.TrimSpace(words))
	if n, ok := alertNumbers[words]; ok {
		return n
	}
	if inner, ok := strings.CutPrefix(words, "alert("); ok {
		if n, err := strconv.ParseUint(strings.TrimSuffix(inner, ")"), 10, 8); err == nil {
			return int(n)
		}
	}
	return -1
}
