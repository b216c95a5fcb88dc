package messages

import "goproxytrace/analyze/diagnose"

var placesChinese = map[diagnose.Place]string{
	diagnose.Host:    "；证据表明问题出在本机",
	diagnose.Client:  "；这是客户端这一侧自身的行为",
	diagnose.Network: "；证据表明问题出在网络上，而不在远端",
	diagnose.Remote:  "；证据表明问题出在远端",
}

var mayBeChinese = map[diagnose.Place]string{
	diagnose.Host:    "；证据与本机故障相符",
	diagnose.Client:  "；证据与客户端这一侧自身的行为相符",
	diagnose.Network: "；证据与网络故障相符",
	diagnose.Remote:  "；证据与远端故障相符",
}

var providedChinese = map[diagnose.Class]string{
	diagnose.ConnectAnswerIgnored: "，前提是抓包就在本机进行，而不是在旁边的设备上",
	diagnose.TLSAnswerIgnored:     "，前提是抓包就在本机进行，而不是在旁边的设备上",
}

var summariesChinese = map[diagnose.Class]string{
	diagnose.OK:              "抓包中没有失败：计入的 {connections} 个连接和域名查询里，没有一个最终失败",
	diagnose.NoTraffic:       "抓包中没有 go 命令的任何流量，这并不能证明一切正常",
	diagnose.CaptureUnusable: "这份抓包无法说明[与 {host} 之间]发生了什么",

	diagnose.LinkGatewaySilent: "无法到达 {host}：本地链路的网关在 {after}内没有应答",

	diagnose.DNSNoAnswer:    "解析器 {address} 在 {after}内没有应答对域名 {name} 的查询（已发出 {queries} 个查询）",
	diagnose.DNSNXDomain:    "解析器 {address} 答复域名 {name} 不存在，用时 {after}",
	diagnose.DNSNoData:      "解析器 {address} 没有 {name} 的 IPv4 地址，用时 {after}",
	diagnose.DNSServFail:    "解析器 {address} 解析 {name} 失败，用时 {after}",
	diagnose.DNSRefused:     "解析器 {address} 拒绝解析 {name}，用时 {after}",
	diagnose.DNSUnreachable: "查询 {name} 时无法到达解析器 {address}，这是 {router} 在 {after}后告知的",
	diagnose.DNSSinkhole:    "解析器 {address} 在 {after}后把 {name} 指向 {answer}，该地址通向不了任何地方",
	diagnose.DNSForged:      "对 {name} 的同一个查询在 {after}内得到两个相互矛盾的应答，先到的是 {answer}",

	diagnose.ConnectNotSent:         "{after}内没有任何连接 {host}（{address}）的尝试离开本机",
	diagnose.ConnectRejectedLocally: "本机自己[在 {after}后]拒绝了到 {host}（{address}）的连接",
	diagnose.ConnectAnswerIgnored:   "{host}（{address}）接受了连接，但本机在 {after}内一直丢弃它的应答",
	diagnose.ConnectNoAnswer:        "连接 {host}（{address}）时，{after}内没有得到应答（已发出 {syns} 个 SYN）",
	diagnose.ConnectRefused:         "到 {host}（{address}）的连接在 {after}后被 RST 拒绝",
	diagnose.ConnectUnreachable:     "连接 {host}（{address}）在 {after}后失败：{router} 告知其不可达（ICMP 类型 {type}，代码 {code}）",

	diagnose.ProxyRefused: "CONNECT 代理 {address} 在 {after}后以状态码 {status} 拒绝了到 {target} 的隧道",
	diagnose.ProxySilent:  "CONNECT 代理 {address} 在 {after}内没有应答到 {target} 的请求",

	diagnose.TLSClientHelloNotSent:  "到 {host}（{address}）的连接已经建立，但 {after}内没有 ClientHello 离开本机",
	diagnose.TLSClientHelloLost:     "与 {host}（{address}）的 TLS 握手失败：ClientHello 反复重传，{after}内未被确认",
	diagnose.TLSLargePacketsLost:    "与 {host}（{address}）的 TLS 握手在 {after}后失败：大包丢失，而小包能够通过",
	diagnose.TLSNoServerHello:       "与 {host}（{address}）的 TLS 握手失败：ClientHello 已被确认，但 {after}内始终没有应答",
	diagnose.TLSServerFlightStalled: "与 {host}（{address}）的 TLS 握手在服务器应答的中途停住，历时 {after}",
	diagnose.TLSAnswerIgnored:       "{host}（{address}）应答了 ClientHello，但本机在 {after}内始终没有接受该应答",
	diagnose.TLSReset:               "与 {host}（{address}）的 TLS 握手在 {after}后被重置",
	diagnose.TLSClosed:              "与 {host}（{address}）的 TLS 握手在 {after}后结束：连接从对端一侧被关闭，没有警报（alert）",
	diagnose.TLSAlertFromServer:     "与 {host}（{address}）的 TLS 握手在 {after}后被对端的警报 {alert}[（{number}）]拒绝",
	diagnose.TLSAlertFromClient:     "客户端在 {after}后以警报 {alert}（{number}）中止了与 {host}（{address}）的 TLS 握手",
	diagnose.TLSCertificateRejected: "客户端在 {after}后拒绝了为 {host}（{address}）出示的证书[，签发者为 {issuer}]",
	diagnose.TLSNotTLS:              "{host}（{address}）在 {after}后发来的不是 ServerHello，而是非 TLS 的内容（{answer}）",
	diagnose.TLSLocalInterception:   "本机上的另一个程序[（{owner}）]介于客户端与 {host} 之间：它自己到那里的连接正常，而客户端到它的连接（{address}）在 {after}后失败",

	diagnose.HTTPNoResponse: "{host}（{address}）收下了请求，却没有发来应答；此时距连接开始已有 {after}",
	diagnose.HTTPError:      "{host}（{address}）在 {after}后以 {status} 应答了请求",

	diagnose.TransferRemoteIdle:      "{host}（{address}）在发送 {bytes}后停止发送，静默了 {quiet}",
	diagnose.TransferPathDead:        "到 {host}（{address}）的连接在收到 {bytes}后失去响应：{quiet}内没有收到任何东西",
	diagnose.TransferHeavyLoss:       "从 {host}（{address}）的下载在收到 {bytes}后卡住：丢失的数据包在 {quiet}内未能补上",
	diagnose.TransferReset:           "从 {host}（{address}）的下载在 {after}、收到 {bytes}后被重置",
	diagnose.TransferTruncated:       "{host}（{address}）在 {after}、发送 {bytes}后，于应答的中途结束了连接",
	diagnose.TransferReceiverStalled: "本机在收到 {bytes}后不再接收来自 {host}（{address}）的数据，历时 {quiet}",

	diagnose.ClientAborted:             "客户端自己在 {after}后断开了到 {host}（{address}）的连接，而此时应答尚未到来或尚未收完",
	diagnose.ClientStalled:             "{host}（{address}）该说的都已说完，而客户端在 {after}内没有继续",
	diagnose.ClientVerificationStalled: "客户端在 {after}内没有继续与 {host}（{address}）通信，与此同时它的证书检查得不到应答",
}

var summariesByChinese = map[diagnose.Class]map[string]string{
	diagnose.TransferTruncated: {
		"close.before-answer":  "{host}（{address}）没有应答最后一个请求，而是在 {after}、共 {bytes}后结束了连接",
		"close.without-notify": "{host}（{address}）在 {after}、发送 {bytes}后结束了连接，没有 TLS 的告别（close_notify），而客户端仍保持连接打开",
	},
	diagnose.TransferReceiverStalled: {
		"answer.unacknowledged": "来自 {host}（{address}）的数据到达了本机，但本机在收到 {bytes}后没有接收它们，历时 {quiet}",
		"client.zero-window":    "本机在收到 {bytes}后停止读取来自 {host}（{address}）的数据，历时 {quiet}",
	},
}

var titlesChinese = map[diagnose.Class]string{
	diagnose.OK:                        "未见故障",
	diagnose.NoTraffic:                 "没有流量",
	diagnose.CaptureUnusable:           "抓包不可用",
	diagnose.LinkGatewaySilent:         "网关无应答",
	diagnose.DNSNoAnswer:               "DNS 无应答",
	diagnose.DNSNXDomain:               "域名不存在",
	diagnose.DNSNoData:                 "域名没有地址",
	diagnose.DNSServFail:               "解析器出错",
	diagnose.DNSRefused:                "解析器拒绝",
	diagnose.DNSUnreachable:            "解析器不可达",
	diagnose.DNSSinkhole:               "DNS 黑洞地址",
	diagnose.DNSForged:                 "伪造的 DNS 应答",
	diagnose.ConnectNotSent:            "连接尝试未发出",
	diagnose.ConnectRejectedLocally:    "被本机拒绝",
	diagnose.ConnectAnswerIgnored:      "应答被本机丢弃",
	diagnose.ConnectNoAnswer:           "连接无应答",
	diagnose.ConnectRefused:            "连接被拒绝",
	diagnose.ConnectUnreachable:        "不可达",
	diagnose.ProxyRefused:              "被 CONNECT 代理拒绝",
	diagnose.ProxySilent:               "CONNECT 代理无应答",
	diagnose.TLSClientHelloNotSent:     "ClientHello 未发出",
	diagnose.TLSClientHelloLost:        "ClientHello 丢失",
	diagnose.TLSLargePacketsLost:       "大包丢失",
	diagnose.TLSNoServerHello:          "没有 ServerHello",
	diagnose.TLSServerFlightStalled:    "握手停滞",
	diagnose.TLSAnswerIgnored:          "TLS 应答被本机丢弃",
	diagnose.TLSReset:                  "握手被重置",
	diagnose.TLSClosed:                 "握手被关闭",
	diagnose.TLSAlertFromServer:        "服务器发出警报",
	diagnose.TLSAlertFromClient:        "客户端发出警报",
	diagnose.TLSCertificateRejected:    "证书被拒绝",
	diagnose.TLSNotTLS:                 "不是 TLS",
	diagnose.TLSLocalInterception:      "本机 TLS 拦截",
	diagnose.HTTPNoResponse:            "请求无应答",
	diagnose.HTTPError:                 "HTTP 错误",
	diagnose.TransferRemoteIdle:        "对端停止发送",
	diagnose.TransferPathDead:          "路径中断",
	diagnose.TransferHeavyLoss:         "严重丢包",
	diagnose.TransferReset:             "下载被重置",
	diagnose.TransferTruncated:         "下载被截断",
	diagnose.TransferReceiverStalled:   "接收方停滞",
	diagnose.ClientAborted:             "客户端主动断开",
	diagnose.ClientStalled:             "客户端停滞",
	diagnose.ClientVerificationStalled: "证书检查停滞",
}
