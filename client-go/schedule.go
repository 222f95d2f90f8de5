package muster

import (
	"time"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// keepaliveDue returns how long after the last keepalive the next one is due.
func keepaliveDue(ttl time.Duration, word uint64) time.Duration {
	return time.Duration(rules.KeepaliveDue(ttl.Milliseconds(), word)) * time.Millisecond
}

// answerTimeout is how long a keepalive may stay unanswered before its stream
// counts as broken.
func answerTimeout(ttl time.Duration) time.Duration {
	return time.Duration(rules.AnswerWithin(ttl.Milliseconds())) * time.Millisecond
}

// leaseBackoffCap is the longest delay between attempts of a session that
// holds leases: longer ones would lose them.
func leaseBackoffCap(ttl time.Duration) time.Duration {
	return time.Duration(rules.LeaseCap(ttl.Milliseconds())) * time.Millisecond
}
