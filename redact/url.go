package redact

import "strings"

// URL returns the pseudonym of a URL: without user and password, with the host
// replaced unless it is public, the path as far as it belongs to the protocols
// of module proxies and checksum databases, and nothing of the query.
func (r *Redactor) URL(u string) string {
	i := strings.Index(u, "://")
	if i < 0 {
		return r.Endpoint(u)
	}
	scheme, rest := u[:i+3], u[i+3:]
	if lower(scheme) == "file://" {
		return scheme + r.Path(rest)
	}
	tail := rest[len(strings.TrimRight(rest, ":.)]")):]
	if strings.HasSuffix(tail, "]") || strings.HasPrefix(tail, "]") {
		tail = ""
	}
	rest = rest[:len(rest)-len(tail)]
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	// A password may hold a slash that nobody escaped.
	if at := strings.LastIndexByte(rest, '@'); at > end && !port(rest[:end]) {
		end = at + 1 + strings.IndexAny(rest[at+1:]+"/", "/?#")
	}
	authority, path := rest[:end], rest[end:]
	out := scheme
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if info := authority[:at]; info == "git" && strings.HasSuffix(lower(scheme), "ssh://") {
			out += "git@"
		} else {
			out += "xxxxx@"
		}
		authority = authority[at+1:]
	}
	out += r.Endpoint(authority)
	path, query, has := strings.Cut(path, "?")
	path, _, _ = strings.Cut(path, "#")
	out += r.urlPath(path)
	if has {
		if query == "go-get=1" {
			out += "?" + query
		} else {
			out += "?" + hidden
		}
	}
	return out + tail
}

// port reports whether what stands behind an authority's last colon can be a
// port, or there is none.
func port(authority string) bool {
	i := strings.LastIndexByte(authority, ':')
	return i < 0 || strings.HasSuffix(authority, "]") || digits(authority[i+1:])
}

// urlPath returns the path of a URL without private names.
func (r *Redactor) urlPath(p string) string {
	if r.reveal[Modules] && r.reveal[Paths] || strings.Trim(p, "/") == "" {
		return p
	}
	if rest, ok := strings.CutPrefix(p, "/sumdb/"); ok {
		db, op, _ := strings.Cut(rest, "/")
		switch {
		case op == "supported" || op == "latest" || strings.HasPrefix(op, "tile/"):
			return "/sumdb/" + r.Host(db) + "/" + op
		case strings.HasPrefix(op, "lookup/"):
			return "/sumdb/" + r.Host(db) + "/lookup/" + r.Module(strings.TrimPrefix(op, "lookup/"))
		}
	}
	for _, mark := range []string{"/@v/", "/@latest"} {
		if i := strings.Index(p, mark); i >= 0 {
			file := p[i+len(mark):]
			if mark == "/@v/" && file != "list" {
				ext := extension(file)
				file = r.version(strings.TrimSuffix(file, ext)) + ext
			}
			return r.proxied(p[:i]) + mark + file
		}
	}
	if r.reveal[Paths] {
		return p
	}
	// Where modules are fetched from by themselves, the path is the module's.
	return r.trimmedPath(p)
}

func (r *Redactor) trimmedPath(p string) string {
	slash := strings.HasSuffix(p, "/")
	p = r.elements(strings.TrimSuffix(p, "/"))
	if slash {
		p += "/"
	}
	return p
}

// proxied replaces the module in the path of a request to a module proxy: it
// begins with the first element that has a dot, what stands before is the
// proxy's own.
func (r *Redactor) proxied(p string) string {
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	for i, e := range parts {
		if strings.Contains(e, ".") {
			before := ""
			if i > 0 {
				before = r.elements(strings.Join(parts[:i], "/")) + "/"
			}
			return "/" + before + r.Module(strings.Join(parts[i:], "/"))
		}
	}
	return "/" + r.elements(strings.Join(parts, "/"))
}
