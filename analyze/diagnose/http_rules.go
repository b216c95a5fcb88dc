package diagnose

import "strconv"

// plainError finds an error that a module proxy gave over plain HTTP (T11). With
// 404 and 410 it says that it lacks something, which the go command takes for an
// answer and turns to the next source.
func plainError(w *view) (Verdict, bool) {
	r := w.f.Response
	if w.hello != nil || w.f.Request == nil || r == nil || !moduleRequest(w.f.Request) || r.Status < 400 || r.Status == 404 || r.Status == 410 {
		return Verdict{}, false
	}
	status := strconv.Itoa(r.Status)
	if r.Reason != "" {
		status += " " + r.Reason
	}
	v := w.verdict(HTTPError, Suggested, inRemote, w.f.ResponseAt.Time, Text("status", status))
	v.evidence("http.status", frames(w.f.RequestAt, w.f.ResponseAt), Text("target", w.f.Request.Target), Text("status", status))
	if r.Server != "" || r.Via != "" {
		v.evidence("http.server", frames(w.f.ResponseAt), Text("server", r.Server), Text("via", r.Via))
	}
	return v, true
}
