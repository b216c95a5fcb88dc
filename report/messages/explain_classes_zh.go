package messages

import "goproxytrace/analyze/diagnose"

// Look-alikes that several classes share.
var (
	lostInCaptureChinese  = Alike{"抓包自身丢失的数据包", "抓包的丢弃计数，或者对抓包中没有的字节的确认，会说明这一点；那样就不会给出此类结论。"}
	endedEarlyChinese     = Alike{"抓包结束得太早", "静默从 quietFinding 起才算数，并且在看到一轮保活或看到客户端放弃之前，证据强度只是相符。"}
	senderUnprovenChinese = Alike{"途中伪造的 RST", "会比较时间、存活时间（TTL）、IP 标识以及服务器此后发送的内容；只有它们排除了对端时，位置才会只是网络。"}
	normalFarewellChinese = Alike{"成功下载结束时的 RST", "它们是对客户端自己关闭连接的应答，或者跟在服务器的 close_notify 之后；两者都是 ok。"}
)

var explanationsChinese = map[diagnose.Class]Explanation{
	diagnose.OK: {
		Seen: "计入的连接和域名查询中，没有一个最终失败：每一个都正常结束，或在抓包结束时仍在工作，或由之后交付了数据的另一个补上。ok 不说明 TLS 之内的 HTTP 状态码。",
		Alikes: []Alike{
			{"因 HTTP 错误而失败的下载", "TLS 之内的状态码无法读取；请用 --go-output 给出 go 命令自己的输出。"},
			{"客户端接受的流量检查", "公司代理的 CA 已安装时，什么也不会出错；数据包中看不出来。"},
		},
	},
	diagnose.NoTraffic: {
		Seen: "抓包中没有 go 命令的任何内容：既没有到其主机的连接或域名查询，也没有别的 TLS 客户端。这既不能证明一切正常，也不能证明有什么拦截了它。",
		Alikes: []Alike{
			{"go 命令在等待锁或子进程，没有使用网络", "数据包无法说明；go 的 -x 输出和调用栈可以。"},
			{"在错误的接口上抓包，或过滤器遮住了它", "会给出抓包中实际有多少个 TCP 段。"},
		},
	},
	diagnose.CaptureUnusable: {
		Seen: "有流量，但全都无法判断：数据包被丢弃、缺少一个方向，或者每个连接都在抓包之前就已开始。会列出无法评估的内容。",
		Alikes: []Alike{
			{"网络上的丢包", "丢失的数据包会被重传，也会被索要（重复确认）；抓包丢失的数据包则从未出现却已被确认。"},
		},
	},
	diagnose.LinkGatewaySilent: {
		Seen: "什么都没有得到应答，而对本地链路上某个邻居的链路地址的询问（ARP、IPv6 邻居发现）反复发出，没有答复。",
		Alikes: []Alike{
			{"不应答的对端（connect.no-answer）", "那样网关可以解析，或者有别的东西得到了应答。"},
			{"链路上另一台已关机的机器", "只有外部没有任何应答时才算数。"},
		},
	},

	diagnose.DNSNoAnswer: {
		Seen: "对主机地址的查询已经发出，没有应答返回。",
		Alikes: []Alike{
			{"应答迟到的解析器", "对该查询的任何应答，无论多晚，都会补上；缓慢的解析只是耽误时间，仅此而已。"},
			{"经 HTTPS 或 TLS 解析，或写在 hosts 文件中的域名", "那样根本没有查询，而连接会跟上。"},
			lostInCaptureChinese,
		},
	},
	diagnose.DNSNXDomain: {
		Seen: "解析器答复该域名不存在。",
		Alikes: []Alike{
			{"GOPROXY 中写错的域名", "域名就在结论中；另一个解析器会给出同样的答复。"},
			{"进行过滤的解析器", "如果给出了扩展错误（RFC 8914），它会是证据的一部分；另一个解析器则有这个域名。"},
		},
	},
	diagnose.DNSNoData: {
		Seen: "解析器的应答没有错误，也没有 IPv4 地址。",
		Alikes: []Alike{
			{"没有 IPv6 地址的域名", "这很正常，不算发现。"},
			{"同一域名的另一个查询带来了地址", "那样域名就已解析，这不是失败。"},
		},
	},
	diagnose.DNSServFail: {
		Seen: "解析器以“域名不存在”和“拒绝”之外的错误作答，多为 SERVFAIL。",
		Alikes: []Alike{
			{"DNSSEC 校验失败", "如果给出了扩展错误（RFC 8914），它会指明这一点；那样问题出在域名的所有者，或解析器的时钟。"},
			{"多个解析器中有一个出错", "另一个的应答会补上。"},
		},
	},
	diagnose.DNSRefused: {
		Seen: "解析器答复它拒绝该查询。",
		Alikes: []Alike{
			{"只为其他网络服务的解析器（切换 VPN 之后）", "结论中有解析器的地址：请与所配置的比较。"},
		},
	},
	diagnose.DNSUnreachable: {
		Seen: "有 ICMP 差错报文引用了该查询：解析器的地址或端口不可达。",
		Alikes: []Alike{
			{"本机已不再需要的迟到应答", "那样 ICMP 差错报文是本机自己的，引用的是应答而不是查询。"},
			{"伪造的差错报文", "它必须引用所发出的查询。"},
		},
	},
	diagnose.DNSSinkhole: {
		Seen: "对一个并非本地的域名，应答是未指定地址或环回地址。",
		Alikes: []Alike{
			{"位于私有地址的公司自有代理", "私有地址不算发现。"},
			{"本来就指向这台机器的名称（localhost、.test、.internal）", "这些名称不计入。"},
		},
	},
	diagnose.DNSForged: {
		Seen: "一个只发送了一次的查询得到两个应答，它们没有共同的地址，或者其中一个是错误。通常先到的比解析器所能应答的还快，而本机会拒绝后到的（ICMP 端口不可达）。",
		Alikes: []Alike{
			{"查询发送了两次，或发给了两个解析器", "每个应答属于各自的查询；那样地址不同很正常。"},
			{"同一个应答被抓到两次或发送了两次", "内容相同，不算发现。"},
		},
	},

	diagnose.ConnectNotSent: {
		Seen: "主机的域名已经解析，而在一份没有丢弃数据包、且之后仍在继续的抓包中，没有发往其任何地址的 SYN 离开。",
		Alikes: []Alike{
			{"程序查询了域名但并不需要它", "只计入 GOPROXY 和 GOSUMDB 的主机；如果一个也没有看到，则计入提供模块的主机；证据强度保持为相符。"},
			{"经由未被抓包的接口或隧道的连接", "数据包无法说明：请在所有接口上抓包。"},
			lostInCaptureChinese,
		},
	},
	diagnose.ConnectRejectedLocally: {
		Seen: "针对该尝试的 RST 或 ICMP 差错报文是在环回接口上抓到的，或者带有本机自己的地址，而线路上没有看到 SYN。",
		Alikes: []Alike{
			{"对端或路由器的拒绝", "那样 SYN 和拒绝都在线路接口上。"},
			{"有意连接的本机程序", "不包括两端都在本机的连接。"},
		},
	},
	diagnose.ConnectAnswerIgnored: {
		Seen: "针对正确的 SYN、校验和正确的 SYN/ACK 到达了本机；本机重传了 SYN，一个 SYN/ACK 也没有确认。",
		Alikes: []Alike{
			{"损坏的、或确认了别的内容的应答", "那样本机丢弃它是对的，该尝试算作没有应答（connect.no-answer）。"},
			{"应答丢在抓包点之后，而抓包点不在本机", "客户端的存活时间（TTL）和记录的方向会显示路由器或网关是否转发了它的数据包；那样不给出结论。如果抓包点可能在本机旁边，证据强度为相符。"},
		},
	},
	diagnose.ConnectNoAnswer: {
		Seen: "SYN 已经发出，什么也没有返回：没有 SYN/ACK，没有 RST，没有 ICMP 差错报文。",
		Alikes: []Alike{
			{"被本机丢弃的应答（connect.answer-ignored）", "那样 SYN/ACK 在抓包中。"},
			{"只能听到一个方向的抓包", "必须有别的东西得到过应答，否则证据强度为相符。"},
			{"第一个地址失效，而下一个可用", "它得到了补救：抓包为 ok，带有附注 fallback。"},
			lostInCaptureChinese,
		},
	},
	diagnose.ConnectRefused: {
		Seen: "对 SYN 的应答是 RST。Windows 会把被拒绝的 SYN 重发几次：那是同一次尝试。",
		Alikes: []Alike{
			{"对端的端口关闭", "这是最可能的原因；数据包中没有什么能证明它。"},
			{"途中的防火墙以对端的名义应答", "如果到该地址的其他连接显示了其往返时间或存活时间（TTL），会与该 RST 比较；早于可能的时间，就把位置缩小到网络。"},
			{"本机自己产生的 RST", "它出现在环回接口上（connect.rejected-locally）。"},
		},
	},
	diagnose.ConnectUnreachable: {
		Seen: "对 SYN 的应答是一个引用了它的 ICMP 差错报文：不可达、被禁止或超时。会写明其发送者。",
		Alikes: []Alike{
			{"伪造的差错报文", "它必须引用所发送的序列号。"},
			{"本机自己的差错报文", "它带有本机的地址（connect.rejected-locally）。"},
			{"关于路径 MTU 的消息", "它不是拒绝（tls.large-packets-lost）。"},
		},
	},

	diagnose.ProxyRefused: {
		Seen: "HTTPS_PROXY 所指的 HTTP 代理以明文用错误应答了 CONNECT 请求。",
		Alikes: []Alike{
			{"其后的模块代理的拒绝", "那发生在 TLS 之内，无法读取；那样 CONNECT 已获准。"},
			{"无法到达目标的代理（502、503、504）", "状态码在结论中；原因在代理的日志中。"},
		},
	},
	diagnose.ProxySilent: {
		Seen: "CONNECT 请求已经发出，没有应答：静默、关闭或 RST。Go 会等待一分钟。",
		Alikes: []Alike{
			{"到代理的路径中断", "那样请求没有被确认，或保活得不到应答：位置包括网络。"},
			endedEarlyChinese,
		},
	},

	diagnose.TLSClientHelloNotSent: {
		Seen: "TCP 握手已完成，而客户端没有发出任何字节；Go 会在几毫秒内写出 ClientHello。要么什么也没有，要么有一个由本机产生的 RST：出现在环回接口上，或确认了从未离开的字节。",
		Alikes: []Alike{
			{"Go 放弃的备用连接", "它会在 quietFinding 之前立即关闭。"},
			{"被挂起的或缓慢的程序", "数据包无法把它与过滤器区分开；因此给出两个位置。"},
			{"在网络上丢失的 ClientHello（tls.client-hello-lost）", "那样它会反复出现在抓包中。"},
			lostInCaptureChinese,
		},
	},
	diagnose.TLSClientHelloLost: {
		Seen: "ClientHello 已离开并反复重传；它的全部或最后一段从未被确认，而同一路径上的 TCP 握手是成功的。",
		Alikes: []Alike{
			{"随机丢包", "重传一次就能补上；repeats 和 repeatsSpan 要求更多。"},
			{"没有离开的 ClientHello（tls.client-hello-not-sent）", "那样它不在抓包中。"},
			{"第一段丢失，而较小的第二段到达（tls.large-packets-lost）", "选择性确认（SACK）会显示出来。"},
			lostInCaptureChinese,
		},
	},
	diagnose.TLSLargePacketsLost: {
		Seen: "全尺寸的数据包不能通过，而小包可以：ClientHello 的第一段缺失，第二段被确认（SACK）；或者服务器的应答有一个始终没有补上的缺口；或者路由器称数据包过大。",
		Alikes: []Alike{
			{"随机丢包", "重传相同的字节会补上缺口。"},
			{"什么也没有到达的 ClientHello（tls.client-hello-lost）", "那样没有后面的部分被确认。"},
			{"只因网卡合并才显得很大的 TCP 段", "从不单凭大小判断；看的是什么到了、什么没到。"},
			lostInCaptureChinese,
		},
	},
	diagnose.TLSNoServerHello: {
		Seen: "ClientHello 已被确认，其后没有一个字节的应答。Go 在 10 秒后放弃；对端是否仍确认这一关闭，可以把静默的对端（已确认）与从 ClientHello 起丢弃一切的路径（未确认）区分开。",
		Alikes: []Alike{
			{"扣住应答的过滤器", "确认并不排除它：位置仍为网络、远端。"},
			{"整体丢失的应答", "如果看得到服务器的序列号，它会显示服务器发送过东西。"},
			{"被本机丢弃的应答（tls.answer-ignored）", "那样它在抓包中。"},
			endedEarlyChinese, lostInCaptureChinese,
		},
	},
	diagnose.TLSServerFlightStalled: {
		Seen: "服务器的握手部分开始了却没有结束，其中没有缺口：到停下之处为止，收到的内容是完整的。",
		Alikes: []Alike{
			{"应答中丢失的大段（tls.large-packets-lost）", "那样后面的部分会到达，客户端会索要缺口。"},
			{"没有继续的客户端（client.stalled）", "那样服务器的部分是完整的：TLS 1.2 由其最后一条消息显示，TLS 1.3 由单独的 Finished 记录显示。"},
			endedEarlyChinese, lostInCaptureChinese,
		},
	},
	diagnose.TLSAnswerIgnored: {
		Seen: "服务器的应答按序、以正确的校验和到达了本机，反复重传，却从未被确认。",
		Alikes: []Alike{
			{"带有缺口的应答（tls.large-packets-lost）", "那样客户端会反复确认它所收到的内容。"},
			{"应答丢在抓包点之后，而抓包点不在本机", "客户端的存活时间（TTL）和记录的方向会显示路由器或网关是否转发了它的数据包；那样不给出结论。如果抓包点可能在本机旁边，证据强度为相符。"},
			lostInCaptureChinese,
		},
	},
	diagnose.TLSReset: {
		Seen: "TLS 握手期间来了一个源地址为服务器的 RST：在 ClientHello 之前、之后，或在中途。",
		Alikes: []Alike{
			senderUnprovenChinese,
			{"代服务器发送 RST 的负载均衡器或地址转换设备", "它显示一个迹象（不同的存活时间、没有时间戳），不改变任何东西；位置仍为网络、远端。"},
			{"本机自己产生的 RST", "它出现在环回接口上（tls.client-hello-not-sent）。"},
			{"对客户端自己关闭连接的应答", "客户端的 FIN 或 RST 之后的 RST 不计入。"},
		},
	},
	diagnose.TLSClosed: {
		Seen: "对端在 TLS 握手期间关闭了连接（FIN），没有警报。",
		Alikes: []Alike{
			{"带有警报的拒绝（tls.alert-from-server）", "警报先到，并写明原因。"},
			{"对客户端自己关闭连接的应答", "那样是客户端先关闭，此规则不适用。"},
		},
	},
	diagnose.TLSAlertFromServer: {
		Seen: "对端以 TLS 警报拒绝了握手：或是带编号的明文警报；或是在 TLS 1.3 中，一条只容得下警报的加密记录，随后关闭连接。",
		Alikes: []Alike{
			{"close_notify 等不表示拒绝的警报", "它们不计入。"},
			{"途中的设备伪造的警报", "在 ServerHello 之前，没有什么能认证它；位置仍为网络、远端。"},
		},
	},
	diagnose.TLSAlertFromClient: {
		Seen: "客户端以一个与证书无关的警报中止了握手：它收到的内容是它不能接受的。",
		Alikes: []Alike{
			{"被拒绝的证书（tls.certificate-rejected）", "警报 41 至 46、48 和 113 与证书有关。"},
			{"客户端自身有故障", "Go 自己的错误文本会写明它不能接受什么。"},
		},
	},
	diagnose.TLSCertificateRejected: {
		Seen: "客户端拒绝了服务器的证书。在 TLS 1.2 中，警报、签发者、名称和日期都可读取；在 TLS 1.3 中，客户端的第一条加密记录短到只能是警报。",
		Alikes: []Alike{
			{"本机时钟错误", "会把证书的日期与抓包的时间比较。"},
			{"服务器的证书已过期，或属于另一个名称", "可读取时，日期和名称是证据的一部分。"},
			{"公司或安全产品的流量检查", "可读取时，签发者会指明它。单凭警报则不能：Go 对每一种验证失败都发送同样的警报。"},
			{"成功的握手", "那样客户端的第一条加密记录为 53 或 69 字节，或者更长。"},
		},
	},
	diagnose.TLSNotTLS: {
		Seen: "对 ClientHello 的应答不是 TLS：是明文 HTTP，往往来自强制门户或拦截页面；或是别的字节。",
		Alikes: []Alike{
			{"对明文 HTTP 代理使用了 TLS", "应答是 400，而端口不是用于 HTTPS 的：某个 URL 的协议写错了，位置为客户端。"},
			{"之后才转为 TLS 的协议", "那样服务器的字节在 ClientHello 之前到来。"},
		},
	},
	diagnose.TLSLocalInterception: {
		Seen: "本机上的安全产品或代理程序（agent）代替 go 命令建立 TLS 连接：线路上的连接属于另一个进程，并且正常，而 go 自己的连接终结于本机并在那里失败。抓包必须记录各连接属于哪个进程（pcapng 选项 8、进程块）。",
		Alikes: []Alike{
			{"特意配置的代理（HTTPS_PROXY）", "客户端会在 ClientHello 之前以 CONNECT 向它请求，或以别的方式与它打招呼；那样它的连接与其他连接一样判断。"},
			{"该产品遇到的网络故障", "那样它在线路上的连接也失败了，结论就是那个失败。"},
			{"go 命令接受的流量检查", "什么也没有失败，抓包为 ok。"},
		},
	},

	diagnose.HTTPNoResponse: {
		Seen: "握手已完成，请求已发出并被确认，而没有一个字节的应答到来。go 命令会无限期等待。",
		Alikes: []Alike{
			{"没有什么要请求的连接", "客户端最后发送的内容必须有请求那么长；否则证据强度为相符，而任何其他连接上的数据都会撤回此结论。"},
			{"路径中断（transfer.path-dead）", "那样数据或保活得不到确认。"},
			endedEarlyChinese, lostInCaptureChinese,
		},
	},
	diagnose.HTTPError: {
		Seen: "模块代理以 HTTP 错误作答，或以 HTTP/2 错误结束了一个流。在 TLS 之内两者都是加密的，只有 go 命令自己的输出（--go-output）能说明；在明文 HTTP 中，状态行就在抓包里。传输是正常的。",
		Alikes: []Alike{
			{"很小的文件", "在 TLS 之内，简短的应答与错误看起来一样；没有 go 命令的输出时，结论为 ok。"},
			{"拒绝的 CONNECT 代理（proxy.refused）", "它的状态码可在数据包中读取。"},
			{"明文 HTTP 上的 404 或 410", "go 命令把它当作应答：代理没有该内容。"},
		},
	},

	diagnose.TransferRemoteIdle: {
		Seen: "服务器停止了发送，它已发送的全部内容都被确认，没有未补上的缺口，客户端的窗口也不为零。",
		Alikes: []Alike{
			{"最后一个应答之后的空闲连接", "如果不知道有应答未到，任何其他连接上的数据都会撤回此结论。"},
			{"路径中断（transfer.path-dead）", "那样保活得不到应答。"},
			{"不读取的客户端（transfer.receiver-stalled）", "那样它的窗口为零。"},
			endedEarlyChinese, lostInCaptureChinese,
		},
	},
	diagnose.TransferPathDead: {
		Seen: "再没有任何东西返回：客户端的数据反复重传，或者它的保活得不到应答。九次之后 Go 会放弃。",
		Alikes: []Alike{
			{"静默的对端（transfer.remote-idle、http.no-response）", "那样保活会得到应答。"},
			{"休眠或失去自身链路的机器", "数据包无法说明；系统日志可以。"},
			lostInCaptureChinese,
		},
	},
	diagnose.TransferHeavyLoss: {
		Seen: "服务器的数据出现多处缺口之后，有一处始终没有补上，尽管客户端索要过。",
		Alikes: []Alike{
			{"已补上的丢包", "无论多少：这样的连接为 ok，带有附注 lossy。"},
			{"抓包自身丢失的数据包", "客户端会确认它们，不会索要。"},
			{"此前没有丢包的路径中断（transfer.path-dead）", "在它之前的缺口少于 holes。"},
		},
	},
	diagnose.TransferReset: {
		Seen: "在有数据移动或有应答未到时，一个源地址为服务器的 RST 结束了连接。",
		Alikes: []Alike{
			normalFarewellChinese, senderUnprovenChinese,
			{"服务器清理空闲连接", "没有应答未到，midBody 之内也没有数据移动。"},
		},
	},
	diagnose.TransferTruncated: {
		Seen: "服务器在一条 TLS 记录之内，或在请求之后、任何应答之前关闭了连接（FIN）。",
		Alikes: []Alike{
			{"服务器清理空闲连接", "它的最后一条记录是完整的，此后也没有新的请求。"},
			{"对客户端自己关闭连接的应答", "那样是客户端先关闭，此规则不适用。"},
			{"短于其 HTTP 长度的应答", "那发生在 TLS 之内，无法读取；go 的文本会写 unexpected EOF。"},
			{"客户端的写操作先遇到的重置（transfer.reset）", "套接字只报告一次，go 的下一次读取只会看到结尾：此时 go 也会写 unexpected EOF。报文能区分 FIN 和 RST。"},
		},
	},
	diagnose.TransferReceiverStalled: {
		Seen: "客户端宣告了零窗口，并且没有再打开：本机没有谁在读取已到达的内容。或者，在窗口打开时，数据反复完好地到达本机，而本机的 TCP 对此毫无反应：是本机自己在 TCP 之前丢弃了数据。",
		Alikes: []Alike{
			{"短暂填满的窗口", "它会在 quietFinding 之前再次打开。"},
			{"静默的服务器（transfer.remote-idle）", "那样窗口是打开的，没有数据到达。"},
			{"网络丢失的数据（transfer.heavy-loss）", "缺失的内容不会反复经过抓包点，或者客户端每次都以重复确认作答。"},
			{"丢在抓包点之后的数据", "如果在本机旁边或在路由器上抓包，不给出结论。"},
			{"已结束的程序", "它会先关闭：此后重传的内容不算数。"},
		},
	},

	diagnose.ClientAborted: {
		Seen: "客户端自己关闭了连接，在应答的中途或在等待应答时，早于它的任何定时器。",
		Alikes: []Alike{
			{"正常结束", "客户端关闭之后，服务器只发送它的告别（少于 lateData），且其最后一条记录是完整的。"},
			{"go 命令的超时", "在 tlsTimeout 之后放弃的握手，会按其所等待的内容来说明。"},
			{"竞争中落选的备用连接", "它会在 giveUp 之前关闭。"},
		},
	},
	diagnose.ClientStalled: {
		Seen: "服务器的握手部分是完整的，而客户端没有继续。",
		Alikes: []Alike{
			{"还有话要说的服务器（tls.server-flight-stalled）", "那样它的部分不完整，或看不到其结尾。"},
			{"从未到达客户端的应答（tls.answer-ignored）", "那样它没有被确认。"},
			{"系统的证书检查在等待网络（client.verification-stalled）", "请在同一份抓包中查找到 80 端口而没有应答的连接。"},
			endedEarlyChinese, lostInCaptureChinese,
		},
	},
	diagnose.ClientVerificationStalled: {
		Seen: "服务器的握手部分已被确认，客户端静默，而同一台机器的吊销检查请求得不到应答：对 OCSP 或 CRL 主机的域名查询、连接某个 80 端口的尝试，或那里的请求。",
		Alikes: []Alike{
			{"因别的原因而缓慢的客户端（client.stalled）", "那样没有此类请求未得到应答。"},
		},
	},
}
