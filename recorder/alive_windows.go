package recorder

// Alive says yes: those who watch the processes hold a handle of each, and are
// sure to be told of its end.
func Alive(uint32) bool { return true }
