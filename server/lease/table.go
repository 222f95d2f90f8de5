// Package lease decides which leases live. A [Table] knows when each lease was
// last heard of, confirms renewals and names the leases that missed their TTL.
// It decides by the clock that its caller passes in, and does no I/O: removing
// what expired is the caller's mutation, and the table learns of it, as of
// every change of a lease, when the store's applier tells it.
//
// The promise (docs/protocol.md, "Leases"): a confirmed renewal gives its
// sender the TTL from the moment it was sent, and nothing expires early.
// Hence confirmation and expiry exclude each other under one lock, and after
// any pause in which renewals may lie unread nothing expires until a full TTL
// of undisturbed time has passed ("quiet time").
//
// A Table is safe for concurrent use. Its lock is a leaf: it calls nobody.
package lease

import (
	"container/heap"
	"sync"
	"time"
)

// MaxTickGap is how far apart two ticks may be until the time between them
// counts as a pause.
const MaxTickGap = 500 * time.Millisecond

// State is what the table answers to a renewal.
type State uint8

const (
	// Unknown leases do not exist.
	Unknown State = iota
	// Confirmed leases live for their TTL.
	Confirmed
	// Expiring leases have an expiry under way; it cannot be told yet how it
	// ends.
	Expiring
)

// Due is a lease that missed its TTL.
type Due struct {
	ID string
	// ModRevision is that of the lease when it was found due. The expiry must
	// guard on it.
	ModRevision uint64
}

// Table holds the leases of one server.
type Table struct {
	mu     sync.Mutex
	leases map[string]*entry
	queue  queue
	// quietSince is when the last pause ended.
	quietSince time.Time
	lastTick   time.Time
	pauses     uint64
}

// entry is one lease. Its place in the queue is found lazily: a renewal only
// moves heard, and the deadline is looked at again when the old one comes up.
type entry struct {
	id    string
	ttl   time.Duration
	heard time.Time
	mod   uint64
	// expiring is the mod revision that an expiry under way guards on; 0 if
	// there is none.
	expiring uint64
	check    time.Time
	index    int
}

// NewTable makes an empty table. The start of the process is a pause: what was
// granted before it expires no sooner than a TTL later.
func NewTable(now time.Time) *Table {
	return &Table{leases: map[string]*entry{}, quietSince: now, lastTick: now}
}

// Put tells of a lease that the view now has, new or rewritten. A new lease is
// heard of now. An expiry under way of an older form has failed: it guards on
// a revision that is gone.
func (t *Table) Put(id string, ttl time.Duration, modRevision uint64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.leases[id]
	if !ok {
		e = &entry{id: id, ttl: ttl, heard: now, mod: modRevision, check: now.Add(ttl)}
		t.leases[id] = e
		heap.Push(&t.queue, e)
		return
	}
	if e.expiring != 0 {
		e.expiring, e.heard = 0, now
	}
	e.mod = modRevision
	if e.ttl != ttl {
		e.ttl = ttl
		t.schedule(e, e.heard.Add(ttl))
	}
}

// Remove tells of a lease that the view no longer has.
func (t *Table) Remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.leases[id]; ok {
		heap.Remove(&t.queue, e.index)
		delete(t.leases, id)
	}
}

// Reset forgets all leases, and counts as a pause.
func (t *Table) Reset(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leases, t.queue, t.quietSince = map[string]*entry{}, nil, now
}

// Confirm renews a lease.
func (t *Table) Confirm(id string, now time.Time) State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.confirmLocked(id, now)
}

// ConfirmAll renews leases, and appends to exceptions the positions of those
// that were not confirmed.
func (t *Table) ConfirmAll(ids []string, now time.Time, exceptions []Exception) []Exception {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, id := range ids {
		if s := t.confirmLocked(id, now); s != Confirmed {
			exceptions = append(exceptions, Exception{Index: i, State: s})
		}
	}
	return exceptions
}

// Exception is a lease that was not confirmed.
type Exception struct {
	// Index is its position in the request.
	Index int
	State State
}

func (t *Table) confirmLocked(id string, now time.Time) State {
	e, ok := t.leases[id]
	switch {
	case !ok:
		return Unknown
	case e.expiring != 0:
		return Expiring
	}
	e.heard = now
	return Confirmed
}

// Heard is when a lease was last heard of.
func (t *Table) Heard(id string) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.leases[id]
	if !ok {
		return time.Time{}, false
	}
	return e.heard, true
}

// Tick looks for leases that missed their TTL, marks them as expiring and
// returns at most limit of them, those due longest first; more follow at the
// next tick. It must be called often: a gap above MaxTickGap is a pause.
func (t *Table) Tick(now time.Time, limit int) []Due {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.lastTick) > MaxTickGap {
		t.quietSince = now
		t.pauses++
	}
	t.lastTick = now
	var due []Due
	for len(t.queue) > 0 && len(due) < limit && !t.queue[0].check.After(now) {
		e := t.queue[0]
		deadline := later(e.heard, t.quietSince).Add(e.ttl)
		switch {
		case e.expiring != 0:
			// Its outcome comes from the view or from ExpiryFailed.
			t.schedule(e, now.Add(e.ttl))
		case deadline.After(now):
			t.schedule(e, deadline)
		default:
			e.expiring = e.mod
			t.schedule(e, now.Add(e.ttl))
			due = append(due, Due{ID: e.id, ModRevision: e.mod})
		}
	}
	return due
}

// ExpiryFailed tells that the very expiry that Tick asked for was decided and
// did not happen. The lease is looked at again at the next tick.
func (t *Table) ExpiryFailed(d Due, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.leases[d.ID]; ok && e.expiring == d.ModRevision {
		e.expiring = 0
		t.schedule(e, now)
	}
}

// Stats are figures of the table.
type Stats struct {
	Leases int
	// Pauses counts the pauses seen by Tick.
	Pauses uint64
	// QuietSince is when the last pause ended.
	QuietSince time.Time
}

// Stats reads the table's figures.
func (t *Table) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{Leases: len(t.leases), Pauses: t.pauses, QuietSince: t.quietSince}
}

func (t *Table) schedule(e *entry, at time.Time) {
	e.check = at
	heap.Fix(&t.queue, e.index)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
