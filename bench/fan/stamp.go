package fan

import "time"

// A stamp is a moment in units of 10 us, modulo 10 s, plus one: 1 to 1,000,000.
// It fits into the weight of an instance, so that a change carries the time at
// which its write began through every server alike.
const (
	stampUnit  = 10 * time.Microsecond
	stampCycle = 1_000_000
)

// Stamp is the stamp of a moment; it is never 0.
func Stamp(t time.Time) uint32 {
	return uint32(t.UnixNano()/int64(stampUnit)%stampCycle) + 1 //nolint:gosec // below a million
}

// Since is how long before a moment a stamp was made, if that is less than
// 10 s. A stamp that seems to come from the next few milliseconds, because it
// was rounded or the clock was set, is taken as now.
func Since(stamp uint32, now time.Time) time.Duration {
	d := (int64(Stamp(now)) - int64(stamp) + stampCycle) % stampCycle
	if d > stampCycle*9/10 {
		d = 0
	}
	return time.Duration(d) * stampUnit
}

// Now is the stamp of this moment.
func Now() uint32 { return Stamp(time.Now()) }
