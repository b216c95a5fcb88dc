package hostlog

// When is part of Record.
func (c *Claim) When() int64   { return c.Time }
func (p *Process) When() int64 { return p.Time }
func (x *Exit) When() int64    { return x.Time }
func (a *Attempt) When() int64 { return a.Time }
func (s *Socket) When() int64  { return s.Time }
func (s *Subject) When() int64 { return s.Time }
func (l *Line) When() int64    { return l.Time }
func (s *Setting) When() int64 { return s.Time }
func (e *Event) When() int64   { return e.Time }
func (u *Unread) When() int64  { return u.Time }
