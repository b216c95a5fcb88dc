package report

import "strconv"

// linkTypes are names from the link-layer header registry of tcpdump.org,
// without their LINKTYPE_ prefix.
var linkTypes = map[uint16]string{
	0: "NULL", 1: "ETHERNET", 3: "AX25", 6: "IEEE802_5", 7: "ARCNET_BSD", 8: "SLIP", 9: "PPP", 10: "FDDI",
	50: "PPP_HDLC", 51: "PPP_ETHER", 100: "ATM_RFC1483", 101: "RAW", 104: "C_HDLC", 105: "IEEE802_11",
	107: "FRELAY", 108: "LOOP", 113: "LINUX_SLL", 114: "LTALK", 117: "PFLOG", 119: "IEEE802_11_PRISM",
	122: "IP_OVER_FC", 123: "SUNATM", 127: "IEEE802_11_RADIOTAP", 129: "ARCNET_LINUX",
	138: "APPLE_IP_OVER_IEEE1394", 143: "DOCSIS", 147: "USER0", 163: "IEEE802_11_AVS", 166: "PPP_PPPD",
	187: "BLUETOOTH_HCI_H4", 189: "USB_LINUX", 192: "PPI", 195: "IEEE802_15_4_WITHFCS", 204: "PPP_WITH_DIR",
	205: "C_HDLC_WITH_DIR", 209: "IPMB_LINUX", 220: "USB_LINUX_MMAPPED", 226: "IPNET", 228: "IPV4", 229: "IPV6",
	239: "NFLOG", 240: "NETANALYZER", 242: "IPOIB", 249: "USBPCAP", 251: "BLUETOOTH_LE_LL", 252: "WIRESHARK_UPPER_PDU",
	253: "NETLINK", 258: "PKTAP", 259: "EPON", 271: "VSOCK", 273: "NETANALYZER_TRANSPARENT", 276: "LINUX_SLL2",
	289: "ETHERNET_MPACKET",
}

func linkTypeName(n uint16) string {
	if s, ok := linkTypes[n]; ok {
		return s
	}
	return strconv.Itoa(int(n))
}
