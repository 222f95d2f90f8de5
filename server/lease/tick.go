package lease

import "time"

// lookAtOnce bounds how many leases are looked at under one lock, so that
// renewals wait for a fraction of a millisecond at most.
const lookAtOnce = 1 << 12

// Due is a lease that missed its TTL.
type Due struct {
	ID string
	// ModRevision is that of the lease when it was found due. The expiry must
	// guard on it.
	ModRevision uint64
}

// Tick looks for leases that missed their TTL, marks them as expiring and
// returns at most limit of them, about in the order in which they came due;
// more follow at the next tick. It must be called often: a gap above
// MaxTickGap is a pause.
func (t *Table) Tick(now time.Time, limit int) []Due {
	s := sweep{table: t, now: t.ns(now), limit: limit}
	s.begin()
	for s.lookAtLate() {
	}
	s.lookAtPresent()
	return s.due
}

// sweep is one Tick.
type sweep struct {
	table *Table
	now   int64
	limit int
	due   []Due
}

func (s *sweep) begin() {
	t := s.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.now-t.lastTick > int64(MaxTickGap) {
		t.quietSince = s.now
		t.pauses++
	}
	t.lastTick = s.now
	t.wheel.advance(tickOf(s.now))
}

// lookAtLate looks at some of the leases whose tick has passed. It tells
// whether there may be more.
func (s *sweep) lookAtLate() bool {
	t := s.table
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &t.wheel
	for looked := 0; w.late != noBlock; {
		if len(s.due) >= s.limit {
			return false
		}
		if looked >= lookAtOnce {
			return true
		}
		b := w.block(w.late)
		for b.n > 0 && len(s.due) < s.limit {
			b.n--
			looked++
			i := b.numbers[b.n]
			if e := t.slab.at(i); w.isLate(e) {
				s.look(i, e)
			}
		}
		if b.n == 0 {
			done := w.late
			w.late = b.next
			w.give(done)
		}
	}
	return false
}

// lookAtPresent looks at the leases of the present tick, not all of which are
// due: those that are not stay in its bucket.
func (s *sweep) lookAtPresent() {
	t := s.table
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &t.wheel
	first := &w.buckets[w.pos&(wheelLen-1)]
	bucket := *first
	*first = noBlock
	for looked := 0; bucket != noBlock && looked < lookAtOnce && len(s.due) < s.limit; {
		b := w.block(bucket)
		for b.n > 0 && len(s.due) < s.limit {
			b.n--
			looked++
			i := b.numbers[b.n]
			if e := t.slab.at(i); w.isPresent(e) {
				s.look(i, e)
			}
		}
		if b.n == 0 {
			done := bucket
			bucket = b.next
			w.give(done)
		}
	}
	if bucket == noBlock {
		return
	}
	// Those that were not looked at go first the next time.
	last := w.block(bucket)
	for last.next != noBlock {
		last = w.block(last.next)
	}
	last.next, *first = *first, bucket
}

// look decides on one lease: it is due, or put off to its deadline.
func (s *sweep) look(i uint32, e *entry) {
	t := s.table
	if deadline := max(e.heard, t.quietSince) + e.ttlNS(); deadline > s.now {
		t.wheel.add(i, e, deadline)
		return
	}
	e.state = expiring
	s.due = append(s.due, Due{ID: t.id(i, e), ModRevision: e.mod})
}

// ExpiryFailed tells that the very expiry that Tick asked for was decided and
// did not happen. The lease is looked at again at the next tick.
func (t *Table) ExpiryFailed(d Due, now time.Time) {
	k := KeyOf(d.ID)
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, e := t.find(k); e != nil && e.state == expiring && e.mod == d.ModRevision {
		t.wheel.add(i, e, t.ns(now))
	}
}
