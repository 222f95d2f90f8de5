package muster

import (
	"context"
	"sync"
	"time"

	"github.com/muster-registry/muster/client-go/internal/backoff"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// retryBudget bounds how many calls to the registry a client repeats: see
// section 19 of docs/client-spec.md. A client has one. It is safe for
// concurrent use.
type retryBudget struct {
	began time.Time

	mu   sync.Mutex
	left rules.Budget
}

func newRetryBudget() *retryBudget {
	return &retryBudget{began: time.Now(), left: rules.FullBudget(0)}
}

// call counts a call that is no repetition.
func (b *retryBudget) call() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = b.left.Call(b.nowMs())
}

// decide tells what becomes of a call that failed, and after which wait.
func (b *retryBudget) decide(a rules.Attempted, word uint64) (rules.Verdict, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.left
	if !reachedServer(a.Error) {
		left = rules.FullBudget(b.nowMs())
	}
	verdict, wait, left := rules.Decide(a, left, b.nowMs(), word)
	if reachedServer(a.Error) {
		b.left = left
	}
	return verdict, time.Duration(wait) * time.Millisecond
}

func (b *retryBudget) nowMs() int64 { return time.Since(b.began).Milliseconds() }

// reachedServer tells whether a server was sent a call that failed so. Without
// one there is nothing to spare, and whoever waited in line would be late when
// the servers are back.
func reachedServer(e rules.Row) bool { return e.Reason != string(ReasonNoServer) }

// decide tells what becomes of a call to the registry that failed, after so many
// tries of its own, and after which wait. One that is brief waits for nothing.
func (c *Client) decide(ctx context.Context, err *Error, tries int, brief bool, retries *backoff.Backoff) (rules.Verdict, time.Duration) {
	attempted := c.attempted(err, retries, c.config.backoffCap())
	attempted.Others = tries%len(c.servers.list) != 0
	if deadline, ok := ctx.Deadline(); ok {
		attempted.LeftMs = max(time.Until(deadline).Milliseconds(), 0)
	}
	if brief {
		attempted.LeftMs = min(attempted.LeftMs, 1) // there is a deadline
	}
	verdict, wait := c.budget.decide(attempted, c.config.words())
	if verdict == rules.VerdictRetry {
		retries.Failed()
	}
	return verdict, wait
}

// delay is the wait before the repetition of what is repeated for as long as it
// is wanted, whatever it failed with.
func (c *Client) delay(err *Error, retries *backoff.Backoff, limit time.Duration) time.Duration {
	attempted := c.attempted(err, retries, limit)
	attempted.Error.Class = rules.ClassYes
	_, wait := c.budget.decide(attempted, c.config.words())
	retries.Failed()
	return wait
}

func (c *Client) attempted(err *Error, retries *backoff.Backoff, limit time.Duration) rules.Attempted {
	return rules.Attempted{
		Error:        err.Reason.row(err.Code),
		Failures:     retries.Failures(),
		CapMs:        limit.Milliseconds(),
		RetryAfterMs: err.RetryAfter.Milliseconds(),
		LeftMs:       -1,
	}
}
