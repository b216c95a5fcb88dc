package guard

// needed are the functions without which gopacket/pcap panics.
var needed = [...]string{
	"pcap_strerror", "pcap_open_live", "pcap_open_offline", "pcap_close", "pcap_geterr", "pcap_stats", "pcap_compile", "pcap_freecode",
	"pcap_lookupnet", "pcap_offline_filter", "pcap_setfilter", "pcap_list_datalinks", "pcap_free_datalinks", "pcap_datalink_val_to_name",
	"pcap_datalink_val_to_description", "pcap_open_dead", "pcap_next_ex", "pcap_datalink", "pcap_set_datalink", "pcap_datalink_name_to_val",
	"pcap_lib_version", "pcap_freealldevs", "pcap_findalldevs", "pcap_sendpacket", "pcap_setdirection", "pcap_snapshot", "pcap_activate",
	"pcap_create", "pcap_set_snaplen", "pcap_set_promisc", "pcap_set_timeout", "pcap_set_buffer_size", "pcap_hopen_offline",
}
