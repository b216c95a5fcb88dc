package tcpflow

import "testing"

func TestProbe(t *testing.T) {
	for i, s := range []string{opened + `
40 > A 1001 5001 mptcp=0 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=0 mptcplen=12 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=0 mptcplen=20 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=1 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=1 mptcplen=12 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=1 mptcplen=16 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=1 mptcplen=24 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=2 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=3 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=4 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=5 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=6 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=7 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=8 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=9 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,
opened + `
40 > A 1001 5001 mptcp=15 mptcplen=4 len=2
41 > A 1003 5001
42 > A 1003 5001 mptcp=3
43 > A 1003 5001`,	} {
		fr := parseScript(t, s, i)
		p := newPlay(t, Options{})
		for k, f := range askTshark(t, fr) {
			t.Logf("%-30s tshark %s | we %s", fr[k].text, f, p.segment(fr[k]))
		}
		t.Log("--")
	}
}
