package registry

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/lease"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

const (
	// sweepEvery is how often the lease table is looked at, unless expiries
	// that settle make room for more before.
	sweepEvery = 10 * time.Millisecond
	// maxExpiring bounds the leases whose expiry is under way.
	maxExpiring = 4096
	// expireAtOnce is how many are taken from the table at once.
	expireAtOnce = 1024
	// expireTogether is how many leases go in one mutation, and
	// expireTogetherBytes bounds the keys in it.
	expireTogether      = 64
	expireTogetherBytes = 64 << 10
	// refusedPause is for how long nothing is expired after the store refused
	// to: it is full, or busy.
	refusedPause = 50 * time.Millisecond
)

// expirer removes leases that missed their TTL. One goroutine looks for them;
// the store's goroutine tells what became of it.
type expirer struct {
	registry *Registry
	// settled tells that there is room for more, while more are due.
	settled chan struct{}

	mu       sync.Mutex
	underWay int // leases
	// more says that the last look ended for want of room.
	more bool
	// alone are leases that shared a mutation of which a guard failed. Their
	// next one is their own.
	alone map[string]struct{}
	// resume is until when nothing is expired.
	resume time.Time
}

// sweep removes leases that missed their TTL, until the context ends.
func (r *Registry) sweep(ctx context.Context) {
	x := &expirer{registry: r, settled: make(chan struct{}, 1), alone: map[string]struct{}{}}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.failed:
			return // the view stands still, so nobody can be found overdue
		case <-tick.C:
		case <-x.settled:
		}
		x.look(ctx)
	}
}

// look proposes to remove what is due, as far as there is room. However many
// they are, the table is told of the time again and again: so long a look must
// not pass for a pause.
func (x *expirer) look(ctx context.Context) {
	o := newSweepOutcome(ctx, x.registry.log)
	for now := time.Now(); x.lookOnce(now, o); now = time.Now() {
	}
	o.done()
}

// lookOnce tells whether more may be due, and have room.
func (x *expirer) lookOnce(now time.Time, o *sweepOutcome) bool {
	room, alone := x.begin(now)
	limit := min(room, expireAtOnce)
	due := x.registry.leases.Tick(now, limit)
	more := len(due) == limit
	x.found(len(due), more)
	x.proposeAll(due, alone, o)
	if more {
		x.keepAlone(alone)
	}
	return more && limit > 0
}

// proposeAll proposes to remove leases, several in one mutation.
func (x *expirer) proposeAll(due []lease.Due, alone map[string]struct{}, o *sweepOutcome) {
	v := x.registry.View()
	together := newExpiry(o, len(due))
	for _, d := range due {
		l := v.Lease(d.ID)
		if l == nil || l.ModRevision != d.ModRevision {
			x.registry.leases.ExpiryFailed(d, time.Now())
			x.settle(1)
			continue
		}
		if _, ok := alone[d.ID]; ok {
			delete(alone, d.ID)
			single := newExpiry(o, 1)
			single.add(v, l, d)
			x.propose(single)
			continue
		}
		together.add(v, l, d)
		if len(together.due) == expireTogether || together.bytes >= expireTogetherBytes {
			x.propose(together)
			together = newExpiry(o, len(due))
		}
	}
	if len(together.due) > 0 {
		x.propose(together)
	}
}

// begin says how many leases may be found due now, and which of them go alone.
func (x *expirer) begin(now time.Time) (room int, alone map[string]struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	alone = x.alone
	if len(alone) > 0 {
		x.alone = map[string]struct{}{}
	}
	if now.Before(x.resume) {
		return 0, alone
	}
	return maxExpiring - x.underWay, alone
}

// found takes note of leases that were found due.
func (x *expirer) found(leases int, more bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.underWay += leases
	x.more = more
}

// keepAlone keeps leases that are still to go alone: there were too many due
// to find them. If all that were due were found, those among them that were
// not are renewed by now, or gone.
func (x *expirer) keepAlone(alone map[string]struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	maps.Copy(x.alone, alone)
}

// settle takes leases off those under way.
func (x *expirer) settle(leases int) {
	x.mu.Lock()
	x.underWay -= leases
	wanted := x.more && x.underWay <= maxExpiring/2
	x.mu.Unlock()
	if !wanted {
		return
	}
	select {
	case x.settled <- struct{}{}:
	default:
	}
}

// expiry is the mutation that removes some leases and what they hold.
type expiry struct {
	mutation store.Mutation
	due      []lease.Due
	leases   []*view.Lease
	services map[record.ServiceName]struct{} // guarded already
	note     record.Note
	bytes    int
	outcome  *sweepOutcome
}

// newExpiry makes one with room for so many leases, or as many as go together.
func newExpiry(o *sweepOutcome, leases int) *expiry {
	n := min(leases, expireTogether)
	e := &expiry{outcome: o, services: map[record.ServiceName]struct{}{}}
	e.due, e.leases, e.note.Keys = make([]lease.Due, 0, n), make([]*view.Lease, 0, n), make([]string, 0, n)
	// A lease mostly holds one instance, and is guarded with it and its service.
	e.mutation.Guards, e.mutation.Deletes = make([]store.Guard, 0, 3*n), make([]string, 0, 2*n)
	return e
}

// add removes a lease as well, guarded by the very form of it that was found
// due, and by the states of its services.
func (e *expiry) add(v *view.View, l *view.Lease, d lease.Due) {
	e.due, e.leases = append(e.due, d), append(e.leases, l)
	for key := range record.LeaseInstances(l.Value) {
		name, _ := record.ParseInstance(key)
		in := v.Instance(name)
		if in == nil || !in.HeldBy(d.ID) {
			continue
		}
		e.remove(in.Key(), in.ModifyRevision())
		e.note.Keys = append(e.note.Keys, in.Key())
		n := name.ServiceName
		if _, ok := e.services[n]; ok {
			continue
		}
		e.services[n] = struct{}{}
		if s := v.Service(n); s.State != nil {
			e.guard(n.Key(), s.State.ModifyRevision)
		}
	}
	e.remove(l.Key, l.ModRevision)
}

func (e *expiry) remove(key string, revision uint64) {
	e.guard(key, revision)
	e.mutation.Deletes = append(e.mutation.Deletes, key)
}

func (e *expiry) guard(key string, revision uint64) {
	e.mutation.Guards = append(e.mutation.Guards, store.Guard{Key: key, Revision: revision})
	e.bytes += len(key)
}

// propose proposes an expiry. What becomes of it is told on the store's
// goroutine.
func (x *expirer) propose(e *expiry) {
	e.note.Reason = musterv1.RemovalReason_REMOVAL_REASON_EXPIRED
	e.mutation.Note = e.note.Encode()
	e.outcome.expect()
	x.registry.store.Propose(e.mutation, func(o store.Outcome, err error) {
		switch {
		case errors.Is(err, store.ErrFailed):
			// The outcome is unknown: nothing may be confirmed before it is.
		case err != nil:
			x.refused()
			x.failed(e, false)
		case !o.Committed():
			x.failed(e, len(e.due) > 1)
		default:
			e.outcome.expired(e)
		}
		e.outcome.done()
		x.settle(len(e.due))
	})
}

// refused puts off what is due: the store has no room for it now.
func (x *expirer) refused() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.resume = time.Now().Add(refusedPause)
}

// failed makes leases due again whose expiry did not happen.
func (x *expirer) failed(e *expiry, alone bool) {
	if alone {
		x.mu.Lock()
		for _, d := range e.due {
			x.alone[d.ID] = struct{}{}
		}
		x.mu.Unlock()
	}
	now := time.Now()
	for _, d := range e.due {
		x.registry.leases.ExpiryFailed(d, now)
	}
}
