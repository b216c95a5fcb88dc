package probe

import (
	"goproxytrace/analyze/diagnose"
)

var (
	anywhere = []diagnose.Place{diagnose.Host, diagnose.Network, diagnose.Remote}
	beyond   = []diagnose.Place{diagnose.Network, diagnose.Remote}
	here     = []diagnose.Place{diagnose.Host}
	far      = []diagnose.Place{diagnose.Remote}
)

// classify judges an attempt by what its sockets tell. Without packets a
// failure may lie on this host as well as beyond it, and the level is no more
// than consistent; what the far end has said in TLS or HTTP is read in clear
// here and is its own.
func (a *Attempt) classify() {
	if !a.Died() {
		a.Place, a.Level = nil, diagnose.None
		if a.End == Passed {
			a.Class = diagnose.OK
		}
		return
	}
	a.Level, a.Place = diagnose.Consistent, anywhere
	switch a.Stage {
	case diagnose.StageConnect:
		a.Class = connectClass[a.End]
		if a.End == Forbidden {
			a.Place = here
		}
	case diagnose.StageProxy:
		switch a.End {
		case Status:
			a.Class, a.Place, a.Level = diagnose.ProxyRefused, far, diagnose.Proven
		case Timeout:
			a.Class = diagnose.ProxySilent
		case Reset:
			a.Class = diagnose.TLSReset
		case Closed:
			a.Class = diagnose.TLSClosed
		default:
			a.Class, a.Place = diagnose.TLSNotTLS, append([]diagnose.Place{diagnose.Client}, beyond...)
		}
	case diagnose.StageTLS:
		a.Class = a.handshakeClass()
		if a.End == Alert || a.End == NotTLS || a.End == Certificate {
			// Something has spoken: an agent of this host may have, too.
			a.Place = anywhere
		}
	case diagnose.StageHTTP:
		a.Class = a.requestClass()
		if a.Class == diagnose.HTTPError {
			a.Place, a.Level = far, diagnose.Proven
		}
	}
	if a.Class == "" {
		a.Class = diagnose.ConnectNoAnswer
		if a.Stage == diagnose.StageDNS {
			a.Class = diagnose.DNSNoAnswer
		}
	}
}

var connectClass = map[End]diagnose.Class{
	Timeout: diagnose.ConnectNoAnswer, Refused: diagnose.ConnectRefused, Unreachable: diagnose.ConnectUnreachable,
	Forbidden: diagnose.ConnectRejectedLocally, Reset: diagnose.ConnectRefused,
}

func (a *Attempt) handshakeClass() diagnose.Class {
	switch a.End {
	case Certificate:
		return diagnose.TLSCertificateRejected
	case Alert:
		return diagnose.TLSAlertFromServer
	case NotTLS:
		return diagnose.TLSNotTLS
	case Reset:
		return diagnose.TLSReset
	case Closed:
		return diagnose.TLSClosed
	case Timeout:
		switch s := a.Socket; {
		case a.Received > 0:
			return diagnose.TLSServerFlightStalled
		case s != nil && a.HelloBytes > 0 && s.BytesAcked < uint64(a.HelloBytes):
			return diagnose.TLSClientHelloLost
		}
		return diagnose.TLSNoServerHello
	}
	return diagnose.TLSAlertFromClient
}

func (a *Attempt) requestClass() diagnose.Class {
	switch a.End {
	case Status:
		return diagnose.HTTPError
	case Reset:
		return diagnose.TransferReset
	case Closed:
		return diagnose.TransferTruncated
	case Timeout:
		if a.HTTP != 0 || a.FirstByte > 0 {
			return diagnose.TransferPathDead
		}
		return diagnose.HTTPNoResponse
	}
	return diagnose.HTTPError
}
