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

// Registration is what is to be registered. It has been validated and
// normalised.
type Registration struct {
	Instances []Registrant
	TTL       time.Duration
	RequestID string
	// Claim is the request, if it claims what an earlier lease holds.
	Claim *musterv1.RegisterRequest
}

// Registrant is one instance to be registered.
type Registrant struct {
	Name record.InstanceName
	// Body is the instance, encoded, but for SelfHealth and for what the server
	// adds. It is read until Register returns.
	Body       []byte
	SelfHealth *musterv1.SelfHealth
}

// Granted is a lease as its holder is told of it.
type Granted struct {
	LeaseID            string
	Incarnation, Epoch uint64
	TTL                time.Duration
}

// Register registers instances under one new lease.
func (r *Registry) Register(ctx context.Context, req *Registration, c Caller) (Granted, error) {
	key := newLeaseKey()
	g := &registering{req: req, leaseKey: key, leaseID: record.LeaseID(key), now: time.Now()}
	revision, err := r.change(ctx, g.decide)
	if err != nil {
		return Granted{}, err
	}
	granted := Granted{LeaseID: g.leaseID, Incarnation: revision, Epoch: g.epoch, TTL: req.TTL}
	if l := g.retryOf; l != nil {
		granted = Granted{LeaseID: l.ID(), Incarnation: l.Incarnation(), Epoch: l.Record().GetEpoch(), TTL: l.TTL()}
		// The answer to a retry promises a TTL from when the retry was sent.
		if r.leases.Confirm(granted.LeaseID, time.Now()) != lease.Confirmed {
			return Granted{}, fault.New(musterv1.ErrorReason_ERROR_REASON_CONFLICT,
				"the first attempt made a lease that is expiring at this moment; try again")
		}
	}
	for _, in := range g.takenOver {
		r.log.Info("instance taken over", "instance", in.String(), "from_incarnation", in.Incarnation,
			"incarnation", granted.Incarnation, "actor", c.Actor)
	}
	return granted, nil
}

// newLeaseKey is the key of a lease with a new secret id.
func newLeaseKey() string {
	var b [16]byte
	// crypto/rand.Read never fails since Go 1.24.
	_, _ = rand.Read(b[:])
	var id [2 * len(b)]byte
	return record.LeaseKey(string(hex.AppendEncode(id[:0], b[:])))
}

// newTag is random and not zero.
func newTag() uint64 { return mathrand.Uint64() | 1 }

// registering is one Register call being decided.
type registering struct {
	req               *Registration
	leaseKey, leaseID string
	now               time.Time

	// Results of the last decision.
	keys      []string         // of the instances
	present   []*view.Instance // what lies there now, or nil
	epoch     uint64
	retryOf   *view.Lease
	takenOver []*view.Instance

	mutation store.Mutation
	// Memory for the mutation of one instance, which most are.
	guards   [3]store.Guard
	puts     [3]store.Put
	oneKey   [1]string
	oneEntry [1]*view.Instance
}

// claims is what the request claims by.
func (g *registering) claims() *musterv1.RegisterRequest {
	if g.req.Claim != nil {
		return g.req.Claim
	}
	return &musterv1.RegisterRequest{RequestId: g.req.RequestID}
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
	g.retryOf, g.takenOver, g.epoch = nil, nil, v.Epoch
	replaced, err := g.judgeAll(v)
	if err != nil || g.retryOf != nil {
		return nil, err
	}
	n := len(g.req.Instances)
	// What a store was given is the store's: another attempt needs memory anew.
	g.mutation = store.Mutation{}
	if m := &g.mutation; n == 1 && g.puts[0].Key == "" {
		m.Guards, m.Puts = g.guards[:0], g.puts[:0]
	} else {
		m.Guards, m.Puts = make([]store.Guard, 0, n+2), make([]store.Put, 0, n+2)
	}
	var guarded []record.ServiceName
	for i := range g.req.Instances {
		in := &g.req.Instances[i]
		g.putInstance(in, g.keys[i], g.present[i])
		if i > 0 && in.Name.ServiceName == g.req.Instances[i-1].Name.ServiceName || slices.Contains(guarded, in.Name.ServiceName) {
			continue
		}
		guardService(&g.mutation, v, in.Name.ServiceName)
		if n > 1 {
			guarded = append(guarded, in.Name.ServiceName)
		}
	}
	slices.Sort(g.keys)
	g.putLease()
	for _, l := range replaced {
		shrinkLease(&g.mutation, l, g.keys)
	}
	return &g.mutation, nil
}

func (g *registering) putLease() {
	m := &g.mutation
	m.Guards = append(m.Guards, store.Guard{Key: g.leaseKey})
	m.Puts = append(m.Puts, store.Put{Key: g.leaseKey, Value: record.EncodeNewLease(
		uint64(g.req.TTL.Milliseconds()), g.keys, g.req.RequestID, g.epoch)})
}

// judgeAll applies the rules to every instance, and returns the leases that
// lose some. A retry decides for all: the first attempt was whole, whatever
// became of single instances since.
func (g *registering) judgeAll(v *view.View) (replaced []*view.Lease, err error) {
	var exists, newer []*view.Instance
	g.findPresent(v)
	for _, present := range g.present {
		if present == nil {
			continue
		}
		l := v.Lease(present.LeaseID())
		claims := g.claims()
		switch judge(l, claims) {
		case claimCreate:
		case claimRetry:
			g.retryOf, g.takenOver = l, nil
			return nil, nil
		case claimReplace:
			if claims.GetTakeOver() != nil {
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

// findPresent finds what has the names of the instances now. A call registers
// in one service as a rule, so that this is looked for once.
func (g *registering) findPresent(v *view.View) {
	n := len(g.req.Instances)
	g.present, g.keys = g.oneEntry[:], g.oneKey[:]
	if n > 1 {
		g.present, g.keys = make([]*view.Instance, n), make([]string, n)
	}
	var s *view.Service
	for i := range g.req.Instances {
		name := &g.req.Instances[i].Name
		if i == 0 || name.ServiceName != g.req.Instances[i-1].Name.ServiceName {
			s = v.Service(name.ServiceName)
		}
		g.present[i], g.keys[i] = nil, name.Key()
		if s != nil {
			g.present[i] = s.InstanceAt(g.keys[i])
		}
	}
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
func (g *registering) putInstance(in *Registrant, key string, present *view.Instance) {
	r := record.Registered{
		Body: in.Body, LeaseID: g.leaseID, Tag: newTag(), CreateTime: g.now, ModifyTime: g.now,
	}
	if in.SelfHealth != nil {
		r.HealthSlots, _ = health.Set(nil, selfSlot(in.SelfHealth, g.now))
	}
	r.Health = health.Verdict(r.HealthSlots)
	var mod uint64
	if present != nil {
		mod = present.ModifyRevision()
		r.CreateTime = present.Proto().GetCreateTime().AsTime()
	}
	m := &g.mutation
	m.Guards = append(m.Guards, store.Guard{Key: key, Revision: mod})
	m.Puts = append(m.Puts, store.Put{Key: key, Value: r.Encode()})
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
