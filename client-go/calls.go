package muster

import (
	"context"
	"time"

	"github.com/muster-registry/muster/client-go/internal/backoff"
)

// attempt is one try of a unary call at one server.
type attempt func(ctx context.Context, s *server) error

// call makes a unary call: it finds a server, tries, and on an error that may
// pass tries again, elsewhere first, until ctx ends. Every call of the contract
// may be repeated safely. A ctx without deadline gets callTimeout.
func (c *Client) call(ctx context.Context, op, subject string, do attempt) *Error {
	ctx, cancel := withDefaultTimeout(ctx, callTimeout)
	defer cancel()
	call := c.beginCall(ctx, op, subject)
	err := c.attempts(withHeaders(ctx, call.headers), call, do)
	call.finish(err)
	return err
}

func (c *Client) attempts(ctx context.Context, call *observedCall, do attempt) *Error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	op, subject := call.op, call.subject
	stop := context.AfterFunc(c.ctx, cancel) //nolint:contextcheck // the call ends with the client, too
	defer stop()
	var retries backoff.Backoff
	for tries := 1; ; tries++ {
		err := c.tryOnce(ctx, call, do)
		if err != nil && c.ctx.Err() != nil {
			return closedError("client")
		}
		if err == nil || !err.Retryable() || err.Reason == ReasonDeadline && ctx.Err() != nil {
			return err
		}
		if ctx.Err() == nil && err.nextServer() && tries%len(c.servers.list) != 0 && err.RetryAfter == 0 {
			continue // the next server at once
		}
		if !sleep(ctx, max(err.RetryAfter, retries.Next(c.config.backoffCap(), c.config.words()))) {
			return c.gaveUp(ctx, op, subject, err)
		}
	}
}

// try is one attempt at whichever server serves, and a call of its own.
func (c *Client) try(ctx context.Context, op, subject string, do attempt) *Error {
	call := c.beginCall(ctx, op, subject)
	err := c.tryOnce(withHeaders(ctx, call.headers), call, do)
	call.finish(err)
	return err
}

func (c *Client) tryOnce(ctx context.Context, call *observedCall, do attempt) *Error {
	call.attempts++
	s, err := c.servers.acquire(ctx, nil)
	if err != nil {
		return err
	}
	call.server = s.address
	if err := do(ctx, s); err != nil {
		e := fromStatus(ctx, err, call.op, call.subject, s.address)
		if e.nextServer() {
			c.servers.failed(s)
		}
		return e
	}
	return nil
}

// gaveUp is the error of a call whose time ran out between attempts.
func (c *Client) gaveUp(ctx context.Context, op, subject string, last *Error) *Error {
	if c.ctx.Err() != nil {
		return closedError("client")
	}
	return contextError(ctx, op, subject, last)
}

// observedCall is what a call's CallFinished will say.
type observedCall struct {
	telemetry           *telemetry
	op, subject, server string
	began               time.Time
	attempts            int
	headers             []Header
}

// beginCall asks for the headers of a call, unless ctx carries some already.
func (c *Client) beginCall(ctx context.Context, op, subject string) *observedCall {
	call := &observedCall{telemetry: c.config.telemetry, op: op, subject: subject, began: time.Now()}
	call.headers = headersOf(ctx)
	if call.headers == nil {
		call.headers = call.telemetry.headers(ctx)
	}
	return call
}

func (o *observedCall) finish(err *Error) {
	o.telemetry.observe(CallFinished{
		Op: o.op, Subject: o.subject, Server: o.server, Result: resultOf(err),
		Duration: time.Since(o.began), Attempts: o.attempts, Headers: o.headers,
	})
}

func withDefaultTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

// sleep waits and tells whether it did until the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
