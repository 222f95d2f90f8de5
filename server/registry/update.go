package registry

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/health"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/validate"
	"github.com/muster-registry/muster/server/view"
)

// Update changes fields of one instance. The request has been validated; check
// validates the instance that results.
func (r *Registry) Update(ctx context.Context, req *musterv1.UpdateRequest, check func(*musterv1.Instance) error) (epoch, revision uint64, err error) {
	now := time.Now()
	if slices.Contains(req.GetUpdateMask().GetPaths(), "self_health") {
		// It is newer than a health report that waits.
		if rep, ok := r.reports.takeOne(ctx, nameOf(req.GetInstance())); ok {
			defer func() {
				if err != nil {
					r.reports.putBack(rep, rep.due)
				}
			}()
		}
	}
	revision, err = r.change(ctx, func(v *view.View) (*store.Mutation, error) {
		in, heldErr := held(v, nameOf(req.GetInstance()), req.GetLeaseId())
		if heldErr != nil {
			return nil, heldErr
		}
		next := validate.Apply(in.Proto(), req.GetInstance(), req.GetUpdateMask())
		if wrong := check(next); wrong != nil {
			return nil, wrong
		}
		next.SelfHealth = nil // it lives on as a slot
		if slices.Contains(req.GetUpdateMask().GetPaths(), "self_health") {
			setSlot(next, selfSlot(req.GetInstance().GetSelfHealth(), now))
		}
		deadline := in.DrainDeadlineMS()
		if next.GetLifecycle() != musterv1.Lifecycle_LIFECYCLE_DRAINING {
			deadline = 0
		}
		return rewrite(in, next, deadline, now), nil
	})
	return r.View().Epoch, revision, err
}

// held finds an instance that a lease holds.
func held(v *view.View, n record.InstanceName, leaseID string) (*view.Instance, error) {
	in := v.Instance(n)
	switch {
	case in != nil && in.HeldBy(leaseID):
		return in, nil
	case in != nil:
		return nil, fenced(in)
	case v.Lease(leaseID) == nil:
		return nil, leaseUnknown()
	}
	return nil, fault.New(musterv1.ErrorReason_ERROR_REASON_INSTANCE_UNKNOWN,
		"instance %s is not registered under this lease", n).With("instance", n.String())
}

func leaseUnknown() error {
	return fault.New(musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN,
		"no such lease: it expired, was ended or replaced; register again")
}

// setSlot sets one source's word on an instance, and its verdict.
func setSlot(in *musterv1.Instance, slot *musterv1.HealthSlot) (changed bool) {
	in.HealthSlots, changed = health.Set(in.GetHealthSlots(), slot)
	in.Health = health.Verdict(in.GetHealthSlots())
	return changed
}

// rewrite is the mutation that makes an instance what next says, or nil if that
// is what it is.
func rewrite(in *view.Instance, next *musterv1.Instance, drainDeadlineMS int64, now time.Time) *store.Mutation {
	if proto.Equal(in.Proto(), next) {
		return nil
	}
	m := &store.Mutation{}
	addRewrite(m, in, next, drainDeadlineMS, now)
	return m
}

func addRewrite(m *store.Mutation, in *view.Instance, next *musterv1.Instance, drainDeadlineMS int64, now time.Time) {
	next.Tag, next.ModifyTime = newTag(), timestamppb.New(now)
	m.Guards = append(m.Guards, store.Guard{Key: in.Key(), Revision: in.ModifyRevision()})
	m.Puts = append(m.Puts, store.Put{Key: in.Key(), Value: record.Instance{
		Public: record.EncodePublic(next), LeaseID: in.LeaseID(), DrainDeadlineMS: drainDeadlineMS,
	}.Encode()})
}

// Deregister ends instances of a lease, or all of them and the lease.
func (r *Registry) Deregister(ctx context.Context, req *musterv1.DeregisterRequest, c Caller) (epoch, revision uint64, err error) {
	revision, err = r.change(ctx, func(v *view.View) (*store.Mutation, error) {
		in, heldErr := heldAll(v, req.GetLeaseId(), req.GetInstances())
		if heldErr != nil {
			return nil, heldErr
		}
		return removal(v.Lease(req.GetLeaseId()), in, record.Note{
			Reason: musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED, Actor: c.Actor, Traceparent: c.Traceparent,
		}), nil
	})
	return r.View().Epoch, revision, err
}

// heldAll finds the named instances of a lease, or all of them if none is
// named.
func heldAll(v *view.View, leaseID string, keys []*musterv1.InstanceKey) ([]*view.Instance, error) {
	var in []*view.Instance
	for _, k := range keys {
		name := record.InstanceName{
			ServiceName: record.ServiceName{Namespace: k.GetNamespace(), Service: k.GetService()}, ID: k.GetInstanceId(),
		}
		i, err := held(v, name, leaseID)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(in, i) {
			in = append(in, i)
		}
	}
	if len(keys) > 0 {
		return in, nil
	}
	l := v.Lease(leaseID)
	if l == nil {
		return nil, leaseUnknown()
	}
	return instancesOf(v, l), nil
}

func instancesOf(v *view.View, l *view.Lease) []*view.Instance {
	keys := l.Record().GetInstances()
	in := make([]*view.Instance, 0, len(keys))
	for _, key := range keys {
		name, _ := record.ParseInstance(key)
		if i := v.Instance(name); i != nil && i.HeldBy(l.ID()) {
			in = append(in, i)
		}
	}
	return in
}

// removal is the mutation that removes instances of a lease, and the lease
// with the last of them.
func removal(l *view.Lease, instances []*view.Instance, note record.Note) *store.Mutation {
	m := &store.Mutation{}
	for _, in := range instances {
		m.Guards = append(m.Guards, store.Guard{Key: in.Key(), Revision: in.ModifyRevision()})
		m.Deletes = append(m.Deletes, in.Key())
		note.Keys = append(note.Keys, in.Key())
	}
	shrinkLease(m, l, note.Keys)
	m.Note = note.Encode()
	return m
}
