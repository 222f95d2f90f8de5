package muster

import "time"

// Freshness is how far a view can be trusted to be current.
type Freshness int

// How fresh views are. A view that is not FRESH is served all the same.
const (
	// Fresh views are younger than Config.FreshFor.
	Fresh Freshness = iota + 1
	// Stale views are older, or did not match their digest.
	Stale
	// Expired views are older than Config.StaleFor, or were never received.
	Expired
)

var freshnessNames = map[Freshness]string{Fresh: "FRESH", Stale: "STALE", Expired: "EXPIRED"}

// String is the name, such as "FRESH".
func (f Freshness) String() string { return freshnessNames[f] }

// freshnessOf judges an age.
func freshnessOf(age, freshFor, staleFor time.Duration) Freshness {
	switch {
	case age < freshFor:
		return Fresh
	case age < staleFor:
		return Stale
	default:
		return Expired
	}
}

// frameTiming is what is known of a view's age: how old it was when its last
// frame was received, in milliseconds of the client's clock.
type frameTiming struct {
	receivedMs int64
	ageThenMs  int64
}

// ageMs is the age at a moment; it is never negative.
func (t frameTiming) ageMs(nowMs int64) int64 { return max(t.ageThenMs+nowMs-t.receivedMs, 0) }

// streamClock measures how long frames of one stream were under way. The
// smallest distance of the two clocks that was ever seen counts as no delay.
type streamClock struct {
	seen     bool
	smallest int64
}

// frame returns the timing of a frame.
func (c *streamClock) frame(receivedMs int64, uptimeMs, dataAgeMs uint64) frameTiming {
	distance := receivedMs - int64(min(uptimeMs, 1<<61))
	if !c.seen || distance < c.smallest {
		c.seen, c.smallest = true, distance
	}
	return frameTiming{receivedMs, int64(min(dataAgeMs, 1<<61)) + distance - c.smallest}
}
