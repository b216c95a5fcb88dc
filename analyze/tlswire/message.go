package tlswire

// Kind tells what a Message reports.
type Kind uint8

// Values of Kind.
const (
	// KindHandshake is a handshake message in clear.
	KindHandshake Kind = iota + 1
	// KindAlert is an alert in clear.
	KindAlert
	// KindChangeCipherSpec is a change_cipher_spec record.
	KindChangeCipherSpec
	// KindApplicationData is a complete application data record.
	KindApplicationData
	// KindEncryptedHandshake and KindEncryptedAlert are complete records
	// of these content types whose content is not readable.
	KindEncryptedHandshake
	KindEncryptedAlert
	// KindOther is a complete record of another content type (heartbeat).
	KindOther
)

// Message is one thing that was completed by a frame.
type Message struct {
	Kind Kind
	// Type is the handshake type of a KindHandshake (HandshakeName).
	Type uint8
	// AlertLevel and Alert are those of a KindAlert (AlertName).
	AlertLevel, Alert uint8
	// Cut is true where the capture holds only the beginning of the
	// message; the frame is then the one that holds that beginning.
	Cut bool
	// Version is the version in the header of the record.
	Version uint16
	// Time is the frame's time in nanoseconds since 1970.
	Time int64
	// Offset is the stream offset in bytes of the record that the message
	// begins in.
	Offset int64
	// Length is that of a handshake message in bytes with its four header
	// bytes, else the record's length field.
	Length int
	// ClientHello is set for a ClientHello, ServerHello for a ServerHello
	// and a HelloRetryRequest, Chain for a Certificate.
	ClientHello *ClientHello
	ServerHello *ServerHello
	Chain       *Chain
}

// ServerName returns the first server name of a ClientHello, else "".
func (m *Message) ServerName() string { return m.ClientHello.ServerName() }

// JA3Hash returns the JA3 hash of a complete ClientHello, else "".
func (m *Message) JA3Hash() string {
	if m.ClientHello == nil {
		return ""
	}
	return m.ClientHello.JA3Hash
}
