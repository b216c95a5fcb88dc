package dnswire

// Stream takes the messages out of one direction of a TCP connection (RFC
// 1035, section 4.2.2). The zero Stream is ready for use; one that is idle
// holds no memory.
type Stream struct {
	buf    []byte
	length [2]byte
	have   uint8 // bytes of length held
	remain int   // bytes of the message still to come
	skip   bool  // the message has missing bytes
	lost   bool  // the boundaries are lost for good
}

// Data takes the next bytes and calls emit for each message that they
// complete. What emit is given is borrowed.
func (s *Stream) Data(b []byte, emit func(message []byte)) {
	for len(b) > 0 && !s.lost {
		if s.remain == 0 {
			n := copy(s.length[s.have:], b)
			s.have += uint8(n)
			b = b[n:]
			if s.have < 2 {
				return
			}
			s.have = 0
			s.remain = int(s.length[0])<<8 | int(s.length[1])
			// No message is shorter than its header.
			s.lost = s.remain < 12
			continue
		}
		n := min(len(b), s.remain)
		s.remain -= n
		switch {
		case s.skip:
		case s.remain == 0 && len(s.buf) == 0:
			emit(b[:n])
		default:
			s.buf = append(s.buf, b[:n]...)
			if s.remain == 0 {
				emit(s.buf)
				s.buf = nil
			}
		}
		b = b[n:]
		if s.remain == 0 {
			s.skip = false
		}
	}
}

// Missing says that the next n bytes were not captured. The message they lie
// in is dropped; where they reach beyond it, so is the rest of the stream.
func (s *Stream) Missing(n int) {
	if n <= 0 || s.lost {
		return
	}
	s.buf = nil
	if n > s.remain {
		s.lost = true
		return
	}
	s.remain -= n
	s.skip = s.remain > 0
}
