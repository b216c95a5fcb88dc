package tlswire

import (
	"fmt"
	"sort"
)

// entry is one row of a table in ascending order of number.
type entry struct {
	number uint16
	name   string
}

// lookup finds n in a table, or returns "".
func lookup(table []entry, n uint16) string {
	i := sort.Search(len(table), func(i int) bool { return table[i].number >= n })
	if i < len(table) && table[i].number == n {
		return table[i].name
	}
	return ""
}

// name is lookup with GREASE and a hexadecimal form for unknown numbers.
func name(table []entry, n uint16) string {
	if s := lookup(table, n); s != "" {
		return s
	}
	if isGREASE(n) {
		return fmt.Sprintf("GREASE (0x%04x)", n)
	}
	return fmt.Sprintf("0x%04x", n)
}

// CipherSuiteName returns the IANA name of a cipher suite, or its number in
// hexadecimal.
func CipherSuiteName(n uint16) string { return name(suites[:], n) }

// GroupName returns the IANA name of a named group, or its number in
// hexadecimal.
func GroupName(n uint16) string { return name(groups[:], n) }

// ExtensionName returns the IANA name of an extension, or its number in
// hexadecimal.
func ExtensionName(n uint16) string { return name(extensions[:], n) }

// SignatureName returns the IANA name of a signature scheme, or its number in
// hexadecimal.
func SignatureName(n uint16) string { return name(signatures[:], n) }

// VersionName returns the usual name of a protocol version, or its number in
// hexadecimal; "" for zero, which means that none was negotiated.
func VersionName(n uint16) string {
	if n == 0 {
		return ""
	}
	if n>>8 == 0x7f {
		return fmt.Sprintf("TLS 1.3 draft %d", n&0xff)
	}
	return name(versions[:], n)
}

// AlertName returns the IANA name of an alert description, or its number.
func AlertName(n uint8) string {
	if s := lookup(alerts[:], uint16(n)); s != "" {
		return s
	}
	return fmt.Sprintf("alert %d", n)
}

func knownAlert(n uint8) bool { return lookup(alerts[:], uint16(n)) != "" }

// HandshakeName returns the IANA name of a handshake message type, or its
// number.
func HandshakeName(n uint8) string {
	if s := lookup(handshakes[:], uint16(n)); s != "" {
		return s
	}
	return fmt.Sprintf("handshake %d", n)
}

func knownHandshake(n uint8) bool { return n <= 67 && 1<<(n&63)&knownHandshakes[n>>6] != 0 }

// knownHandshakes has a bit for each type that a record in clear may hold.
var knownHandshakes = func() (set [2]uint64) {
	for _, e := range handshakes {
		if e.number <= 67 {
			set[e.number>>6] |= 1 << (e.number & 63)
		}
	}
	return set
}()

// ContentTypeName returns the name of a record's content type, or its number.
func ContentTypeName(n uint8) string {
	if s := lookup(contentTypes[:], uint16(n)); s != "" {
		return s
	}
	return fmt.Sprintf("content type %d", n)
}

var contentTypes = [...]entry{
	{typeChangeCipherSpec, "change_cipher_spec"},
	{typeAlert, "alert"},
	{typeHandshake, "handshake"},
	{typeApplicationData, "application_data"},
	{typeHeartbeat, "heartbeat"},
}

var versions = [...]entry{
	{0x0002, "SSL 2.0"},
	{versionSSL3, "SSL 3.0"},
	{0x0301, "TLS 1.0"},
	{0x0302, "TLS 1.1"},
	{versionTLS12, "TLS 1.2"},
	{versionTLS13, "TLS 1.3"},
}

var handshakes = [...]entry{
	{helloRequest, "hello_request"},
	{helloClient, "client_hello"},
	{helloServer, "server_hello"},
	{4, "new_session_ticket"},
	{5, "end_of_early_data"},
	{6, "hello_retry_request"}, // drafts of TLS 1.3
	{8, "encrypted_extensions"},
	{typeCertificate, "certificate"},
	{typeServerKeyExchange, "server_key_exchange"},
	{typeCertificateRequest, "certificate_request"},
	{typeServerHelloDone, "server_hello_done"},
	{15, "certificate_verify"},
	{typeClientKeyExchange, "client_key_exchange"},
	{20, "finished"},
	{21, "certificate_url"},
	{22, "certificate_status"},
	{23, "supplemental_data"},
	{24, "key_update"},
	{25, "compressed_certificate"},
	{67, "next_protocol"},
	{254, "message_hash"},
}

var alerts = [...]entry{
	{0, "close_notify"},
	{1, "end_of_early_data"}, // drafts of TLS 1.3
	{10, "unexpected_message"},
	{20, "bad_record_mac"},
	{21, "decryption_failed"},
	{22, "record_overflow"},
	{30, "decompression_failure"},
	{40, "handshake_failure"},
	{41, "no_certificate"},
	{42, "bad_certificate"},
	{43, "unsupported_certificate"},
	{44, "certificate_revoked"},
	{45, "certificate_expired"},
	{46, "certificate_unknown"},
	{47, "illegal_parameter"},
	{48, "unknown_ca"},
	{49, "access_denied"},
	{50, "decode_error"},
	{51, "decrypt_error"},
	{52, "too_many_cids_requested"},
	{60, "export_restriction"},
	{70, "protocol_version"},
	{71, "insufficient_security"},
	{80, "internal_error"},
	{86, "inappropriate_fallback"},
	{90, "user_canceled"},
	{100, "no_renegotiation"},
	{109, "missing_extension"},
	{110, "unsupported_extension"},
	{111, "certificate_unobtainable"},
	{112, "unrecognized_name"},
	{113, "bad_certificate_status_response"},
	{114, "bad_certificate_hash_value"},
	{115, "unknown_psk_identity"},
	{116, "certificate_required"},
	{117, "general_error"},
	{120, "no_application_protocol"},
	{121, "ech_required"},
}

var groups = [...]entry{
	{0x0001, "sect163k1"}, {0x0002, "sect163r1"}, {0x0003, "sect163r2"},
	{0x0004, "sect193r1"}, {0x0005, "sect193r2"}, {0x0006, "sect233k1"},
	{0x0007, "sect233r1"}, {0x0008, "sect239k1"}, {0x0009, "sect283k1"},
	{0x000a, "sect283r1"}, {0x000b, "sect409k1"}, {0x000c, "sect409r1"},
	{0x000d, "sect571k1"}, {0x000e, "sect571r1"}, {0x000f, "secp160k1"},
	{0x0010, "secp160r1"}, {0x0011, "secp160r2"}, {0x0012, "secp192k1"},
	{0x0013, "secp192r1"}, {0x0014, "secp224k1"}, {0x0015, "secp224r1"},
	{0x0016, "secp256k1"}, {0x0017, "secp256r1"}, {0x0018, "secp384r1"},
	{0x0019, "secp521r1"},
	{0x001a, "brainpoolP256r1"}, {0x001b, "brainpoolP384r1"}, {0x001c, "brainpoolP512r1"},
	{0x001d, "x25519"}, {0x001e, "x448"},
	{0x001f, "brainpoolP256r1tls13"}, {0x0020, "brainpoolP384r1tls13"}, {0x0021, "brainpoolP512r1tls13"},
	{0x0022, "GC256A"}, {0x0023, "GC256B"}, {0x0024, "GC256C"}, {0x0025, "GC256D"},
	{0x0026, "GC512A"}, {0x0027, "GC512B"}, {0x0028, "GC512C"},
	{0x0029, "curveSM2"},
	{0x0100, "ffdhe2048"}, {0x0101, "ffdhe3072"}, {0x0102, "ffdhe4096"},
	{0x0103, "ffdhe6144"}, {0x0104, "ffdhe8192"},
	{0x0200, "MLKEM512"}, {0x0201, "MLKEM768"}, {0x0202, "MLKEM1024"},
	{0x11eb, "SecP256r1MLKEM768"}, {0x11ec, "X25519MLKEM768"}, {0x11ed, "SecP384r1MLKEM1024"},
	{0x11ee, "curveSM2MLKEM768"},
	{0x4138, "CECPQ2"},
	{0x6399, "X25519Kyber768Draft00"}, {0x639a, "SecP256r1Kyber768Draft00"},
	{0xff01, "arbitrary_explicit_prime_curves"}, {0xff02, "arbitrary_explicit_char2_curves"},
}

var extensions = [...]entry{
	{extServerName, "server_name"},
	{1, "max_fragment_length"},
	{2, "client_certificate_url"},
	{3, "trusted_ca_keys"},
	{4, "truncated_hmac"},
	{5, "status_request"},
	{6, "user_mapping"},
	{7, "client_authz"},
	{8, "server_authz"},
	{9, "cert_type"},
	{extSupportedGroups, "supported_groups"},
	{extPointFormats, "ec_point_formats"},
	{12, "srp"},
	{extSignatureAlgorithms, "signature_algorithms"},
	{14, "use_srtp"},
	{15, "heartbeat"},
	{extALPN, "application_layer_protocol_negotiation"},
	{17, "status_request_v2"},
	{18, "signed_certificate_timestamp"},
	{19, "client_certificate_type"},
	{20, "server_certificate_type"},
	{21, "padding"},
	{22, "encrypt_then_mac"},
	{23, "extended_master_secret"},
	{24, "token_binding"},
	{25, "cached_info"},
	{26, "tls_lts"},
	{27, "compress_certificate"},
	{28, "record_size_limit"},
	{29, "pwd_protect"},
	{30, "pwd_clear"},
	{31, "password_salt"},
	{32, "ticket_pinning"},
	{33, "tls_cert_with_extern_psk"},
	{34, "delegated_credential"},
	{extSessionTicket, "session_ticket"},
	{36, "TLMSP"},
	{37, "TLMSP_proxying"},
	{38, "TLMSP_delegate"},
	{39, "supported_ekt_ciphers"},
	{extKeyShareDraft, "key_share (draft)"},
	{extPreSharedKey, "pre_shared_key"},
	{extEarlyData, "early_data"},
	{extSupportedVersions, "supported_versions"},
	{44, "cookie"},
	{45, "psk_key_exchange_modes"},
	{47, "certificate_authorities"},
	{48, "oid_filters"},
	{49, "post_handshake_auth"},
	{extSignatureAlgsCert, "signature_algorithms_cert"},
	{extKeyShare, "key_share"},
	{52, "transparency_info"},
	{53, "connection_id (deprecated)"},
	{54, "connection_id"},
	{55, "external_id_hash"},
	{56, "external_session_id"},
	{57, "quic_transport_parameters"},
	{58, "ticket_request"},
	{59, "dnssec_chain"},
	{60, "sequence_number_encryption_algorithms"},
	{61, "rrc"},
	{62, "tls_flags"},
	{0x3374, "next_protocol_negotiation"},
	{0x4469, "application_settings"},
	{0x44cd, "application_settings_new"},
	{0x754f, "channel_id_old"},
	{0x7550, "channel_id"},
	{0xca34, "trust_anchors"},
	{0xfd00, "ech_outer_extensions"},
	{extECHDraft8, "encrypted_client_hello (draft 8)"},
	{extECHDraft9, "encrypted_client_hello (draft 9)"},
	{extECHDraft10, "encrypted_client_hello (draft 10)"},
	{extECH, "encrypted_client_hello"},
	{0xff01, "renegotiation_info"},
	{0xffa5, "quic_transport_parameters (draft)"},
	{extESNI, "encrypted_server_name (draft)"},
}

var signatures = [...]entry{
	{0x0101, "rsa_pkcs1_md5"},
	{0x0201, "rsa_pkcs1_sha1"},
	{0x0202, "dsa_sha1"},
	{0x0203, "ecdsa_sha1"},
	{0x0301, "rsa_pkcs1_sha224"},
	{0x0302, "dsa_sha224"},
	{0x0303, "ecdsa_sha224"},
	{0x0401, "rsa_pkcs1_sha256"},
	{0x0402, "dsa_sha256"},
	{0x0403, "ecdsa_secp256r1_sha256"},
	{0x0420, "rsa_pkcs1_sha256_legacy"},
	{0x0501, "rsa_pkcs1_sha384"},
	{0x0502, "dsa_sha384"},
	{0x0503, "ecdsa_secp384r1_sha384"},
	{0x0520, "rsa_pkcs1_sha384_legacy"},
	{0x0601, "rsa_pkcs1_sha512"},
	{0x0602, "dsa_sha512"},
	{0x0603, "ecdsa_secp521r1_sha512"},
	{0x0620, "rsa_pkcs1_sha512_legacy"},
	{0x0704, "eccsi_sha256"},
	{0x0705, "iso_ibs1"},
	{0x0706, "iso_ibs2"},
	{0x0707, "iso_chinese_ibs"},
	{0x0708, "sm2sig_sm3"},
	{0x0804, "rsa_pss_rsae_sha256"},
	{0x0805, "rsa_pss_rsae_sha384"},
	{0x0806, "rsa_pss_rsae_sha512"},
	{0x0807, "ed25519"},
	{0x0808, "ed448"},
	{0x0809, "rsa_pss_pss_sha256"},
	{0x080a, "rsa_pss_pss_sha384"},
	{0x080b, "rsa_pss_pss_sha512"},
	{0x081a, "ecdsa_brainpoolP256r1tls13_sha256"},
	{0x081b, "ecdsa_brainpoolP384r1tls13_sha384"},
	{0x081c, "ecdsa_brainpoolP512r1tls13_sha512"},
	{0x0904, "mldsa44"},
	{0x0905, "mldsa65"},
	{0x0906, "mldsa87"},
}
