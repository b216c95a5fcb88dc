package report

import "strconv"

// FrameFilter returns the Wireshark display filter that shows the frames,
// which must ascend: "frame.number in {1,4..9}". It is empty for no frames.
func FrameFilter(frames []int64) string {
	if len(frames) == 0 {
		return ""
	}
	return string(appendFilter(nil, frames))
}

func appendFilter(b []byte, frames []int64) []byte {
	if len(frames) == 0 {
		return b
	}
	b = append(b, "frame.number in {"...)
	for i := 0; i < len(frames); {
		j := i
		for j+1 < len(frames) && frames[j+1]-frames[j] <= 1 {
			j++
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, frames[i], 10)
		switch last := frames[j]; {
		case last > frames[i]+1:
			b = append(b, ".."...)
			b = strconv.AppendInt(b, last, 10)
		case last == frames[i]+1:
			b = append(b, ',')
			b = strconv.AppendInt(b, last, 10)
		}
		i = j + 1
	}
	return append(b, '}')
}
