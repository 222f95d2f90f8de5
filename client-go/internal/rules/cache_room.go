package rules

import (
	"cmp"
	"slices"
)

// CacheSize is a file in a cache directory.
type CacheSize struct {
	// Name of the file.
	Name string
	// Bytes that it takes.
	Bytes uint64
	// ModifiedMs is when it was written, by the wall clock in Unix ms.
	ModifiedMs int64
}

// CacheRoom says which files must go, oldest first, so that needed more bytes
// fit under limit. It is false if they never do; then nothing goes.
func CacheRoom(files []CacheSize, needed, limit uint64) (gone []string, fits bool) {
	if needed > limit {
		return nil, false
	}
	oldest := slices.Clone(files)
	slices.SortFunc(oldest, func(a, b CacheSize) int {
		return cmp.Or(cmp.Compare(a.ModifiedMs, b.ModifiedMs), cmp.Compare(a.Name, b.Name))
	})
	// From the newest on, keep what fits; all that is older than the first that
	// does not fit goes.
	room := limit - needed
	kept := len(oldest)
	for kept > 0 && oldest[kept-1].Bytes <= room {
		kept--
		room -= oldest[kept].Bytes
	}
	for _, f := range oldest[:kept] {
		gone = append(gone, f.Name)
	}
	return gone, true
}
