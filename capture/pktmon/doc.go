// Package pktmon captures on Windows through Packet Monitor, which Windows 10
// has had since version 2004 and which needs no driver of others.
//
// In come ports and the adapters' addresses, out come the packets that crossed
// the host's network adapters. The system's own pktmon.exe writes them to a
// trace (ETL) and converts that to pcapng when the capture has ended, so that
// they come at the end; capture/pcapfile reads them. pktmon has one session
// and one list of filters for the whole machine: what others have set up there
// is never touched, and what this package has set up bears its name.
//
// The programs and their options follow "pktmon" in Microsoft's reference of
// Windows commands (learn.microsoft.com), in the spelling of Windows Server
// 2022 and of the versions before it.
package pktmon
