package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/health"
	"github.com/muster-registry/muster/server/lease"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

// Caller is who makes a change, for the audit and for traces.
type Caller struct {
	// Actor is who, as authenticated; empty if nobody asked.
	Actor string
	// Traceparent is the call's W3C trace context, if it has one.
	Traceparent string
}

// Register registers instances under one new lease. The request has been
// validated and normalised.
func (r *Registry) Register(ctx context.Context, req *musterv1.RegisterRequest, c Caller) (*musterv1.RegisterResponse, error) {
	g := &registering{req: req, leaseID: newLeaseID(), now: time.Now()}
	revision, err := r.change(ctx, g.decide)
	if err != nil {
		return nil, err
	}
	g.entry.CreateRevision, g.entry.ModRevision = revision, revision
	l := (*view.Lease)(&g.entry)
	if g.retryOf != nil {
		l = g.retryOf
		// The answer to a retry promises a TTL from when the retry was sent.
		if r.leases.Confirm(l.ID(), time.Now()) != lease.Confirmed {
			return nil, fault.New(musterv1.ErrorReason_ERROR_REASON_CONFLICT,
				"the first attempt made a lease that is expiring at this moment; try again")
		}
	}
	for _, in := range g.takenOver {
		r.log.Info("instance taken over", "instance", in.String(), "from_incarnation", in.Incarnation,
			"incarnation", l.Incarnation(), "actor", c.Actor)
	}
	rec := l.Record()
	return &musterv1.RegisterResponse{
		Lease: &musterv1.Lease{
			LeaseId: l.ID(), Incarnation: l.Incarnation(), Epoch: rec.GetEpoch(), Ttl: durationpb.New(ttl(l)),
		},
		ClusterId: r.ClusterID(), Epoch: rec.GetEpoch(), Revision: l.Incarnation(),
	}, nil
}

func newLeaseID() string {
	var b [16]byte
	// crypto/rand.Read never fails since Go 1.24.
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// newTag is random and not zero.
func newTag() uint64 { return mathrand.Uint64() | 1 }

// registering is one Register call being decided.
type registering struct {
	req     *musterv1.RegisterRequest
	leaseID string
	now     time.Time

	// Results of the last decision.
	entry     store.Entry // the lease, without its revisions
	retryOf   *view.Lease
	takenOver []*view.Instance
}

// claim is what the rules of Register say of one instance.
type claim uint8

const (
	claimCreate claim = iota
	claimRetry
	claimReplace
	claimExists
	claimFenced
)

// judge applies the rules of Register to one instance: present is the lease
// that holds it now, or nil.
func judge(present *view.Lease, req *musterv1.RegisterRequest) claim {
	if present == nil {
		return claimCreate
	}
	previous, held := req.GetPrevious(), present.Record()
	switch {
	case held.GetRequestId() == req.GetRequestId():
		return claimRetry
	case previous != nil && (previous.GetLeaseId() == present.ID() || newer(previous, present)):
		return claimReplace
	case previous != nil:
		return claimFenced
	case slices.Contains(req.GetTakeOver().GetIncarnations(), present.Incarnation()):
		return claimReplace
	}
	return claimExists
}

// newer tells whether the client's earlier lease is from after the present
// one, as only lost history allows.
func newer(p *musterv1.PreviousLease, present *view.Lease) bool {
	if epoch := present.Record().GetEpoch(); p.GetEpoch() != epoch {
		return p.GetEpoch() > epoch
	}
	return p.GetIncarnation() > present.Incarnation()
}

func (g *registering) decide(v *view.View) (*store.Mutation, error) {
	g.retryOf, g.takenOver = nil, nil
	replaced, err := g.judgeAll(v)
	if err != nil || g.retryOf != nil {
		return nil, err
	}
	m := &store.Mutation{}
	lease := &record.Lease{
		TtlMs: uint64(g.req.GetTtl().AsDuration().Milliseconds()), RequestId: g.req.GetRequestId(), Epoch: v.Epoch,
	}
	services := map[record.ServiceName]bool{}
	for _, in := range g.req.GetInstances() {
		name := nameOf(in)
		lease.Instances = append(lease.Instances, name.Key())
		putInstance(m, v.Instance(name), in, g.leaseID, g.now)
		if !services[name.ServiceName] {
			services[name.ServiceName] = true
			guardService(m, v, name.ServiceName)
		}
	}
	slices.Sort(lease.Instances)
	g.entry = store.Entry{Key: record.LeaseKey(g.leaseID), Value: record.EncodeLease(lease)}
	m.Guards = append(m.Guards, store.Guard{Key: g.entry.Key})
	m.Puts = append(m.Puts, store.Put{Key: g.entry.Key, Value: g.entry.Value})
	for _, l := range replaced {
		shrinkLease(m, l, lease.Instances)
	}
	return m, nil
}

// judgeAll applies the rules to every instance, and returns the leases that
// lose some. A retry decides for all: the first attempt was whole, whatever
// became of single instances since.
func (g *registering) judgeAll(v *view.View) (replaced []*view.Lease, err error) {
	var exists, newer []*view.Instance
	for _, in := range g.req.GetInstances() {
		present := v.Instance(nameOf(in))
		var l *view.Lease
		if present != nil {
			l = v.Lease(present.LeaseID())
		}
		switch judge(l, g.req) {
		case claimCreate:
		case claimRetry:
			g.retryOf, g.takenOver = l, nil
			return nil, nil
		case claimReplace:
			if g.req.GetTakeOver() != nil {
				g.takenOver = append(g.takenOver, present)
			}
			if !slices.Contains(replaced, l) {
				replaced = append(replaced, l)
			}
		case claimExists:
			exists = append(exists, present)
		case claimFenced:
			newer = append(newer, present)
		}
	}
	switch {
	case len(newer) > 0:
		return nil, fenced(newer[0])
	case len(exists) > 0:
		return nil, alreadyExists(exists)
	}
	return replaced, nil
}

func fenced(present *view.Instance) error {
	return fault.New(musterv1.ErrorReason_ERROR_REASON_FENCED,
		"instance %s is held by a newer lease (incarnation %d); this one must stop registering it",
		present.Name(), present.Incarnation).
		With("instance", present.String()).
		With("incarnation", strconv.FormatUint(present.Incarnation, 10))
}

func alreadyExists(present []*view.Instance) error {
	incarnations := make([]string, 0, len(present))
	for _, in := range present {
		s := strconv.FormatUint(in.Incarnation, 10)
		if !slices.Contains(incarnations, s) {
			incarnations = append(incarnations, s)
		}
	}
	return fault.New(musterv1.ErrorReason_ERROR_REASON_INSTANCE_EXISTS,
		"instance %s is registered under another lease (incarnation %d); "+
			"name it in take_over to replace it, or choose another instance_id",
		present[0].Name(), present[0].Incarnation).
		With("instance", present[0].String()).
		With("incarnations", strings.Join(incarnations, ","))
}

func nameOf(in *musterv1.Instance) record.InstanceName {
	return record.InstanceName{
		ServiceName: record.ServiceName{Namespace: in.GetNamespace(), Service: in.GetService()}, ID: in.GetInstanceId(),
	}
}

// putInstance adds the writing of a newly registered instance.
func putInstance(m *store.Mutation, present *view.Instance, in *musterv1.Instance, leaseID string, now time.Time) {
	p := &musterv1.Instance{
		Namespace: in.GetNamespace(), Service: in.GetService(), InstanceId: in.GetInstanceId(),
		Version: in.GetVersion(), Endpoints: in.GetEndpoints(), Locality: in.GetLocality(), Weight: in.Weight,
		Lifecycle: in.GetLifecycle(), Shard: in.GetShard(), Metadata: in.GetMetadata(),
		Capabilities: in.GetCapabilities(), SchemaVersion: in.GetSchemaVersion(), Checks: in.GetChecks(),
		Tag: newTag(), CreateTime: timestamppb.New(now), ModifyTime: timestamppb.New(now),
	}
	if sh := in.GetSelfHealth(); sh != nil {
		p.HealthSlots, _ = health.Set(nil, selfSlot(sh, now))
	}
	p.Health = health.Verdict(p.GetHealthSlots())
	var mod uint64
	if present != nil {
		mod = present.ModifyRevision()
		p.CreateTime = present.Proto().GetCreateTime()
	}
	key := nameOf(in).Key()
	m.Guards = append(m.Guards, store.Guard{Key: key, Revision: mod})
	m.Puts = append(m.Puts, store.Put{
		Key: key, Value: record.Instance{Public: record.EncodePublic(p), LeaseID: leaseID}.Encode(),
	})
}

func selfSlot(sh *musterv1.SelfHealth, now time.Time) *musterv1.HealthSlot {
	return &musterv1.HealthSlot{
		Source: musterv1.HealthSource_HEALTH_SOURCE_SELF, Health: sh.GetHealth(),
		Reason: health.Trim(sh.GetReason()), SinceTime: timestamppb.New(now),
	}
}

// guardService makes sure that the service has a state that does not say it is
// empty, and that it stays while the mutation commits.
func guardService(m *store.Mutation, v *view.View, n record.ServiceName) {
	var st *musterv1.ServiceState
	var mod uint64
	if s := v.Service(n); s != nil && s.State != nil {
		st, mod = s.State.ServiceState, s.State.ModifyRevision
	}
	m.Guards = append(m.Guards, store.Guard{Key: n.Key(), Revision: mod})
	if st != nil && st.GetEmptied() == nil {
		return
	}
	next := &musterv1.ServiceState{
		Namespace: n.Namespace, Service: n.Service, Policy: st.GetPolicy(), Holds: st.GetHolds(), Tag: newTag(),
	}
	m.Puts = append(m.Puts, store.Put{Key: n.Key(), Value: record.EncodeService(next)})
}

// shrinkLease takes instances out of a lease, and deletes it if none is left.
func shrinkLease(m *store.Mutation, l *view.Lease, without []string) {
	key, r := l.Key, l.Record()
	m.Guards = append(m.Guards, store.Guard{Key: key, Revision: l.ModRevision})
	var left []string
	for _, k := range r.GetInstances() {
		if !slices.Contains(without, k) {
			left = append(left, k)
		}
	}
	if len(left) == 0 {
		m.Deletes = append(m.Deletes, key)
		return
	}
	m.Puts = append(m.Puts, store.Put{Key: key, Value: record.EncodeLease(&record.Lease{
		Owner: r.GetOwner(), TtlMs: r.GetTtlMs(), Instances: left, RequestId: r.GetRequestId(), Epoch: r.GetEpoch(),
	})})
}
