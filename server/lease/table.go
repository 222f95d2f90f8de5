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
	"math"
	"sync"
	"time"
)

// MaxTickGap is how far apart two ticks may be until the time between them
// counts as a pause.
const MaxTickGap = 500 * time.Millisecond

// Table holds the leases of one server. Times in it are nanoseconds since base,
// on the monotonic clock.
//
// A lease takes 64 bytes, and about 10 more in the index and the wheel. Room
// once taken is kept for the leases to come.
type Table struct {
	base time.Time

	mu      sync.Mutex
	slab    slab
	index   index
	wheel   wheel
	holders holders
	// names are the lease_ids that their keys do not tell, by entry.
	names  map[uint32]string
	leases int
	// quietSince is when the last pause ended.
	quietSince int64
	lastTick   int64
	pauses     uint64
}

// NewTable makes an empty table. The start of the process is a pause: what was
// granted before it expires no sooner than a TTL later.
func NewTable(now time.Time) *Table { return &Table{base: now, names: map[uint32]string{}} }

// Now is the present time on the monotonic clock, for Renew. It costs half of
// time.Now, which reads two clocks.
func (t *Table) Now() time.Time { return t.base.Add(time.Since(t.base)) }

// ns is a time as the table counts it.
func (t *Table) ns(at time.Time) int64 { return int64(at.Sub(t.base)) }

// Put tells of a lease that the view now has, new or rewritten. A new lease is
// heard of now. An expiry under way of an older form has failed: it guards on
// a revision that is gone. The TTL is rounded up to milliseconds.
func (t *Table) Put(id string, ttl time.Duration, modRevision uint64, now time.Time) {
	k, ns, ms := KeyOf(id), t.ns(now), milliseconds(ttl)
	t.mu.Lock()
	defer t.mu.Unlock()
	i, e := t.find(k)
	if e == nil {
		i, e = t.slab.take()
		e.key, e.ttl, e.heard, e.mod = k, ms, ns, modRevision
		t.link(i, e)
		t.leases++
		if k.ID() != id {
			e.named, t.names[i] = true, id
		}
		t.wheel.add(i, e, ns+e.ttlNS())
		return
	}
	failed := e.state == expiring
	if failed {
		e.heard = ns
	}
	e.mod = modRevision
	if e.ttl != ms || failed {
		e.ttl = ms
		t.wheel.add(i, e, e.heard+e.ttlNS())
	}
}

// Remove tells of a lease that the view no longer has. Nobody holds it any
// more.
func (t *Table) Remove(id string) {
	k := KeyOf(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	i, e := t.find(k)
	if e == nil {
		return
	}
	t.hold(i, e, 0)
	t.unlink(i, e)
	if e.named {
		delete(t.names, i)
	}
	t.slab.give(i)
	t.leases--
}

// Reset forgets all leases, and counts as a pause. Holders stay, and hold
// nothing.
func (t *Table) Reset(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slab, t.index, t.wheel = slab{}, index{}, wheel{pos: t.wheel.pos}
	clear(t.names)
	clear(t.holders.first)
	t.leases, t.quietSince = 0, t.ns(now)
}

// Heard is when a lease was last heard of.
func (t *Table) Heard(id string) (time.Time, bool) {
	k := KeyOf(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	_, e := t.find(k)
	if e == nil {
		return time.Time{}, false
	}
	return t.base.Add(time.Duration(e.heard)), true
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
	return Stats{Leases: t.leases, Pauses: t.pauses, QuietSince: t.base.Add(time.Duration(t.quietSince))}
}

// id is the lease_id of an entry.
func (t *Table) id(i uint32, e *entry) string {
	if e.named {
		return t.names[i]
	}
	return e.key.ID()
}

func (e *entry) ttlNS() int64 { return int64(e.ttl) * int64(time.Millisecond) }

// milliseconds is a TTL as entries hold it, at most 49 days.
func milliseconds(ttl time.Duration) uint32 {
	ms := (ttl + time.Millisecond - 1) / time.Millisecond
	return uint32(min(max(ms, 0), math.MaxUint32)) //nolint:gosec // bounded
}
