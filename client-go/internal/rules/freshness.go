package rules

// Freshness is how far a view can be trusted to be current.
type Freshness string

// How fresh views are.
const (
	// Fresh views are young.
	Fresh Freshness = "FRESH"
	// Stale views are older, or did not match their digest.
	Stale Freshness = "STALE"
	// Expired views are old.
	Expired Freshness = "EXPIRED"
)

// FreshnessOf judges an age. A view that is in doubt, because it or what
// followed it did not match its digest, is never FRESH. endsMs is the age at
// which the freshness ends; -1 if it never does.
func FreshnessOf(ageMs, freshForMs, staleForMs int64, doubtful bool) (f Freshness, endsMs int64) {
	switch {
	case ageMs >= staleForMs:
		return Expired, -1
	case ageMs >= freshForMs || doubtful:
		return Stale, staleForMs
	default:
		return Fresh, freshForMs
	}
}

// longestMs bounds the times that come in, so that no sum overflows.
const longestMs = 1 << 60

func clampMs(ms int64) int64 { return min(max(ms, -longestMs), longestMs) }

// Timing is what is known of a view's age: how old it was when its last frame
// was received.
type Timing struct {
	// ReceivedMs is when, by the client's monotonic clock.
	ReceivedMs int64
	// AgeThenMs is how old the data was then.
	AgeThenMs int64
}

// AgeMs is the age at a moment; it is never negative.
func (t Timing) AgeMs(nowMs int64) int64 { return max(t.AgeThenMs+clampMs(nowMs)-t.ReceivedMs, 0) }

// StreamClock measures how long frames of one stream were under way. The
// smallest distance of the two clocks that was ever seen counts as no delay.
// The zero value has seen nothing.
type StreamClock struct {
	seen     bool
	smallest int64
}

// Frame returns the timing of a frame, and remembers it if it was the fastest.
func (c *StreamClock) Frame(receivedMs int64, uptimeMs, dataAgeMs uint64) Timing {
	receivedMs = clampMs(receivedMs)
	distance := receivedMs - int64(min(uptimeMs, longestMs)) //nolint:gosec // bounded
	if !c.seen || distance < c.smallest {
		c.seen, c.smallest = true, distance
	}
	return Timing{receivedMs, int64(min(dataAgeMs, longestMs)) + distance - c.smallest} //nolint:gosec // bounded
}
