package decode

// Names of numbers that appear in Unread, from the registries of IANA, IEEE
// and tcpdump.org.

var linkTypeNames = map[uint32]string{
	3: "AX.25", 8: "SLIP", 114: "LocalTalk", 139: "MTP2 with header", 140: "MTP2", 141: "MTP3", 142: "SCCP", 144: "IrDA",
	147: "USER0", 148: "USER1", 149: "USER2", 150: "USER3", 151: "USER4",
	152: "USER5", 153: "USER6", 154: "USER7", 155: "USER8", 156: "USER9",
	157: "USER10", 158: "USER11", 159: "USER12", 160: "USER13", 161: "USER14", 162: "USER15",
	165: "BACnet MS/TP", 169: "GPRS LLC", 170: "GFP-T", 171: "GFP-F", 177: "LAPD", 182: "multi-link frame relay",
	187: "Bluetooth HCI", 189: "USB", 195: "IEEE 802.15.4", 196: "SITA", 201: "Bluetooth HCI", 202: "AX.25 KISS",
	203: "LAPD", 209: "IPMB", 210: "FlexRay", 212: "LIN", 215: "IEEE 802.15.4", 220: "USB", 224: "Fibre Channel",
	225: "Fibre Channel", 226: "IPNET", 227: "SocketCAN", 230: "IEEE 802.15.4", 231: "D-Bus", 235: "DVB-CI",
	240: "netANALYZER", 241: "netANALYZER", 243: "MPEG-2 TS", 244: "NG40", 245: "NFC LLCP", 247: "InfiniBand", 248: "SCTP",
	249: "USB", 251: "Bluetooth Low Energy", 252: "Wireshark exported PDU", 253: "netlink", 254: "Bluetooth monitor",
	255: "Bluetooth", 256: "Bluetooth Low Energy", 258: "PKTAP", 259: "EPON", 263: "WattStopper", 264: "ISO 14443", 266: "USB",
	268: "SDLC", 270: "LoRaTap", 271: "vsock", 272: "Bluetooth Low Energy", 273: "DOCSIS 3.1 XRA", 274: "Ethernet mPacket",
	275: "DisplayPort", 278: "OpenVizsla", 279: "EBHSCR", 280: "VPP dispatch", 283: "IEEE 802.15.4", 286: "ELEE",
	287: "Z-Wave", 288: "USB 2.0", 289: "ATSC ALP", 290: "ETW",
}

var ethertypeNames = map[uint32]string{
	0x0600: "XNS IDP", 0x0bad: "VINES IP", 0x2000: "CDP", 0x22f0: "IEEE 1722", 0x22ea: "802.1Qat stream reservation",
	0x22f3: "TRILL", 0x22f4: "IS-IS", 0x6002: "DEC MOP", 0x6003: "DECnet", 0x6004: "DEC LAT",
	0x6007: "DEC LAVC", 0x8035: "RARP", 0x809b: "AppleTalk", 0x80f3: "AppleTalk ARP", 0x8137: "IPX",
	0x8808: "Ethernet MAC control", 0x8809: "Ethernet slow protocols", 0x8863: "PPPoE discovery",
	0x887b: "HomePlug 1.0", 0x888e: "802.1X", 0x8892: "PROFINET", 0x8899: "Realtek tag", 0x88a2: "ATA over Ethernet",
	0x88a4: "EtherCAT", 0x88b8: "GOOSE", 0x88ba: "IEC 61850 sampled values", 0x88ca: "TIPC",
	0x88cc: "LLDP", 0x88cd: "SERCOS III", 0x88d9: "LLTD", 0x88dc: "WSMP", 0x88e1: "HomePlug AV", 0x88e5: "802.1AE MACsec",
	0x88f5: "MVRP", 0x88f7: "PTP", 0x88f8: "NC-SI", 0x88fb: "PRP", 0x8902: "802.1ag CFM", 0x8906: "FCoE", 0x8914: "FCoE initialization",
	0x8915: "RoCE", 0x892f: "HSR", 0x893a: "IEEE 1905.1", 0x9000: "Ethernet loopback", 0xcafe: "LLT",
}

var ipProtoNames = map[uint32]string{
	0: "hop-by-hop options", 2: "IGMP", 3: "GGP", 8: "EGP", 9: "IGRP", 33: "DCCP", 36: "XTP", 43: "routing header", 44: "fragment header",
	46: "RSVP", 48: "DSR", 50: "ESP", 51: "AH", 53: "SwIPe", 54: "NARP", 55: "MOBILE", 58: "ICMPv6", 60: "destination options", 88: "EIGRP", 89: "OSPF", 94: "IPIP", 103: "PIM",
	108: "IPComp", 112: "VRRP", 113: "PGM", 115: "L2TP", 124: "IS-IS", 132: "SCTP", 133: "FC", 134: "RSVP-E2E-IGNORE",
	135: "mobility header", 136: "UDP-Lite", 139: "HIP", 140: "shim6", 253: "experiment", 254: "experiment",
}

var sapNames = map[uint32]string{
	0x00: "null", 0x04: "SNA", 0x42: "spanning tree", 0x7e: "X.25", 0x80: "XNS", 0x82: "BACnet", 0xbc: "VINES",
	0xe0: "IPX", 0xf0: "NetBIOS", 0xf4: "LAN manager", 0xfe: "OSI", 0xff: "IPX",
}

var pppNames = map[uint32]string{
	0x002b: "IPX", 0x002d: "VJ compressed TCP", 0x002f: "VJ uncompressed TCP", 0x003d: "multilink", 0x0053: "encrypted", 0x00fb: "compressed link", 0x00fd: "compressed", 0x8021: "IPCP",
	0x8057: "IPv6CP", 0x80fd: "CCP", 0xc021: "LCP", 0xc023: "PAP", 0xc025: "LQR", 0xc223: "CHAP", 0xc227: "EAP",
}

var hardwareNames = map[uint32]string{
	280: "CAN", 320: "Ash", 783: "IrDA", 801: "802.11", 802: "802.11 with Prism", 803: "802.11 with radiotap",
	804: "IEEE 802.15.4", 805: "IEEE 802.15.4 monitor", 824: "netlink", 826: "vsock monitor",
}
