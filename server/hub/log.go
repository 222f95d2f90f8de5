package hub

import (
	"slices"

	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/view"
)

// minLog is how many changes of each service are kept whatever the budget says.
const minLog = 64

// serviceLog is a service's recent changes, oldest first.
type serviceLog struct {
	name    record.ServiceName
	changes []view.Change
	// floor is the revision up to which changes may be missing.
	floor uint64
}

// history is the logs of all services, under one budget. A busy service pays
// for its own length: it is the one that is trimmed.
type history struct {
	logs   map[record.ServiceName]*serviceLog
	total  int
	budget int
	// start is the revision before which nothing is known.
	start uint64
}

func newHistory(start uint64, budget int) *history {
	return &history{logs: map[record.ServiceName]*serviceLog{}, start: start, budget: budget}
}

func (h *history) append(c view.Change) *serviceLog {
	l := h.logs[c.Service]
	if l == nil {
		l = &serviceLog{name: c.Service, floor: h.start}
		h.logs[c.Service] = l
	}
	l.changes = append(l.changes, c)
	h.total++
	if h.total > h.budget && len(l.changes) > minLog {
		h.total -= l.trim(max(minLog, len(l.changes)/2))
	}
	return l
}

// trim keeps the newest changes and returns how many went.
func (l *serviceLog) trim(keep int) int {
	drop := len(l.changes) - keep
	// Changes of one revision stay together: the floor is a revision.
	for drop < len(l.changes) && l.changes[drop].Revision == l.changes[drop-1].Revision {
		drop++
	}
	l.floor = l.changes[drop-1].Revision
	l.changes = slices.Clone(l.changes[drop:])
	return drop
}

// last is the revision of the newest change.
func (l *serviceLog) last() uint64 {
	if len(l.changes) == 0 {
		return l.floor
	}
	return l.changes[len(l.changes)-1].Revision
}

// since is the changes after a revision. It is complete only if the log's
// floor is at most that revision.
func (l *serviceLog) since(revision uint64) []view.Change {
	i, _ := slices.BinarySearchFunc(l.changes, revision+1, func(c view.Change, r uint64) int {
		switch {
		case c.Revision < r:
			return -1
		case c.Revision > r:
			return 1
		}
		return 0
	})
	// BinarySearchFunc finds the first of equal ones.
	return l.changes[i:]
}

// reaches tells whether all changes of a service after a revision are known.
func (h *history) reaches(n record.ServiceName, revision uint64) bool {
	if l := h.logs[n]; l != nil {
		return l.floor <= revision
	}
	return h.start <= revision
}
