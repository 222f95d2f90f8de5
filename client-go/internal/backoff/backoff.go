// Package backoff counts failures and tells how long to wait before the next
// attempt. The delays are those of package rules, as durations.
package backoff

import (
	"time"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

const (
	// Floor is the shortest delay; below it a refusing server would be flooded.
	Floor = rules.BackoffFloorMs * time.Millisecond
	// EndpointCap is the longest delay between attempts to reach an endpoint,
	// and between attempts of a session that holds no lease.
	EndpointCap = rules.BackoffCapMs * time.Millisecond
	// ResetAfter is how long a stream must have lived, after its first message,
	// for the count of failures to begin anew.
	ResetAfter = rules.StreamLifeMs * time.Millisecond
)

// Backoff counts failures in a row. The zero value has none. It is not safe
// for concurrent use.
type Backoff struct {
	failures uint32
}

// Next returns the delay before the next attempt and counts a failure.
func (b *Backoff) Next(limit time.Duration, word uint64) time.Duration {
	delay := rules.Delay(b.failures, limit.Milliseconds(), word)
	b.Failed()
	return time.Duration(delay) * time.Millisecond
}

// Failed counts a failure whose delay somebody else reckons.
func (b *Backoff) Failed() {
	if b.failures < 1<<31 {
		b.failures++
	}
}

// Failures is the number of failures in a row.
func (b *Backoff) Failures() uint32 { return b.failures }

// Reset forgets all failures.
func (b *Backoff) Reset() { b.failures = 0 }

// StreamEnded resets b if a stream that ended was good: it brought a message
// and lived for ResetAfter.
func (b *Backoff) StreamEnded(messages bool, lived time.Duration) {
	b.failures = rules.FailuresAfterStream(b.failures, messages, lived.Milliseconds())
}
