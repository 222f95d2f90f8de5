package muster

import (
	"context"
	"time"

	"github.com/muster-registry/muster/client-go/internal/backoff"
	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// attempt is one try of a unary call at one server.
type attempt func(ctx context.Context, s *server) error

// call makes a unary call: it finds a server, tries, and on an error that may
// pass tries again, elsewhere first, until ctx leaves no time for it. Every call of the contract
// may be repeated safely. A ctx without deadline gets defaults.CallTimeout.
func (c *Client) call(ctx context.Context, op, subject string, do attempt) *Error {
	return c.callWithin(ctx, op, subject, do, false)
}

// callBriefly is call for somebody who has another answer: each server is tried
// once, and nobody waits for a second time.
func (c *Client) callBriefly(ctx context.Context, op, subject string, do attempt) *Error {
	return c.callWithin(ctx, op, subject, do, true)
}

func (c *Client) callWithin(ctx context.Context, op, subject string, do attempt, brief bool) *Error {
	ctx, cancel := withDefaultTimeout(ctx, defaults.CallTimeout)
	defer cancel()
	call := c.beginCall(ctx, op, subject)
	call.brief = brief
	err := c.attempts(withHeaders(ctx, call.headers), call, do)
	call.finish(err)
	return err
}

func (c *Client) attempts(ctx context.Context, call *observedCall, do attempt) *Error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel) //nolint:contextcheck // the call ends with the client, too
	defer stop()
	c.budget.call()
	var retries backoff.Backoff
	for tries := 1; ; tries++ {
		err := c.tryOnce(ctx, call, do)
		if err != nil && c.ctx.Err() != nil {
			return closedError("client")
		}
		if err == nil || err.Reason == ReasonDeadline && ctx.Err() != nil {
			return err
		}
		verdict, wait := c.decide(ctx, err, tries, call.brief, &retries)
		if verdict != rules.VerdictGiveUp && ctx.Err() == nil && sleep(ctx, wait) {
			continue
		}
		if !err.Retryable() {
			return err
		}
		return c.gaveUp(ctx, call.op, call.subject, err)
	}
}

// try is one attempt at whichever server serves, and a call of its own. The
// budget of repetitions is the caller's business.
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

// gaveUp is the error of a call whose time ran out between attempts, or leaves
// none for another.
func (c *Client) gaveUp(ctx context.Context, op, subject string, last *Error) *Error {
	if c.ctx.Err() != nil {
		return closedError("client")
	}
	if ctx.Err() == nil {
		return tooLateError(op, subject, last)
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
	// brief: nobody waits for another attempt.
	brief bool
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
