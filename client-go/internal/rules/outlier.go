package rules

const (
	// ConsecutiveFailures in a row eject an endpoint.
	ConsecutiveFailures = 5
	// EjectionMs is the first ejection's length; the n-th is n times as long.
	EjectionMs = 10_000
	// MaxEjections is the largest n: the longest ejection takes 5 minutes.
	MaxEjections = 30
	// ejectedShare of the slots, one in so many, may be ejected at a time, but
	// always one.
	ejectedShare = 5
)

// Outlier is what is remembered of one slot. The zero value is a slot of which
// nothing is known.
type Outlier struct {
	// Failures in a row.
	Failures uint32
	// Ejections so far, less one for each EjectionMs without.
	Ejections uint32
	// Ejected tells whether the slot is left out now, until UntilMs.
	Ejected bool
	UntilMs int64
	// Unreached tells whether it is so because nobody took a connection.
	Unreached bool
	// SinceMs is from when the time without ejection counts.
	SinceMs int64
}

// Ejecting is what an outcome changed.
type Ejecting uint8

// The changes.
const (
	// SlotUnchanged: nothing that a plan shows.
	SlotUnchanged Ejecting = iota
	// SlotEjects: the slot is left out from now on; look again at UntilMs.
	SlotEjects
	// SlotReturns: the slot takes calls again.
	SlotReturns
)

// Eject decides what an outcome at nowMs means for a slot of a channel that has
// total slots, of which others are ejected already. OutcomeIgnored lets time pass: call
// it so when UntilMs comes. A slot whose instance was registered anew begins
// with the zero value.
func Eject(o Outlier, outcome Outcome, nowMs int64, total, others uint32) (Outlier, Ejecting) {
	o, change := o.at(nowMs)
	switch outcome {
	case OutcomeSuccess:
		o.Failures = 0
	case OutcomeConnected:
		if o.Ejected && o.Unreached {
			return o.back(nowMs), SlotReturns
		}
	case OutcomeFailure, OutcomeRefused:
		if o.Ejected {
			return o, change
		}
		o.Failures = min(o.Failures, ConsecutiveFailures-1) + 1
		refused := outcome == OutcomeRefused
		if (refused || o.Failures == ConsecutiveFailures) && others < max(total/ejectedShare, 1) {
			return o.out(nowMs, refused), SlotEjects
		}
	}
	return o, change
}

// at lets time pass: an ejection ends, or those of before are forgotten.
func (o Outlier) at(nowMs int64) (Outlier, Ejecting) {
	if o.Ejected {
		if nowMs < o.UntilMs {
			return o, SlotUnchanged
		}
		return o.back(o.UntilMs), SlotReturns
	}
	steps := Elapsed(o.SinceMs, nowMs) / EjectionMs
	if steps >= int64(o.Ejections) {
		o.Ejections = 0
		return o, SlotUnchanged
	}
	o.Ejections -= uint32(steps) //nolint:gosec // less than Ejections
	o.SinceMs += steps * EjectionMs
	return o, SlotUnchanged
}

func (o Outlier) out(nowMs int64, unreached bool) Outlier {
	o.Ejections = min(o.Ejections, MaxEjections-1) + 1
	o.Ejected, o.Unreached = true, unreached
	o.UntilMs = Later(nowMs, int64(o.Ejections)*EjectionMs)
	return o
}

func (o Outlier) back(nowMs int64) Outlier {
	return Outlier{Ejections: o.Ejections, SinceMs: nowMs}
}
