package diagnose

// shape is the size of the ClientHello without the server's name: one program
// sends hellos of one shape, as long as it offers no session to resume. Zero
// where not known.
func (w *view) shape() int64 {
	if w.hello == nil || w.f.ServerName == "" {
		return 0
	}
	return w.hello.End - w.hello.Offset - int64(len(w.f.ServerName))
}

// cutHello reports whether the snapshot length cut a hello before what tells
// which program sent it.
func (w *view) cutHello() bool {
	return w.hello != nil && w.hello.Cut && len(w.hello.Groups) == 0 && !w.hello.GREASE
}

// sameShape counts what sent a hello too short to be recognised as the go
// command's where the hello to one of its known hosts was as long.
func (a *Aggregator) sameShape(least relevance) {
	if least < related {
		return
	}
	known := make(map[int64]bool)
	for _, k := range a.contacts {
		if k.relevance >= least && k.shape > 0 {
			known[k.shape] = true
		}
	}
	for _, k := range a.contacts {
		if k.relevance == https && k.cutHello && known[k.shape] {
			k.relevance = related
		}
	}
}
