package rules

import "math"

// Elapsed is the time from one moment to a later one in milliseconds: 0 if the
// second is not later, and the largest number if the difference has none.
func Elapsed(from, to int64) int64 {
	switch {
	case to <= from:
		return 0
	case to-from < 0:
		return math.MaxInt64
	default:
		return to - from
	}
}

// Later is the moment that comes ms after another, or the last that there is.
// It wants an ms of 0 or more.
func Later(from, ms int64) int64 {
	if from > math.MaxInt64-ms {
		return math.MaxInt64
	}
	return from + ms
}
