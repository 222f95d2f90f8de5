package rules

// The bounds of the time that a process may have between being told to stop and
// being killed.
const (
	ShortestGraceMs = 3_000
	LongestGraceMs  = 86_400_000
)

// longestGracePartMs bounds the parts that do not grow with the period.
const longestGracePartMs = 5_000

// Grace is how a process that was told to stop divides the time until it is
// killed. The first three are moments, in milliseconds since it was told.
type Grace struct {
	// WatchersMs is when watchers are waited for no longer.
	WatchersMs int64
	// AnswersMs is when answers from before count no longer.
	AnswersMs int64
	// CallsMs is when calls in flight are cut off.
	CallsMs int64
	// DeregisterMs is how long deregistering may take, from its beginning.
	DeregisterMs int64
}

// GraceOf divides a period. A sixth, but at most 5 s, goes to each of watchers,
// answers from before, deregistering, and what is left over at the end; calls
// have the rest. Periods out of bounds are brought into them.
func GraceOf(periodMs int64) Grace {
	period := min(max(periodMs, ShortestGraceMs), LongestGraceMs)
	part := min(period/6, longestGracePartMs)
	return Grace{part, 2 * part, period - 2*part, part}
}
