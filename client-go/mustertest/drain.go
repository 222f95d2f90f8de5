package mustertest

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Drain implements the contract.
func (r registrations) Drain(ctx context.Context, req *musterv1.DrainRequest) (*musterv1.DrainResponse, error) {
	timeout, err := duration("timeout", req.GetTimeout(), defaultDrainTimeout, 0, maxDrainTimeout)
	if err != nil {
		return nil, err
	}
	drains, err := r.startDrain(req)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(timeout)
	for {
		res, until, changed, err := r.barrier(drains, deadline)
		if err != nil || res != nil {
			return res, err
		}
		timer := time.NewTimer(time.Until(until))
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		timer.Stop()
	}
}

// startDrain commits DRAINING where it is not said yet.
func (r *Registry) startDrain(req *musterv1.DrainRequest) ([]*drain, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, names, err := r.heldAll(req.GetLeaseId(), req.GetInstances())
	if err != nil {
		return nil, err
	}
	return r.setDraining(l, names), nil
}

func (r *Registry) setDraining(l *lease, names []entryName) []*drain {
	c := r.state.begin(time.Now())
	for _, name := range names {
		if next := owned(r.state.instances[name]); next.GetLifecycle() != musterv1.Lifecycle_LIFECYCLE_DRAINING {
			next.Lifecycle = musterv1.Lifecycle_LIFECYCLE_DRAINING
			c.put(next, l)
		}
	}
	r.commit(c)
	var drains []*drain
	for _, name := range names {
		drains = append(drains, r.drains[name])
	}
	return drains
}

// barrier is how drains stand: the answer if it is time for one, otherwise
// when to look again at the latest, and what is closed if there is cause
// before.
func (r *Registry) barrier(drains []*drain, deadline time.Time) (res *musterv1.DrainResponse, until time.Time, changed <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, d := range drains {
		if d.cancelled {
			return nil, until, nil, refuse(musterv1.ErrorReason_ERROR_REASON_DRAIN_CANCELLED,
				"instance "+d.name.String()+" was set back to SERVING while it drained", "instance", d.name.String())
		}
	}
	until = deadline
	complete := true
	for _, d := range drains {
		complete = complete && d.over(now)
		for _, t := range d.gone {
			if now.Before(t) && t.Before(until) {
				until = t
			}
		}
	}
	if !complete && now.Before(deadline) {
		return nil, until, r.changed, nil
	}
	return r.drainReport(drains, complete), until, nil, nil
}

func (r *Registry) drainReport(drains []*drain, complete bool) *musterv1.DrainResponse {
	res := &musterv1.DrainResponse{
		Epoch: r.state.epoch, Revision: r.state.revision, Result: musterv1.DrainResult_DRAIN_RESULT_DEADLINE,
		// Lookups are answered for use at once, so nothing from before lingers.
		SafeAfter: durationpb.New(0),
	}
	if complete {
		res.Result = musterv1.DrainResult_DRAIN_RESULT_COMPLETE
	}
	for n, d := range drains {
		if n == 0 || d.revision > res.GetRevision() {
			res.Revision = d.revision
		}
		res.Confirmed += d.confirmed
		res.Unconfirmable += d.unconfirmable
		res.Behind += uint32(len(d.waiting))
		res.Disconnected += uint32(len(d.gone))
		for w := range d.waiting {
			res.BehindWatchers = append(res.BehindWatchers, &musterv1.DrainWatcher{
				ClientName: w.stream.caller.name, Address: w.stream.caller.address,
			})
		}
	}
	slices.SortFunc(res.BehindWatchers, func(a, b *musterv1.DrainWatcher) int {
		return slices.Compare([]string{a.GetClientName(), a.GetAddress()}, []string{b.GetClientName(), b.GetAddress()})
	})
	res.BehindWatchers = res.BehindWatchers[:min(len(res.BehindWatchers), maxBehind)]
	return res
}
