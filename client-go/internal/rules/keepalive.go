package rules

// KeepaliveDue is how many milliseconds after the sending of one keepalive the
// next one is due: a third of the TTL, less up to a fifth of that. Jitter goes
// only downwards, because upwards it would eat the last of the three tries that
// a TTL holds.
func KeepaliveDue(ttlMs int64, word uint64) int64 {
	third := AnswerWithin(ttlMs)
	return third - int64(Below(word, uint64(third/5+1))) //nolint:gosec // third is not negative
}

// AnswerWithin is how many milliseconds a keepalive may stay unanswered before
// its stream counts as broken.
func AnswerWithin(ttlMs int64) int64 { return max(ttlMs, 0) / 3 }

// LeaseCap is the ceiling of waits that concern a lease: longer ones would lose
// it.
func LeaseCap(ttlMs int64) int64 { return min(AnswerWithin(ttlMs), BackoffCapMs) }
