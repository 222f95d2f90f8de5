package rules

// longestAge bounds ages, so that sums of two do not overflow.
const longestAge = 1 << 61

// CacheAge is how old a view is, in ms, that was written by the wall clock at
// writtenMs, ageMs old, and is read at nowMs. A wall clock that went back proves
// nothing: then it is at least staleMs, the age at which views become STALE.
func CacheAge(nowMs, writtenMs, ageMs, staleMs int64) int64 {
	age := min(max(ageMs, 0), longestAge)
	if nowMs < writtenMs {
		return max(age, staleMs)
	}
	// The difference fits into 64 bits without sign.
	return age + int64(min(uint64(nowMs)-uint64(writtenMs), longestAge))
}
