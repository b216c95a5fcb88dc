package redact

import (
	"net/netip"
	"strings"
)

// Setting returns the pseudonym of the value of one of the go command's
// settings or of an environment variable.
func (r *Redactor) Setting(name, value string) string {
	upper := strings.ToUpper(name)
	switch {
	case value == "" || plainValue(value):
		return value
	case upper == "GOPROXY":
		return r.proxyList(value)
	case upper == "GOSUMDB":
		return r.sumDB(value)
	case upper == "GOPRIVATE", upper == "GONOPROXY", upper == "GONOSUMDB", upper == "GOINSECURE", upper == "GONOSUMCHECK":
		return r.Patterns(value)
	case upper == "NO_PROXY":
		parts := strings.Split(value, ",")
		for i, p := range parts {
			dot := ""
			if strings.HasPrefix(p, ".") {
				dot, p = ".", p[1:]
			}
			parts[i] = dot + r.exempt(p)
		}
		return strings.Join(parts, ",")
	case strings.HasSuffix(upper, "_PROXY"):
		return r.proxy(value)
	case upper == "USER", upper == "LOGNAME", upper == "USERNAME":
		return r.User(value)
	case upper == "GOFLAGS", upper == "GODEBUG":
		return r.words(r.Text(value))
	case upper == "GOVERSION", upper == "GOTOOLCHAIN":
		return Toolchain(value)
	case upper == "GOOS", upper == "GOARCH", upper == "GOVCS":
		return r.Text(value)
	case strings.ContainsAny(value, `/\`) && !strings.Contains(value, "://"):
		return r.Path(value)
	}
	return hidden
}

func plainValue(v string) bool {
	switch strings.ToLower(v) {
	case "on", "off", "true", "false", "auto", "local", "direct", "none", "*", "linux", "windows", "darwin", "amd64", "arm64":
		return true
	}
	return digits(v)
}

// exempt replaces an element of NO_PROXY: an address, a range of them, or a
// host, which may have no domain.
func (r *Redactor) exempt(p string) string {
	t := strings.TrimSpace(p)
	if _, err := netip.ParsePrefix(t); err == nil || t == "*" || t == "" {
		return r.token(p)
	}
	return r.Endpoint(t)
}

// Toolchain returns the name of a release of Go, or a choice of one (GOTOOLCHAIN);
// whoever builds his own may call it anything.
func Toolchain(v string) string {
	choice, rest, more := strings.Cut(v, "+")
	if (choice == "local" || choice == "default" || strings.HasPrefix(choice, "go1") && strings.Trim(choice, "go0123456789.-rcbetadvl") == "") &&
		(!more || rest == "auto" || rest == "path") || v == "path" {
		return v
	}
	return hidden
}

// proxyList replaces the elements of GOPROXY.
func (r *Redactor) proxyList(list string) string {
	var b strings.Builder
	for {
		i := strings.IndexAny(list, ",|")
		if i < 0 {
			b.WriteString(r.proxy(list))
			return b.String()
		}
		b.WriteString(r.proxy(list[:i]))
		b.WriteByte(list[i])
		list = list[i+1:]
	}
}

// proxy replaces the address of a proxy, which may have no scheme.
func (r *Redactor) proxy(v string) string {
	t := strings.TrimSpace(v)
	switch {
	case t == "direct" || t == "off" || t == "":
		return v
	case strings.Contains(t, "://"):
		return r.URL(t)
	}
	if at := strings.LastIndexByte(t, '@'); at >= 0 {
		return "xxxxx@" + r.proxy(t[at+1:])
	}
	host, path, ok := strings.Cut(t, "/")
	if ok {
		return r.Endpoint(host) + r.urlPath("/"+path)
	}
	return r.Endpoint(host)
}

// sumDB replaces the name, key and address in GOSUMDB.
func (r *Redactor) sumDB(v string) string {
	fields := strings.Fields(v)
	for i, f := range fields {
		if i > 0 {
			fields[i] = r.proxy(f)
			continue
		}
		name, key, ok := strings.Cut(f, "+")
		fields[i] = r.Host(name)
		if ok {
			fields[i] += "+" + key
			if fields[i] != f {
				fields[i] = r.Host(name)
			}
		}
	}
	return strings.Join(fields, " ")
}
