package embedded

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The names in a store's directory. Everything else in it is left alone.
const (
	metaName       = "META"
	lockName       = "LOCK"
	segmentPrefix  = "log-"
	snapshotPrefix = "snapshot-"
	tempSuffix     = ".tmp" // not yet whole; removed at the next Open
)

func segmentName(number uint64) string    { return segmentPrefix + padded(number) }
func snapshotName(revision uint64) string { return snapshotPrefix + padded(revision) }

// padded makes names sort as their numbers do.
func padded(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	return strings.Repeat("0", max(0, 12-len(digits))) + digits
}

// listing is what a directory holds of ours.
type listing struct {
	dir       string
	meta      bool
	segments  []uint64 // ascending
	snapshots []uint64 // their revisions, ascending
	temps     []string
}

func (l *listing) path(name string) string { return filepath.Join(l.dir, name) }

func newListing(dir string, names []string) *listing {
	l := &listing{dir: dir}
	for _, name := range names {
		switch {
		case name == metaName:
			l.meta = true
		case strings.HasSuffix(name, tempSuffix) && ours(strings.TrimSuffix(name, tempSuffix)):
			l.temps = append(l.temps, name)
		case strings.HasPrefix(name, segmentPrefix):
			if n, ok := number(name, segmentPrefix); ok {
				l.segments = append(l.segments, n)
			}
		case strings.HasPrefix(name, snapshotPrefix):
			if n, ok := number(name, snapshotPrefix); ok {
				l.snapshots = append(l.snapshots, n)
			}
		}
	}
	slices.Sort(l.segments)
	slices.Sort(l.snapshots)
	return l
}

func ours(name string) bool {
	_, log := number(name, segmentPrefix)
	_, snapshot := number(name, snapshotPrefix)
	return log || snapshot || name == metaName
}

// number reads back what padded wrote, and nothing else.
func number(name, prefix string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && padded(n) == digits
}
