package otlp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Sender sends a request until the endpoint has taken it or will not.
type Sender struct {
	Client Client
	// First and Longest are what is waited after the first failure and at
	// most, more or less by a half at random; zero for 1 s and 30 s. An
	// endpoint that asks for more gets it, up to an hour.
	First, Longest time.Duration
	// GiveUp is after how long without an answer Send returns the last
	// failure; zero for never.
	GiveUp time.Duration
	// Waiting is called before each wait with how long the endpoint has
	// failed, and Recovered when it took a request after that.
	Waiting   func(f *Failure, wait, since time.Duration)
	Recovered func(after time.Duration)
}

// Defaults of Sender.
const (
	firstWait   = time.Second
	longestWait = 30 * time.Second
)

// Send calls once until it returns no failure that may pass. Its error is a
// *Failure, or ctx's own where ctx ended before the request was taken.
func (s *Sender) Send(ctx context.Context, once func(context.Context, Client) (Rejection, error)) (Rejection, error) {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval, waits.Multiplier = firstWait, longestWait, 2
	if s.First > 0 {
		waits.InitialInterval = s.First
	}
	if s.Longest > 0 {
		waits.MaxInterval = s.Longest
	}
	waits.Reset()
	var began time.Time
	for {
		// A request under way is waited for also where ctx ends: it may have
		// been taken, and who sent it has to know.
		r, err := once(context.WithoutCancel(ctx), s.Client)
		var f *Failure
		if !errors.As(err, &f) || f.Kind != Retry {
			if err == nil && !began.IsZero() && s.Recovered != nil {
				s.Recovered(time.Since(began))
			}
			return r, err
		}
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if began.IsZero() {
			began = time.Now()
		}
		wait := max(waits.NextBackOff(), f.Wait)
		since := time.Since(began)
		if s.GiveUp > 0 && since+wait > s.GiveUp {
			return r, &Failure{Kind: Retry, Wait: f.Wait, Err: fmt.Errorf("given up after %s: %w", since.Round(time.Second), f.Err)}
		}
		if s.Waiting != nil {
			s.Waiting(f, wait, since)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return r, ctx.Err()
		case <-timer.C:
		}
	}
}
