package lease

import "time"

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

// Exception is a lease that was not confirmed.
type Exception struct {
	// Index is its position in the request.
	Index int
	State State
}

// Renewal is what became of a request.
type Renewal struct {
	// Exceptions are the leases that were not confirmed, in the request's order.
	Exceptions []Exception
	// Moved are the positions of those that somebody else renewed last, or
	// nobody.
	Moved []int
}

// Confirm renews a lease, whoever holds it.
func (t *Table) Confirm(id string, now time.Time) State {
	k := KeyOf(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	_, e := t.find(k)
	return e.confirm(t.ns(now))
}

// Renew renews leases for a holder, which holds them from then on, those that
// are expiring too. It overwrites what out held.
func (t *Table) Renew(keys []Key, h Holder, now time.Time, out *Renewal) {
	out.Exceptions, out.Moved = out.Exceptions[:0], out.Moved[:0]
	ns := t.ns(now)
	t.mu.Lock()
	defer t.mu.Unlock()
	for at := range keys {
		i, e := t.find(keys[at])
		if s := e.confirm(ns); s != Confirmed {
			out.Exceptions = append(out.Exceptions, Exception{Index: at, State: s})
		}
		if e != nil && e.holder != h {
			t.hold(i, e, h)
			out.Moved = append(out.Moved, at)
		}
	}
}

// confirm takes that a lease was heard of. The clock was read before the lock
// was taken, so a later reading may have come first; it stays.
func (e *entry) confirm(ns int64) State {
	switch {
	case e == nil:
		return Unknown
	case e.state == expiring:
		return Expiring
	}
	e.heard = max(e.heard, ns)
	return Confirmed
}
