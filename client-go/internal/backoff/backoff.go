// Package backoff computes how long to wait before the next attempt. It is
// pure: the random word is an input, so that tests and the Rust client see the
// same delays.
package backoff

import (
	"math/bits"
	"time"
)

const (
	// Floor is the shortest delay; below it a refusing server would be flooded.
	Floor = 50 * time.Millisecond
	// Base is the longest delay after the first failure.
	Base = 200 * time.Millisecond
	// EndpointCap is the longest delay between attempts to reach an endpoint,
	// and between attempts of a session that holds no lease.
	EndpointCap = 5 * time.Second
	// ResetAfter is how long a stream must have lived, after its first message,
	// for the count of failures to begin anew. Without it a server that sends
	// one message and dies is called in a tight loop.
	ResetAfter = 10 * time.Second
)

// Delay is full jitter: evenly spread between Floor and Base doubled `failures`
// times, at most limit. It is computed in whole milliseconds from word, a
// random number.
func Delay(failures int, limit time.Duration, word uint64) time.Duration {
	ceiling := limit.Milliseconds()
	if failures < 16 {
		ceiling = min(ceiling, Base.Milliseconds()<<max(failures, 0))
	}
	floor := Floor.Milliseconds()
	if ceiling <= floor {
		return Floor
	}
	high, _ := bits.Mul64(word, uint64(ceiling-floor))
	return time.Duration(floor+int64(high)) * time.Millisecond
}

// Backoff counts failures in a row. The zero value has none. It is not safe
// for concurrent use.
type Backoff struct {
	failures int
}

// Next returns the delay before the next attempt and counts a failure.
func (b *Backoff) Next(limit time.Duration, word uint64) time.Duration {
	delay := Delay(b.failures, limit, word)
	b.failures++
	return delay
}

// Failures is the number of failures in a row.
func (b *Backoff) Failures() int { return b.failures }

// Reset forgets all failures.
func (b *Backoff) Reset() { b.failures = 0 }

// StreamEnded resets b if a stream that ended was good: it brought a message
// and lived for ResetAfter.
func (b *Backoff) StreamEnded(messages bool, lived time.Duration) {
	if messages && lived >= ResetAfter {
		b.Reset()
	}
}
