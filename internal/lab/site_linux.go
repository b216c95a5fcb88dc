package lab

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// handler answers the requests of one site.
type handler struct {
	ctx    context.Context
	lab    *Lab
	site   *Site
	tree   map[string][]byte // of a module proxy
	pages  map[string][]byte // of the checksum database, below prefix
	prefix string
	git    *gitHost
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.site.Request != nil && h.site.Request(h.ctx, h.lab, w, r) {
		return
	}
	if h.git != nil {
		h.git.ServeHTTP(w, r)
		return
	}
	body, ok := h.tree[r.URL.Path]
	if page, below := strings.CutPrefix(r.URL.Path, h.prefix); !ok && below {
		body, ok = h.pages[page]
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if h.site.Body != nil && strings.HasSuffix(r.URL.Path, ".zip") {
		half := len(body) / 2
		w.Write(body[:half])
		http.NewResponseController(w).Flush()
		if c, ok := r.Context().Value(connKey{}).(*net.TCPConn); ok {
			h.site.Body(h.ctx, h.lab, c)
		}
		body = body[half:]
	}
	w.Write(body)
}
