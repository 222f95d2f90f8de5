package view

import (
	"github.com/muster-registry/muster/server/internal/entrymap"
	"github.com/muster-registry/muster/server/store"
)

// incarnations tells the incarnation of a lease while a view is restored. It
// is one flat table of hashes: each look reads one place in memory, where the
// map of leases needs five, none of them in a cache when there are a million.
type incarnations struct {
	slots []slot
	mask  uint64
}

type slot struct {
	hash        uint64
	incarnation uint64 // 0 for a free slot
}

// newIncarnations makes the table, or returns nil if two leases share the 64
// bits by which it tells them apart.
func newIncarnations(leases []*store.Entry, hashes []uint64) *incarnations {
	size := 16
	for size < 2*len(leases) {
		size *= 2
	}
	t := &incarnations{slots: make([]slot, size), mask: uint64(size - 1)}
	for i, hash := range hashes {
		s := t.find(hash)
		if s.incarnation != 0 || leases[i].CreateRevision == 0 {
			return nil
		}
		*s = slot{hash, leases[i].CreateRevision}
	}
	return t
}

func (t *incarnations) find(hash uint64) *slot {
	for i := hash & t.mask; ; i = (i + 1) & t.mask {
		if s := &t.slots[i]; s.incarnation == 0 || s.hash == hash {
			return s
		}
	}
}

// of finds a lease. That there is one at all is a check of what the store
// holds: an id that no lease has passes it once in 2^44 times.
func (t *incarnations) of(leaseID []byte) (uint64, bool) {
	var room [64]byte
	s := t.find(entrymap.HashBytes(leaseKey(room[:0], leaseID)))
	return s.incarnation, s.incarnation != 0
}
