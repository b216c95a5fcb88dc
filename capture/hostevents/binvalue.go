package hostevents

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Types of values in binary XML ([MS-EVEN6] 2.2.12, BinXml value types). The bit
// 0x80 makes an array of them.
const (
	typeNull       = 0x00
	typeString     = 0x01
	typeANSI       = 0x02
	typeInt8       = 0x03
	typeUint8      = 0x04
	typeInt16      = 0x05
	typeUint16     = 0x06
	typeInt32      = 0x07
	typeUint32     = 0x08
	typeInt64      = 0x09
	typeUint64     = 0x0a
	typeReal32     = 0x0b
	typeReal64     = 0x0c
	typeBool       = 0x0d
	typeBinary     = 0x0e
	typeGUID       = 0x0f
	typeSize       = 0x10
	typeFileTime   = 0x11
	typeSystemTime = 0x12
	typeSID        = 0x13
	typeHex32      = 0x14
	typeHex64      = 0x15
	typeBinXML     = 0x21
	typeArray      = 0x80
)

// sizes are those of the types that have one; a value of another size is none.
var sizes = map[uint8]int{
	typeInt8: 1, typeUint8: 1, typeInt16: 2, typeUint16: 2, typeInt32: 4, typeUint32: 4, typeInt64: 8, typeUint64: 8,
	typeReal32: 4, typeReal64: 8, typeBool: 4, typeGUID: 16, typeFileTime: 8, typeSystemTime: 16, typeHex32: 4, typeHex64: 8,
}

// valueText writes a value as event XML does; empty for one that makes no
// sense.
func valueText(typ uint8, s []byte) string {
	if typ&typeArray != 0 {
		return arrayText(typ&^typeArray, s)
	}
	if n, fixed := sizes[typ]; fixed && len(s) != n {
		return ""
	}
	le := binary.LittleEndian
	switch typ {
	case typeString:
		return utf16Text(s)
	case typeANSI:
		return clip(strings.TrimRight(string(s), "\x00"), maxValue)
	case typeInt8:
		return decimal(int8(s[0]))
	case typeUint8:
		return strconv.Itoa(int(s[0]))
	case typeInt16:
		return decimal(int16(le.Uint16(s)))
	case typeUint16:
		return strconv.Itoa(int(le.Uint16(s)))
	case typeInt32:
		return decimal(int32(le.Uint32(s)))
	case typeUint32:
		return strconv.FormatUint(uint64(le.Uint32(s)), 10)
	case typeInt64:
		return decimal(int64(le.Uint64(s)))
	case typeUint64:
		return strconv.FormatUint(le.Uint64(s), 10)
	case typeReal32:
		return strconv.FormatFloat(float64(math.Float32frombits(le.Uint32(s))), 'g', -1, 32)
	case typeReal64:
		return strconv.FormatFloat(math.Float64frombits(le.Uint64(s)), 'g', -1, 64)
	case typeBool:
		return strconv.FormatBool(le.Uint32(s) != 0)
	case typeBinary:
		return strings.ToUpper(hex.EncodeToString(s[:min(len(s), maxValue/2)]))
	case typeGUID:
		return fmt.Sprintf("{%08X-%04X-%04X-%X-%X}", le.Uint32(s), le.Uint16(s[4:]), le.Uint16(s[6:]), s[8:10], s[10:])
	case typeSize:
		switch len(s) {
		case 4:
			return fmt.Sprintf("%#x", le.Uint32(s))
		case 8:
			return fmt.Sprintf("%#x", le.Uint64(s))
		}
	case typeHex32:
		return fmt.Sprintf("%#x", le.Uint32(s))
	case typeHex64:
		return fmt.Sprintf("%#x", le.Uint64(s))
	case typeFileTime:
		return timeText(filetime(le.Uint64(s)))
	case typeSystemTime:
		f := func(i int) int { return int(le.Uint16(s[2*i:])) }
		t := time.Date(f(0), time.Month(f(1)), f(3), f(4), f(5), f(6), f(7)*1e6, time.UTC)
		return t.Format("2006-01-02T15:04:05.000Z")
	case typeSID:
		return sidText(s)
	}
	return ""
}

// arrayText writes the values of an array, one a line.
func arrayText(typ uint8, s []byte) string {
	var out []string
	if typ == typeString {
		for begin, i := 0, 0; i+1 < len(s) && len(out) < maxData; i += 2 {
			if s[i] == 0 && s[i+1] == 0 {
				out = append(out, utf16Text(s[begin:i]))
				begin = i + 2
			}
		}
		return strings.Join(out, "\n")
	}
	n := sizes[typ]
	for n > 0 && len(s) >= n && len(out) < maxData {
		out = append(out, valueText(typ, s[:n]))
		s = s[n:]
	}
	return strings.Join(out, "\n")
}

// sidText writes a security identifier ([MS-DTYP] 2.4.2).
func sidText(s []byte) string {
	if len(s) < 8 || len(s) != 8+4*int(s[1]) {
		return ""
	}
	var authority uint64
	for _, c := range s[2:8] {
		authority = authority<<8 | uint64(c)
	}
	out := fmt.Sprintf("S-%d-%d", s[0], authority)
	for s = s[8:]; len(s) > 0; s = s[4:] {
		out += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(s))
	}
	return out
}
