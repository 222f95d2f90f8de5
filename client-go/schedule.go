package muster

import (
	"math/bits"
	"time"
)

// keepaliveDue returns how long after the last keepalive the next one is due:
// a third of the TTL, less up to a fifth of that. Jitter goes only downwards,
// because upwards it would eat the last of the three tries that a TTL holds.
func keepaliveDue(ttl time.Duration, word uint64) time.Duration {
	third := ttl.Milliseconds() / 3
	less, _ := bits.Mul64(word, uint64(third/5+1))
	return time.Duration(third-int64(less)) * time.Millisecond
}

// answerTimeout is how long a keepalive may stay unanswered before its stream
// counts as broken.
func answerTimeout(ttl time.Duration) time.Duration { return ttl / 3 }

// sessionBackoffCap is the longest delay between attempts of a session that
// holds leases: longer ones would lose them.
func sessionBackoffCap(ttl time.Duration) time.Duration { return ttl / 3 }
