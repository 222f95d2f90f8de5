package registry

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/lease"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
)

const (
	// sweepEvery is how often the lease table is looked at.
	sweepEvery = 50 * time.Millisecond
	// maxExpiring bounds the expiries under way.
	maxExpiring = 1024
)

// sweep removes leases that missed their TTL.
func (r *Registry) sweep(ctx context.Context) {
	var underWay atomic.Int64
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.failed:
			return // the view stands still, so nobody can be found overdue
		case <-tick.C:
		}
		for _, d := range r.leases.Tick(time.Now(), maxExpiring-int(underWay.Load())) {
			underWay.Add(1)
			r.expire(d, func() { underWay.Add(-1) })
		}
	}
}

// expire proposes the removal of one lease and what it holds, guarded by the
// very form of the lease that was found due.
func (r *Registry) expire(d lease.Due, done func()) {
	v := r.View()
	l := v.Lease(d.ID)
	if l == nil || l.ModRevision != d.ModRevision {
		r.leases.ExpiryFailed(d, time.Now())
		done()
		return
	}
	in := instancesOf(v, l)
	m := removal(l, in, record.Note{Reason: musterv1.RemovalReason_REMOVAL_REASON_EXPIRED})
	guarded := map[record.ServiceName]bool{}
	for _, i := range in {
		n := i.Name().ServiceName
		if s := v.Service(n); !guarded[n] && s.State != nil {
			guarded[n] = true
			m.Guards = append(m.Guards, store.Guard{Key: n.Key(), Revision: s.State.ModifyRevision})
		}
	}
	r.store.Propose(*m, func(o store.Outcome, err error) {
		defer done()
		switch {
		case errors.Is(err, store.ErrFailed):
			// The outcome is unknown: nothing may be confirmed before it is.
		case err != nil || !o.Committed():
			r.leases.ExpiryFailed(d, time.Now())
		default:
			r.log.Info("lease expired", "incarnation", l.Incarnation(), "instances", l.Record().GetInstances(), "ttl", ttl(l))
		}
	})
}
