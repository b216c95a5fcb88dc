// Package hint holds the error with advice that the capture engines return.
//
// In comes an error and what the user can do about it, out comes an error
// whose text is the first and whose Hint is the second.
package hint

// Error is an error that the user can do something about.
type Error struct {
	Err error
	// Advice is one or more whole sentences for a person.
	Advice string
}

// New attaches advice to err.
func New(err error, advice string) error { return &Error{err, advice} }

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Hint returns the advice.
func (e *Error) Hint() string { return e.Advice }
