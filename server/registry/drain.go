package registry

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/hub"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

// Drain sets instances of a lease to DRAINING and waits until every watcher
// that held one has confirmed that it no longer picks it, or until the timeout.
func (r *Registry) Drain(ctx context.Context, req *musterv1.DrainRequest, timeout time.Duration) (*musterv1.DrainResponse, error) {
	deadline := time.Now().Add(timeout)
	var names []record.InstanceName
	revision, err := r.change(ctx, func(v *view.View) (*store.Mutation, error) {
		in, err := heldAll(v, req.GetLeaseId(), req.GetInstances())
		if err != nil {
			return nil, err
		}
		names = names[:0]
		m := &store.Mutation{}
		for _, i := range in {
			names = append(names, i.Name())
			if i.Lifecycle == musterv1.Lifecycle_LIFECYCLE_DRAINING {
				continue
			}
			next := i.Proto()
			next.Lifecycle = musterv1.Lifecycle_LIFECYCLE_DRAINING
			addRewrite(m, i, next, deadline.UnixMilli(), time.Now())
		}
		if len(m.Puts) == 0 {
			return nil, nil
		}
		return m, nil
	})
	if err != nil {
		return nil, err
	}
	return r.awaitDrain(ctx, names, revision, deadline)
}

// awaitDrain waits for the barriers of several instances and adds them up.
func (r *Registry) awaitDrain(ctx context.Context, names []record.InstanceName, revision uint64, deadline time.Time) (*musterv1.DrainResponse, error) {
	res := &musterv1.DrainResponse{
		Epoch: r.View().Epoch, Revision: revision,
		Result: musterv1.DrainResult_DRAIN_RESULT_COMPLETE,
		// Lookups are answered for use at once, so nothing from before lingers.
		SafeAfter: durationpb.New(0),
	}
	var drainedAt uint64 // where the last of them turned DRAINING
	// All barriers first: one may be forgotten while another is waited for.
	barriers := make(map[record.InstanceName]*hub.Draining, len(names))
	for _, n := range names {
		d, ok := r.hub.Drain(n, time.Now())
		if !ok && r.View().Instance(n) != nil {
			return nil, drainFault(n, hub.ErrDrainCancelled)
		}
		if ok {
			barriers[n] = d
		}
	}
	for n, d := range barriers {
		rep, err := awaitBarrier(ctx, d, deadline)
		if err != nil {
			return nil, drainFault(n, err)
		}
		drainedAt = max(drainedAt, rep.Revision)
		res.Confirmed += uint32(rep.Confirmed)
		res.Behind += uint32(rep.Behind)
		res.Unconfirmable += uint32(rep.Unconfirmable)
		res.Disconnected += uint32(rep.Disconnected)
		res.BehindWatchers = append(res.BehindWatchers, rep.BehindWatchers...)
		if !rep.Complete {
			res.Result = musterv1.DrainResult_DRAIN_RESULT_DEADLINE
		}
	}
	if drainedAt != 0 {
		res.Revision = drainedAt
	}
	res.BehindWatchers = res.BehindWatchers[:min(len(res.BehindWatchers), 20)]
	return res, nil
}

// awaitBarrier waits until a barrier is complete or the deadline has come.
func awaitBarrier(ctx context.Context, d *hub.Draining, deadline time.Time) (hub.DrainReport, error) {
	for {
		now := time.Now()
		rep, err := d.Report(now)
		if err != nil || rep.Complete || !now.Before(deadline) {
			return rep, err
		}
		until := deadline
		if !rep.Next.IsZero() && rep.Next.Before(until) {
			until = rep.Next
		}
		timer := time.NewTimer(until.Sub(now))
		select {
		case <-rep.Changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return rep, ctx.Err()
		}
		timer.Stop()
	}
}

func drainFault(n record.InstanceName, err error) error {
	if errors.Is(err, hub.ErrDrainCancelled) {
		return fault.New(musterv1.ErrorReason_ERROR_REASON_DRAIN_CANCELLED,
			"instance %s was set back to SERVING while it drained", n).With("instance", n.String())
	}
	return err
}
