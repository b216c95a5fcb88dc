package hostevents

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/capture/hostlog"
)

// A net event and the filter that it names, as MicrosoftDocs/windows-itpro-docs
// prints them (windows/security/threat-protection/windows-firewall/
// troubleshooting-uwp-firewall.md, "Case 2", without the emphasis around the
// filter's name; the application's path is cut to its beginning).
const (
	netEvents = `<?xml version="1.0"?>
<wfpdiag><netEvents numItems="1"><item>
<header>
<timeStamp>2020-03-30T23:53:09.720Z</timeStamp>
<flags numItems="9">
    <item>FWPM_NET_EVENT_FLAG_IP_PROTOCOL_SET</item>
    <item>FWPM_NET_EVENT_FLAG_PACKAGE_ID_SET</item>
</flags>
<ipVersion>FWP_IP_VERSION_V6</ipVersion>
<ipProtocol>6</ipProtocol>
<localAddrV6.byteArray16>2001:4898:1a:1045:8469:3351:e6e2:543</localAddrV6.byteArray16>
<remoteAddrV6.byteArray16>2620:1ec:c11::200</remoteAddrV6.byteArray16>
<localPort>63187</localPort>
<remotePort>443</remotePort>
<scopeId>0</scopeId>
<appId>
<data>5c006400650076006900630065005c00670000006f00</data>
<asString>\.d.e.v.i.c.e.\.g...</asString>
</appId>
<userId>S-1-5-21-2788718703-1626973220-3690764900-1000</userId>
<addressFamily>FWP_AF_INET6</addressFamily>
<enterpriseId/>
<policyFlags>0</policyFlags>
<effectiveName/>
</header>
<type>FWPM_NET_EVENT_TYPE_CLASSIFY_DROP</type>
<classifyDrop>
<filterId>68893</filterId>
<layerId>50</layerId>
<reauthReason>0</reauthReason>
<originalProfile>1</originalProfile>
<currentProfile>1</currentProfile>
<msFwpDirection>MS_FWP_DIRECTION_OUT</msFwpDirection>
<isLoopback>false</isLoopback>
<vSwitchId/>
<vSwitchSourcePort>0</vSwitchSourcePort>
<vSwitchDestinationPort>0</vSwitchDestinationPort>
</classifyDrop>
<internalFields>
<internalFlags/>
<remoteAddrBitmap>0000000000000000</remoteAddrBitmap>
<capabilities/>
<fqbnVersion>0</fqbnVersion>
<fqbnName/>
<terminatingFiltersInfo numItems="2">
<item>
<filterId>68893</filterId>
<subLayer>FWPP_SUBLAYER_INTERNAL_FIREWALL_WSH</subLayer>
<actionType>FWP_ACTION_BLOCK</actionType>
</item>
<item>
<filterId>68879</filterId>
<subLayer>FWPP_SUBLAYER_INTERNAL_FIREWALL_WF</subLayer>
<actionType>FWP_ACTION_PERMIT</actionType>
</item>
</terminatingFiltersInfo>
</internalFields>
</item></netEvents></wfpdiag>`
	wfpFilters = `<?xml version="1.0"?>
<wfpdiag><filters numItems="1">
<item>
	<filterKey>{6d51582f-bcf8-42c4-afc9-e2ce7155c11b}</filterKey>
	<displayData>
	<name>Block Outbound Default Rule</name>
	<description>Block Outbound Default Rule</description>
	</displayData>
	<flags/>
	<providerKey>{4b153735-1049-4480-aab4-d1b9bdc03710}</providerKey>
	<providerData>
	<data>b001000000000000</data>
	<asString>........</asString>
	</providerData>
	<layerKey>FWPM_LAYER_ALE_AUTH_CONNECT_V6</layerKey>
	<subLayerKey>{b3cdd441-af90-41ba-a745-7c6008ff2300}</subLayerKey>
	<filterCondition numItems="1">
	<item>
	<fieldKey>FWPM_CONDITION_ALE_PACKAGE_ID</fieldKey>
	<matchType>FWP_MATCH_NOT_EQUAL</matchType>
	</item>
	</filterCondition>
	<action>
	<type>FWP_ACTION_BLOCK</type>
	<filterType/>
	</action>
	<filterId>68893</filterId>
</item>
</filters></wfpdiag>`
	// A provider in the form that netsh wfp show state lists them (FWPM_PROVIDER0
	// in fwpmtypes.h), with a sublayer and a callout of it, which are none.
	wfpState = `<wfpstate><providers numItems="1"><item>
<providerKey>{4b153735-1049-4480-aab4-d1b9bdc03710}</providerKey>
<displayData><name>Example Guard</name><description/></displayData><flags/><serviceName>guard</serviceName></item></providers>
<subLayers><item><subLayerKey>{1}</subLayerKey><displayData><name>a sublayer</name></displayData><providerKey>{4b153735-1049-4480-aab4-d1b9bdc03710}</providerKey></item></subLayers>
<layers><item><layer><layerKey>L</layerKey></layer><callouts><item><calloutKey>{2}</calloutKey><displayData><name>a callout</name></displayData><providerKey>{4b153735-1049-4480-aab4-d1b9bdc03710}</providerKey></item></callouts></item></layers></wfpstate>`
)

func TestNetEvents(t *testing.T) {
	want := &hostlog.Block{
		Time: ns("2020-03-30T23:53:09.72Z"), Action: hostlog.Blocked, Path: `\device\g`,
		Local: ap("[2001:4898:1a:1045:8469:3351:e6e2:543]:63187"), Remote: ap("[2620:1ec:c11::200]:443"),
		Origin: "WFP net event", Rule: "filter 68893", Layer: "ALE_AUTH_CONNECT_V6",
	}
	if diff := cmp.Diff([]hostlog.Record{want}, read(t, netEvents), sameAddr); diff != "" {
		t.Error(diff)
	}
	// The names come from other files, before or after.
	want.Rule, want.Provider = `filter 68893 "Block Outbound Default Rule"`, "Example Guard"
	for _, files := range [][]string{{netEvents, wfpFilters, wfpState}, {wfpState, wfpFilters, netEvents}} {
		if diff := cmp.Diff([]hostlog.Record{want}, read(t, files...), sameAddr); diff != "" {
			t.Error(diff)
		}
	}
	// The same from an event log.
	b := blocksIn(read(t, strings.Replace(doc5157, "110398", "68893", 1), wfpFilters))
	if len(b) != 1 || b[0].Rule != want.Rule || b[0].Provider != "{4b153735-1049-4480-aab4-d1b9bdc03710}" {
		t.Errorf("of 5157: %+v", b)
	}
	// netsh wfp capture calls the element otherwise.
	if got := read(t, strings.NewReplacer("<netEvents numItems=\"1\"><item>", "<netEvent>", "</item></netEvents>", "</netEvent>").Replace(netEvents)); len(got) != 1 {
		t.Errorf("of netsh wfp capture: %v", got)
	}
	// The look-alikes: allowed, another protocol, on loopback; and a direction
	// that the layer contradicts, as quarantine.md in the same place prints one.
	for _, r := range [][2]string{
		{"CLASSIFY_DROP</type>", "CLASSIFY_ALLOW</type>"}, {"<ipProtocol>6<", "<ipProtocol>17<"}, {"<isLoopback>false<", "<isLoopback>true<"},
	} {
		if got := read(t, strings.Replace(netEvents, r[0], r[1], 1)); len(got) > 0 {
			t.Errorf("%s: %v", r[1], got)
		}
	}
	if b := blocksIn(read(t, strings.Replace(netEvents, "<layerId>50<", "<layerId>46<", 1))); len(b) != 1 || !b[0].Inbound {
		t.Errorf("at the layer of incoming connections: %+v", b)
	}
	// What Windows 11 writes of late (25H2): another name of the type, the process,
	// and not always a layer. Public analyses of such files say so; none prints a
	// whole one.
	public := strings.NewReplacer("FWPM_NET_EVENT_TYPE_CLASSIFY_DROP", "FWPM_NET_EVENT_TYPE_PUBLIC_CLASSIFY_DROP",
		"<internalFields>", "<internalFields><processId>4120</processId>").Replace(netEvents)
	if b := blocksIn(read(t, public)); len(b) != 1 || b[0].PID != 4120 || b[0].Inbound {
		t.Errorf("of Windows 11: %+v", b)
	}
	if b := blocksIn(read(t, strings.Replace(public, ">4120<", ">4<", 1))); len(b) != 1 || b[0].PID != 0 {
		t.Errorf("the kernel's: %+v", b)
	}
	for says, want := range map[string]bool{"MS_FWP_DIRECTION_OUT": false, "MS_FWP_DIRECTION_IN": true} {
		s := strings.NewReplacer("<layerId>50</layerId>", "", "MS_FWP_DIRECTION_OUT", says).Replace(public)
		if b := blocksIn(read(t, s)); len(b) != 1 || b[0].Inbound != want {
			t.Errorf("%s without a layer: %+v", says, b)
		}
	}
	if got := read(t, strings.Replace(public, "CLASSIFY_DROP</type>", "CLASSIFY_ALLOW</type>", 1)); len(got) > 0 {
		t.Errorf("allowed: %v", got)
	}
}
