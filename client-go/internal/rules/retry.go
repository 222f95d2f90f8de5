package rules

// Verdict is what becomes of a call that failed.
type Verdict uint8

// The verdicts.
const (
	// VerdictGiveUp: the caller gets the error.
	VerdictGiveUp Verdict = iota
	// VerdictRetry: call again after the wait.
	VerdictRetry
	// VerdictMove: call another server after the wait, which is 0 while the budget
	// lasts.
	VerdictMove
)

// Attempted is a call to a server that failed.
type Attempted struct {
	// Error is what it failed with.
	Error Row
	// Failures in a row before this one.
	Failures uint32
	// CapMs is the backoff's ceiling.
	CapMs int64
	// RetryAfterMs is what the server asked for; 0 if it did not.
	RetryAfterMs int64
	// LeftMs is the time to the deadline; a negative number if there is none.
	LeftMs int64
	// Others tells whether some server is left that this call has not tried in
	// this round; a round ends when each was.
	Others bool
}

// Decide tells what becomes of a call that failed: whether it is repeated, after
// how many milliseconds, and what is left of the budget. A repetition that could
// begin only at the deadline or later is given up at once and costs nothing.
func Decide(a Attempted, budget Budget, nowMs int64, word uint64) (Verdict, int64, Budget) {
	move := a.Error.NextServer && a.Others && a.RetryAfterMs <= 0
	if !move && !a.Error.Retryable() {
		return VerdictGiveUp, 0, budget
	}
	after, wait := budget.Retry(nowMs)
	verdict := VerdictMove
	if !move {
		verdict = VerdictRetry
		wait = max(wait, Delay(a.Failures, a.CapMs, word), spread(a.RetryAfterMs, word))
	}
	if a.LeftMs >= 0 && wait >= a.LeftMs {
		return VerdictGiveUp, 0, budget
	}
	return verdict, wait, after
}

// spread is what a server asked for and up to a fifth more, so that those it
// turned away together do not come back together.
func spread(ms int64, word uint64) int64 {
	if ms <= 0 {
		return 0
	}
	return Later(ms, int64(Below(word, uint64(ms)/5+1))) //nolint:gosec // both are positive
}
