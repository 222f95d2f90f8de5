package rules

const (
	// BackoffBaseMs is the first ceiling; each further failure doubles it.
	BackoffBaseMs = 200
	// BackoffFloorMs is the shortest wait: who fails is never asked in a tight
	// loop.
	BackoffFloorMs = 50
	// BackoffCapMs is the ceiling of waits that concern no lease.
	BackoffCapMs = 5_000
	// StreamLifeMs is how long a stream must have lived, and brought a message,
	// to count as a success: a server that sends one message and dies is not to
	// be called in a tight loop.
	StreamLifeMs = 10_000
)

// Delay is the wait before the next attempt in milliseconds, after so many
// failures in a row before the last one: spread evenly from the floor up to
// min(capMs, base × 2^failures), that excluded.
func Delay(failures uint32, capMs int64, word uint64) int64 {
	ceiling := min(int64(BackoffBaseMs)<<min(failures, 32), capMs)
	if ceiling <= BackoffFloorMs {
		return BackoffFloorMs
	}
	return BackoffFloorMs + int64(Below(word, uint64(ceiling-BackoffFloorMs))) //nolint:gosec // both are positive
}

// FailuresAfterStream is the number of failures in a row after a stream ended.
func FailuresAfterStream(failures uint32, delivered bool, livedMs int64) uint32 {
	if delivered && livedMs >= StreamLifeMs {
		return 0
	}
	return failures
}
