package tcpflow

// findings are the rules of the sequence analysis, each finding beside what
// looks like it. TestFindings plays them, TestFindingsAgainstTshark asks
// Wireshark whether the wanted findings are right.
var findings = []struct{ name, script string }{
	{"clean exchange", opened + `
30 > A  1001 5001 len=100
40 < A  5001 1101
41 < A  5001 1101 len=200
50 > A  1101 5201
60 > FA 1101 5201
70 < FA 5201 1102
80 > A  1102 5202`},

	{"keep-alive", opened + `
30    > A 1001 5001 len=100
40    < A 5001 1101
15000 > A 1100 5001          => keep_alive
15010 < A 5001 1101          => keep_alive_ack
30000 > A 1100 5001 len=1    => keep_alive
30010 < A 5001 1101          => keep_alive_ack`},
	{"keep-alive look-alike: two bytes sent again", opened + `
30    > A 1001 5001 len=100
40    < A 5001 1100
15000 > A 1099 5001 len=2    => retransmission`},
	{"a one-byte retransmission is called keep-alive", opened + `
30   > A 1001 5001 len=1
1030 > A 1001 5001 len=1     => keep_alive`},
	{"keep-alive look-alike: one byte before the last", opened + `
30   > A 1001 5001 len=100
1030 > A 1099 5001 len=1     => retransmission`},
	{"keep-alive look-alike: a FIN at that place", opened + `
30   > A  1001 5001 len=100
1030 > FA 1100 5001          => retransmission`},
	{"data after a probe byte is new", opened + `
30   > A 1001 5001 len=100
40   > A 1101 5001 len=1
1040 > A 1101 5001 len=50`},
	{"data before a probe byte is not", opened + `
30   > A 1001 5001 len=100
40   > A 1101 5001 len=1
1040 > A 1100 5001 len=50    => retransmission`},
	{"keep-alive answer look-alike: another window", opened + `
30    > A 1001 5001 len=100
40    < A 5001 1101
15000 > A 1100 5001          => keep_alive
15010 < A 5001 1101 win=500  => window_update`},
	{"keep-alive answer look-alike: only the latest segment counts", opened + `
30    > A 1001 5001 len=100
40    < A 5001 1101
15000 > A 1100 5001          => keep_alive
15005 > A 1101 5001          => duplicate_ack
15010 < A 5001 1101          => duplicate_ack`},

	{"window full", opened + `
30 < A 5001 1001 win=500     => window_update
35 > A 1001 5001 len=1000    => window_full`},
	{"window full look-alike: one byte less", opened + `
30 < A 5001 1001 win=500     => window_update
35 > A 1001 5001 len=999`},
	{"window full look-alike: one byte more", opened + `
30 < A 5001 1001 win=500     => window_update
35 > A 1001 5001 len=1001`},
	{"window full look-alike: no payload", opened + `
30 < A 5001 1001 win=500     => window_update
35 > A 1001 5001 len=999
36 > A 2000 5001             => duplicate_ack
37 > FA 2000 5001`},
	{"window full without scaling", `
0  > S  1000
10 < SA 5000 1001
20 > A  1001 5001
30 < A 5001 1001 win=500     => window_update
35 > A 1001 5001 len=500     => window_full`},
	{"window full where only one end scales", `
0  > S  1000
10 < SA 5000 1001 scale=7
20 > A  1001 5001
30 < A 5001 1001 win=500     => window_update
35 > A 1001 5001 len=500     => window_full`},
	{"window full where the answer does not scale", `
0  > S  1000 scale=7
10 < SA 5000 1001
20 > A  1001 5001
30 < A 5001 1001 win=500     => window_update
35 > A 1001 5001 len=500     => window_full`},
	{"window full with the window of the SYN/ACK, which is not scaled", `
0  > S  1000 scale=7
10 < SA 5000 1001 scale=7 win=500
20 > A  1001 5001
35 > A 1001 5001 len=500     => window_full`},
	{"window full look-alike: the scale is not known", `
0  > A 1001 5001
10 < A 5001 1001 win=500
20 > A 1001 5001 len=500`},
	{"a scale above 14 means 14", `
0  > S  1000 scale=14
10 < SA 5000 1001 scale=200
20 > A  1001 5001
30 < A 5001 1001 win=3       => window_update
35 > A 1001 5001 len=49152   => window_full`},
	{"a window scale counts in an ordinary segment too", opened + `
30 < A 5001 1001 win=500 scale=9 => window_update
35 > A 1001 5001 len=1000
36 < A 5001 2001 win=100
37 > A 2001 5001 len=51200   => window_full`},

	{"zero window", opened + `
30 < A  5001 1001 win=0      => zero_window
40 < FA 5001 1001 win=0
50 < R  5002 win=0`},
	{"zero window look-alike: one", opened + `
30 < A 5001 1001 win=1       => window_update`},
	{"zero window probe and its answer", opened + `
30   > A 1001 5001 len=100
40   < A 5001 1101 win=0      => zero_window
1040 > A 1101 5001 len=1      => zero_window_probe
1050 < A 5001 1101 win=0      => zero_window_probe_ack,zero_window
2050 > A 1101 5001 len=1      => zero_window_probe
2060 < A 5001 1101 win=500    => window_update
2070 > A 1101 5001 len=100`},
	{"zero window probe look-alike: two bytes", opened + `
30   > A 1001 5001 len=100
40   < A 5001 1101 win=0      => zero_window
1040 > A 1101 5001 len=2`},
	{"zero window probe look-alike: the window is open", opened + `
30   > A 1001 5001 len=100
40   < A 5001 1101
1040 > A 1101 5001 len=1`},
	{"zero window probe look-alike: the byte before", opened + `
30   > A 1001 5001 len=100
40   < A 5001 1101 win=0      => zero_window
1040 > A 1100 5001 len=1      => keep_alive,window_full`},

	{"window update", opened + `
30 > A 1001 5001 len=100
40 < A 5001 1101 win=100
50 < A 5001 1101 win=200      => window_update`},
	{"window update look-alike: with payload", opened + `
30 > A 1001 5001 len=100
40 < A 5001 1101 win=100
50 < A 5001 1101 win=200 len=1`},
	{"window update look-alike: acknowledges more", opened + `
30 > A 1001 5001 len=100
40 < A 5001 1051 win=100
50 < A 5001 1101 win=200`},

	{"duplicate acknowledgements", opened + `
30 > A 1001 5001 len=100
40 < A 5001 1001              => duplicate_ack
41 < A 5001 1001              => duplicate_ack
42 < A 5001 1101
43 < A 5001 1101              => duplicate_ack`},
	{"duplicate acknowledgement look-alike: payload", opened + `
30 > A 1001 5001 len=100
40 < A 5001 1101
41 < A 5001 1101 len=10
42 < A 5011 1101 len=10`},
	{"duplicate acknowledgement look-alike: FIN", opened + `
30 > A  1001 5001 len=100
40 < A  5001 1101
41 < FA 5001 1101`},
	{"multipath TCP repeats acknowledgements", opened + `
30 > A 1001 5001 len=100
40 < A 5001 1101 mptcp=2
41 < A 5001 1101 mptcp=3
42 < A 5001 1101 mptcp=3
43 < A 5001 1101 mptcp=3      => duplicate_ack
44 < A 5001 1101 mptcp=2      => duplicate_ack
45 < A 5001 1101              => duplicate_ack`},

	{"lost segment", opened + `
30 > A 1001 5001 len=100
31 > A 1201 5001 len=100      => lost_segment
32 > A 1401 5001              => lost_segment
33 > FA 1501 5001             => lost_segment`},
	{"lost segment look-alike: a reset", opened + `
30 > A 1001 5001 len=100
31 > R 1201`},
	{"lost segment look-alike: the capture begins there", `
0 > A 1001 5001 len=100
1 < A 7001 1101 len=100`},
	{"a capture that begins in a connection", `
0 > A 1001 7001 len=100
1 < A 7001 1101 len=100
2 > A 1101 7101`},

	{"acknowledgement of something unseen is reported once", opened + `
30 > A 1001 5001 len=100
40 < A 5001 1201              => ack_lost_segment
41 < A 5001 1301
42 < A 5001 1401`},
	{"acknowledgement of something unseen look-alike", opened + `
30 > A 1001 5001 len=100
40 < A 5001 1101`},
	{"acknowledgement of something behind a hole raises the mark", opened + `
30 > A 1001 5001 len=100
31 > A 1201 5001 len=100      => lost_segment
40 < A 5001 1301              => ack_lost_segment
41 < A 5001 1301              => duplicate_ack
42 > A 1101 5001 len=100      => retransmission,spurious_retransmission`},
	{"an unseen acknowledgement makes the next resend a fast one", opened + `
30 > A 1001 5001 len=100
31 > A 1101 5001 len=100
40 < A 5001 1101
41 > A 1201 6001              => ack_lost_segment
45 < A 5001 1101              => duplicate_ack`},

	{"retransmission", opened + `
30  > A 1001 5001 len=100
300 > A 1001 5001 len=100     => retransmission`},
	{"retransmission look-alike: the time is less than the initial RTT, not the newest bytes", opened + `
30   > A 1101 5001 len=100    => lost_segment
49.9 > A 1001 5001 len=100    => out_of_order`},
	{"at the initial RTT it is a retransmission", opened + `
30 > A 1101 5001 len=100      => lost_segment
50 > A 1001 5001 len=100      => retransmission`},
	{"a nanosecond before the initial RTT it is out of order", opened + `
30        > A 1101 5001 len=100 => lost_segment
49.999999 > A 1001 5001 len=100 => out_of_order`},
	{"the newest bytes again are never out of order", opened + `
30 > A 1001 5001 len=100
31 > A 1001 5001 len=100      => retransmission`},
	{"without a handshake 3 ms decide: before", `
30       > A 1101 5001 len=100
32.99999 > A 1001 5001 len=100 => out_of_order`},
	{"without a handshake 3 ms decide: at", `
30 > A 1101 5001 len=100
33 > A 1001 5001 len=100      => retransmission`},
	{"the latest SYN counts for the initial RTT", `
0    > S  1000
1000 > S  1000                => retransmission
1010 < SA 5000 1001
1020 > A  1001 5001
1030 > A  1101 5001 len=100   => lost_segment
1051 > A  1001 5001 len=100   => retransmission`},
	{"a reset that acknowledges also ends the initial RTT", `
0  > S  1000
10 < RA 0 1001
20 > S  2000                  => reused_ports
25 < SA 5000 2001
30 > A  2001 5001
40 > A  2101 5001 len=100     => lost_segment
49.9 > A 2001 5001 len=100    => out_of_order`},
	{"a segment from before, as the clock says, is never out of order", opened + `
30 > A 1101 5001 len=100      => lost_segment
29 > A 1001 5001 len=100      => retransmission`},

	{"fast retransmission", opened + `
30   > A 1001 5001 len=100
31   > A 1101 5001 len=100
61   < A 5001 1001            => duplicate_ack
62   < A 5001 1001            => duplicate_ack
81.9 > A 1001 5001 len=100    => retransmission,fast_retransmission`},
	{"fast retransmission look-alike: one duplicate less", opened + `
30   > A 1001 5001 len=100
31   > A 1101 5001 len=100
60   < A 5001 1101
61   < A 5001 1101            => duplicate_ack
80   > A 1101 5001 len=100    => retransmission`},
	{"fast retransmission look-alike: 20 ms", opened + `
30 > A 1001 5001 len=100
31 > A 1101 5001 len=100
61 < A 5001 1001              => duplicate_ack
62 < A 5001 1001              => duplicate_ack
82 > A 1001 5001 len=100      => retransmission`},
	{"fast retransmission look-alike: not what is asked for", opened + `
30 > A 1001 5001 len=100
31 > A 1101 5001 len=100
32 > A 1201 5001 len=100
61 < A 5001 1001              => duplicate_ack
62 < A 5001 1001              => duplicate_ack
63 > A 1101 5001 len=100      => retransmission`},
	{"fast comes before out of order", opened + `
30 > A 1101 5001 len=100      => lost_segment
32 < A 5001 1001              => duplicate_ack
33 < A 5001 1001              => duplicate_ack
34 > A 1001 5001 len=100      => retransmission,fast_retransmission`},
	{"the time counts from the last packet of the receiver of any kind", opened + `
30 > A 1001 5001 len=100
31 > A 1101 5001 len=100
61 < A 5001 1001              => duplicate_ack
62 < A 5001 1001              => duplicate_ack
90 < A 5001 1001 len=10
95 > A 1001 5011 len=100      => retransmission,fast_retransmission`},

	{"spurious retransmission", opened + `
30  > A 1001 5001 len=100
40  < A 5001 1101
300 > A 1001 5001 len=100     => retransmission,spurious_retransmission`},
	{"spurious look-alike: one byte is new", opened + `
30  > A 1001 5001 len=100
40  < A 5001 1100
300 > A 1001 5001 len=100     => retransmission`},
	{"a FIN alone is never spurious", opened + `
30  > FA 1001 5001
40  < A  5001 1002
300 > FA 1001 5001            => retransmission`},
	{"an acknowledged one-byte repetition can be both", opened + `
30  > A 1001 5001 len=1
40  < A 5001 1002
300 > A 1001 5001 len=1       => keep_alive`},

	{"SYN again", `
0    > S 1000
1000 > S 1000                 => retransmission
3000 > S 1000                 => retransmission`},
	{"SYN with another number begins a new connection", `
0    > S 1000
1000 > S 1001                 => reused_ports`},
	{"SYN/ACK again", `
0    > S  1000
10   < SA 5000 1001
1010 < SA 5000 1001           => retransmission`},
	{"SYN/ACK with another number", `
0    > S  1000
10   < SA 5000 1001
1010 < SA 9000 1001           => lost_segment,reused_ports`},
	{"accepted after a refusal", `
0  > S  1000
10 < RA 0 1001
20 > S  1000                  => retransmission
30 < SA 5000 1001             => reused_ports`},
	{"a reset with a high number does not outlive the SYN that repeats", `
0  > S 1000
10 > R 9000
20 > S 1000                   => retransmission
30 > A 1001 5001 len=10`},
	{"a reset moves the highest number", opened + `
30 > A 1001 5001 len=100
31 > R 2000
90 > A 1101 5001 len=100      => retransmission`},

	{"a header cut in its options counts but has no findings", opened + `
30  > A 1001 5001 len=100
300 > A 1001 5001 len=100 cut
301 > A 1201 5001 len=100 cut
302 > A 1301 5001 len=100`},
	{"a bad checksum changes nothing", opened + `
30  > A 1001 5001 len=100 bad
300 > A 1001 5001 len=100 bad => retransmission`},
	{"a short segment is not analysed", opened + `
30 > A 1001 5001 len=100
31 > A 1501 5001 short
32 > A 1101 5001 len=100`},
	{"a data offset below five words has no findings", opened + `
30  > A 1001 5001 len=100
300 > A 1001 5001 len=90 low
301 > A 1001 5001 len=100     => retransmission`},
	{"a sliced payload counts in full", opened + `
30 > A 1001 5001 len=100 cap=10
31 > A 1101 5001 len=100 cap=0
40 < A 5001 1201`},

	{"numbers wrap", `
0   > S  -50
10  < SA -3 -49
20  > A  -49 -2
30  > A  -49 -2 len=100
31  > A  151 -2 len=100       => lost_segment
40  < A  -2 51 len=10
41  < A  8 51                 => duplicate_ack
43  < A  8 51                 => duplicate_ack
45  > A  51 8 len=100         => retransmission,fast_retransmission
300 > A  -49 8 len=100        => retransmission,spurious_retransmission
301 < A  -2 251 len=10        => retransmission,spurious_retransmission`},
	{"a highest number of zero stands for none", `
0  > S  -101
10 < SA 5000 -100
20 > A  -100 5001
30 > A  -100 5001 len=100
31 > A  100 5001 len=100`},
}
