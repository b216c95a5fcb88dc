package messages

// wordsChinese holds what rules and records say in English words, by the
// value's name and the word.
var wordsChinese = map[string]string{
	"source.environment":  "环境变量",
	"source.defaults":     "默认值",
	"source.go's output":  "go 的输出",
	"source.capture file": "抓包文件",

	"separator.comma": "逗号",
	"separator.bar":   "竖线",

	"alert.encrypted": "（已加密）",

	"answer.no address":    "没有地址",
	"answer.another error": "另一种错误",
	"first.no address":     "“没有地址”",
	"first.another error":  "另一种错误",
	"second.no address":    "“没有地址”",
	"second.another error": "另一种错误",
	"rcode.no address":     "没有地址",
	"rcode.another error":  "另一种错误",

	"error.none": "无",

	"origin.the capture file":                        "抓包文件",
	"origin.kernel log":                              "内核日志",
	"origin.WFP net event":                           "WFP 网络事件",
	"origin.kernel drop reason":                      "内核的丢包原因",
	"provider.packet filter (netfilter)":             "包过滤器（netfilter）",
	"provider.BPF filter of a control group":         "控制组的 BPF 过滤器",
	"provider.traffic control filter":                "流量控制（tc）过滤器",
	"provider.reverse path filter (rp_filter)":       "反向路径过滤（rp_filter）",
	"provider.IPsec policy":                          "IPsec 策略",
	"provider.Microsoft Defender network protection": "Microsoft Defender 网络保护",

	"source.packets that this machine drops":                "本机丢弃的数据包",
	"source.the kernel's log":                               "内核日志",
	"source.the counters of nftables' rules":                "nftables 规则的计数器",
	"source.the counters of connection tracking":            "连接跟踪的计数器",
	"source.this machine's logs":                            "本机的日志",
	"source.Defender's operational log":                     "Defender 的操作日志",
	"source.the Security log":                               "安全日志",
	"source.Sysmon's log":                                   "Sysmon 的日志",
	"source.the filtering platform's net events":            "过滤平台的网络事件",
	"source.the filtering platform's filters":               "过滤平台的过滤器",
	"source.the filtering platform's providers":             "过滤平台的提供者",
	"source.whose filters those are that blocked something": "拦截所用过滤器的归属",
	"source.the filter drivers":                             "过滤驱动程序",
	"source.the network filters that are installed":         "已安装的网络过滤器",
	"source.network protection's mode":                      "网络保护的模式",
	"source.WinHTTP's proxy":                                "WinHTTP 的代理",
	"source.Npcap's version":                                "Npcap 的版本",
}
