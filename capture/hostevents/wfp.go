package hostevents

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	"goproxytrace/capture/hostlog"
)

// protocolTCP is TCP's number (RFC 9293; IANA's protocol numbers).
const protocolTCP = 6

// Numbers of the layers at which connections are authorised (fwpsk.h,
// FWPS_BUILTIN_LAYERS): those of incoming and of outgoing connections.
const (
	layerAcceptV4  = 44
	layerAcceptV6  = 46
	layerConnectV4 = 48
	layerConnectV6 = 50
)

// layerText names a layer.
func layerText(number uint64, name string) string {
	switch number {
	case layerAcceptV4:
		return "ALE_AUTH_RECV_ACCEPT_V4"
	case layerAcceptV6:
		return "ALE_AUTH_RECV_ACCEPT_V6"
	case layerConnectV4:
		return "ALE_AUTH_CONNECT_V4"
	case layerConnectV6:
		return "ALE_AUTH_CONNECT_V6"
	}
	switch {
	case name != "" && !strings.HasPrefix(name, "%%"):
		return clip(name, maxName)
	case number != 0:
		return strconv.FormatUint(number, 10)
	}
	return ""
}

// inbound reports whether a record is about what came in: a layer that
// authorises connections of one direction only tells that, else what the record
// says itself. Windows 11 has been seen to call an outgoing connection that was
// blocked incoming (%%14592 at layer 48), and incoming ones outgoing.
func inbound(layer uint64, says bool) bool {
	switch layer {
	case layerAcceptV4, layerAcceptV6:
		return true
	case layerConnectV4, layerConnectV6:
		return false
	}
	return says
}

// ruleText tells a filter by its name, number and origin, as far as known.
func ruleText(name string, number uint64, origin string) string {
	if name == "" && origin != "" && !strings.EqualFold(origin, "Unknown") {
		name = origin
	}
	switch {
	case number == 0:
		return clip(name, maxName)
	case name == "":
		return fmt.Sprintf("filter %d", number)
	}
	return clip(fmt.Sprintf("filter %d %q", number, clip(name, maxName-32)), maxName)
}

// filter is one filter of the Windows Filtering Platform.
type filter struct{ name, provider string }

// nameFilter adds to a record what is known of its filter.
func (l *Log) nameFilter(b *hostlog.Block, number uint64) {
	f, ok := l.filters[number]
	if !ok {
		return
	}
	if f.name != "" {
		b.Rule = ruleText(f.name, number, "")
	}
	if f.provider != "" {
		b.Provider = f.provider
		if name := l.providers[f.provider]; name != "" {
			b.Provider = name
		}
	}
}

// wanted are the values of net events, filters and providers, by their paths
// below the element that holds one.
var wanted = map[string]bool{
	"header/timeStamp": true, "header/ipProtocol": true, "header/localAddrV4": true, "header/remoteAddrV4": true,
	"header/localAddrV6.byteArray16": true, "header/remoteAddrV6.byteArray16": true, "header/localPort": true, "header/remotePort": true,
	"header/appId/data": true, "type": true,
	"classifyDrop/filterId": true, "classifyDrop/layerId": true, "classifyDrop/msFwpDirection": true, "classifyDrop/isLoopback": true,
	"classifyAllow/filterId": true, "classifyAllow/layerId": true, "internalFields/filterOrigin": true, "internalFields/processId": true,
	"filterId": true, "filterKey": true, "layerKey": true, "providerKey": true, "displayData/name": true,
	"subLayerKey": true, "calloutKey": true, "providerContextKey": true,
}

// frame is an element that may hold a net event, a filter or a provider.
type frame struct {
	depth  int // of the element
	values map[string]string
}

// wfpReader reads the XML of netsh wfp show netevents, filters and state, and of
// netsh wfp capture: whichever list an item stands in, its content tells what it
// is.
type wfpReader struct {
	log    *Log
	path   []string
	frames []frame
	val    builder
}

func (r *wfpReader) start(name string, _ []attribute) {
	r.path = append(r.path, name)
	r.val.reset()
	if name == "item" || name == "netEvent" {
		r.frames = append(r.frames, frame{depth: len(r.path)})
	}
}

func (r *wfpReader) text(s string) {
	if len(r.frames) > 0 {
		r.val.add(s)
	}
}

func (r *wfpReader) end(string) {
	if len(r.path) == 0 {
		return
	}
	if n := len(r.frames); n > 0 {
		f := &r.frames[n-1]
		if f.depth == len(r.path) {
			r.frames = r.frames[:n-1]
			r.item(f.values)
		} else if key := strings.Join(r.path[f.depth:], "/"); wanted[key] {
			if f.values == nil {
				f.values = make(map[string]string)
			}
			if _, known := f.values[key]; !known {
				f.values[key] = strings.TrimSpace(string(r.val.b))
			}
		}
	}
	r.val.reset()
	r.path = r.path[:len(r.path)-1]
}

// item takes a complete element.
func (r *wfpReader) item(v map[string]string) {
	l := r.log
	switch {
	case v["header/timeStamp"] != "":
		l.seen = true
		l.netEvent(v)
	case v["filterId"] != "" && v["filterKey"] != "":
		l.seen = true
		if l.filters == nil {
			l.filters = make(map[uint64]filter)
		}
		if id, err := strconv.ParseUint(v["filterId"], 10, 64); err == nil && len(l.filters) < maxFilters {
			l.filters[id] = filter{clip(v["displayData/name"], maxName), clip(v["providerKey"], maxName)}
		}
	case v["providerKey"] != "" && v["displayData/name"] != "" &&
		v["layerKey"] == "" && v["subLayerKey"] == "" && v["calloutKey"] == "" && v["providerContextKey"] == "":
		l.seen = true
		if l.providers == nil {
			l.providers = make(map[string]string)
		}
		if len(l.providers) < maxFilters {
			l.providers[clip(v["providerKey"], maxName)] = clip(v["displayData/name"], maxName)
		}
	}
}

// dropTypes are the types of net events about something that was blocked: the
// second is what current versions of Windows 11 write in the first one's place.
var dropTypes = map[string]bool{"FWPM_NET_EVENT_TYPE_CLASSIFY_DROP": true, "FWPM_NET_EVENT_TYPE_PUBLIC_CLASSIFY_DROP": true}

// netEvent takes a net event.
func (l *Log) netEvent(v map[string]string) {
	if !dropTypes[v["type"]] || v["header/ipProtocol"] != strconv.Itoa(protocolTCP) || v["classifyDrop/isLoopback"] == "true" {
		return
	}
	local, remote := v["header/localAddrV4"], v["header/remoteAddrV4"]
	if remote == "" {
		local, remote = v["header/localAddrV6.byteArray16"], v["header/remoteAddrV6.byteArray16"]
	}
	id, _ := strconv.ParseUint(v["classifyDrop/filterId"], 10, 64)
	layer, _ := strconv.ParseUint(v["classifyDrop/layerId"], 10, 64)
	b := &hostlog.Block{
		Time: parseTime(v["header/timeStamp"]), Action: hostlog.Blocked, Path: appID(v["header/appId/data"]),
		Local: endpoint(local, v["header/localPort"]), Remote: endpoint(remote, v["header/remotePort"]),
		Inbound: inbound(layer, v["classifyDrop/msFwpDirection"] == "MS_FWP_DIRECTION_IN"),
		Origin:  "WFP net event", Rule: ruleText("", id, v["internalFields/filterOrigin"]), Layer: layerText(layer, ""),
	}
	// Windows 11 names the process; the kernel's own is nobody's.
	if pid, err := strconv.ParseUint(v["internalFields/processId"], 10, 32); err == nil && pid > systemPID {
		b.PID = uint32(pid)
	}
	if b.Remote.IsValid() {
		l.block(b, id)
	}
}

// appID reads the path in an FWP_BYTE_BLOB: UTF-16 with a zero at its end, in
// hexadecimal.
func appID(s string) string {
	b, err := hex.DecodeString(s[:min(len(s), 4*maxPath)&^3])
	if err != nil {
		return ""
	}
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		u := uint16(b[i]) | uint16(b[i+1])<<8
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return executable(string(utf16.Decode(units)))
}

func portOf(s string) (uint16, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	return uint16(n), err == nil
}
