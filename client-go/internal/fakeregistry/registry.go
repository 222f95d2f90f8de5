// Package fakeregistry is a small registry for tests: it keeps instances and
// leases in memory, serves them over connections in memory, and can be
// scripted, cut and restarted. It is no model of how a registry should be
// written. It works inside a testing/synctest bubble.
package fakeregistry

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Registry is the state that all servers share. It survives them. Hooks are
// set before the first call, and answer instead of the registry unless they
// return nil, nil.
type Registry struct {
	// ClusterID and Epoch are what servers tell.
	ClusterID string
	// OnRegister, and so on, see every request first.
	OnRegister   func(*musterv1.RegisterRequest) (*musterv1.RegisterResponse, error)
	OnUpdate     func(*musterv1.UpdateRequest) (*musterv1.UpdateResponse, error)
	OnDeregister func(*musterv1.DeregisterRequest) (*musterv1.DeregisterResponse, error)
	OnDrain      func(*musterv1.DrainRequest) (*musterv1.DrainResponse, error)
	OnKeepAlive  func(*musterv1.KeepAliveRequest) (*musterv1.KeepAliveResponse, error)
	OnLookup     func(*musterv1.LookupRequest) (*musterv1.LookupResponse, error)
	// OnListServices is asked first.
	OnListServices func(context.Context) error
	OnInfo         func(address string) (*musterv1.GetServerInfoResponse, error)
	// OnWatch replaces a stream by a script; nil goes on as usual.
	OnWatch func(address string, req *musterv1.WatchRequest) Script
	// OnUpdateWatch refuses by an error.
	OnUpdateWatch func(*musterv1.UpdateWatchRequest) error
	// TLS that servers which start from now on speak; nil is plaintext.
	TLS *tls.Config
	// OnAuth sees the authorization of every call but GetServerInfo, and refuses
	// by an error.
	OnAuth func(authorization string) error
	// EditFrame changes frames on their way; false drops them.
	EditFrame func(*musterv1.WatchResponse) bool

	mu        sync.Mutex
	epoch     uint64
	revision  uint64
	leases    map[string]*lease
	instances map[string]*musterv1.Instance
	states    map[string]*musterv1.ServiceState
	removed   map[string]musterv1.RemovalReason
	ackNext   bool
	changed   chan struct{}
	streams   map[string]*stream
	opened    int // streams so far; their ids are made of it
	log       []Call
	servers   []*Server
}

// Script serves one Watch stream by hand.
type Script func(musterv1.DiscoveryService_WatchServer) error

// Call is one request that a server got.
type Call struct {
	// Server that got it.
	Server string
	// Request as it came.
	Request proto.Message
	// At which moment.
	At time.Time
}

type lease struct {
	id          string
	incarnation uint64
	requestID   string
	ttl         time.Duration
	expiry      *time.Timer
}

// New makes an empty registry of epoch 7.
func New() *Registry {
	return &Registry{
		ClusterID: "c1",
		epoch:     7,
		revision:  100,
		leases:    map[string]*lease{},
		instances: map[string]*musterv1.Instance{},
		states:    map[string]*musterv1.ServiceState{},
		removed:   map[string]musterv1.RemovalReason{},
		changed:   make(chan struct{}),
		streams:   map[string]*stream{},
	}
}

// Calls returns the requests of one type, in order.
func Calls[T proto.Message](r *Registry) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	var calls []T
	for _, c := range r.log {
		if request, ok := c.Request.(T); ok {
			calls = append(calls, request)
		}
	}
	return calls
}

// Log returns all requests, in order.
func (r *Registry) Log() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.log)
}

func (r *Registry) record(server string, request proto.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, Call{server, proto.Clone(request), time.Now()})
}

// Instances are those that are registered, by "namespace/service/id".
func (r *Registry) Instances() map[string]*musterv1.Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]*musterv1.Instance{}
	for k, i := range r.instances {
		all[k] = proto.CloneOf(i)
	}
	return all
}

// Put registers an instance without a lease, or changes it.
func (r *Registry) Put(i *musterv1.Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.putLocked(proto.CloneOf(i), r.revision+1)
	r.commitLocked()
}

// SetPolicy sets the policy of a service that has instances.
func (r *Registry) SetPolicy(service string, policy *musterv1.TrafficPolicy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := proto.CloneOf(r.states[service])
	state.Policy = policy
	state.ModifyRevision, state.Tag = r.revision+1, (r.revision+1)*37
	r.states[service] = state
	r.commitLocked()
}

// Remove takes instances away, for a reason.
func (r *Registry) Remove(reason musterv1.RemovalReason, keys ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range keys {
		r.removeLocked(k, reason)
	}
	r.commitLocked()
}

// Expire ends all leases at once.
func (r *Registry) Expire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.leases {
		r.endLeaseLocked(id, musterv1.RemovalReason_REMOVAL_REASON_EXPIRED)
	}
	r.commitLocked()
}

// NewEpoch loses history: everything is forgotten and the epoch rises.
func (r *Registry) NewEpoch(by int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.leases {
		l.expiry.Stop()
	}
	clear(r.leases)
	clear(r.instances)
	clear(r.states)
	r.epoch = uint64(int64(r.epoch) + by)
	r.commitLocked()
}

// Position is where the history stands.
func (r *Registry) Position() (epoch, revision uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.epoch, r.revision
}

// AskAck makes the next delta ask for an acknowledgement.
func (r *Registry) AskAck() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ackNext = true
}

// Streams is how many Watch streams are open.
func (r *Registry) Streams() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.streams)
}

func (r *Registry) commitLocked() {
	r.revision++
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Registry) putLocked(i *musterv1.Instance, revision uint64) {
	key := keyOf(i)
	if old := r.instances[key]; old != nil {
		i.CreateRevision = old.GetCreateRevision()
	} else {
		i.CreateRevision = revision
	}
	i.ModifyRevision, i.Tag = revision, revision*31
	i.Health = max(i.GetSelfHealth().GetHealth(), i.GetHealth())
	delete(r.removed, key)
	r.instances[key] = i
	service := i.GetNamespace() + "/" + i.GetService()
	state := r.states[service]
	if state == nil || state.GetEmptied() != nil {
		r.states[service] = &musterv1.ServiceState{
			Namespace: i.GetNamespace(), Service: i.GetService(),
			CreateRevision: revision, ModifyRevision: revision, Tag: revision * 37,
		}
	}
}

func (r *Registry) removeLocked(key string, reason musterv1.RemovalReason) {
	i := r.instances[key]
	if i == nil {
		return
	}
	delete(r.instances, key)
	r.removed[key] = reason
	for _, other := range r.instances {
		if other.GetNamespace() == i.GetNamespace() && other.GetService() == i.GetService() {
			return
		}
	}
	service := i.GetNamespace() + "/" + i.GetService()
	state := proto.CloneOf(r.states[service])
	state.Emptied = &musterv1.Emptied{Reason: reason, InstanceId: i.GetInstanceId(), Revision: r.revision + 1}
	state.ModifyRevision, state.Tag = r.revision+1, (r.revision+1)*37
	r.states[service] = state
}

func (r *Registry) endLeaseLocked(id string, reason musterv1.RemovalReason) {
	l := r.leases[id]
	if l == nil {
		return
	}
	l.expiry.Stop()
	delete(r.leases, id)
	for key, i := range r.instances {
		if i.GetIncarnation() == l.incarnation {
			r.removeLocked(key, reason)
		}
	}
}

func keyOf(i *musterv1.Instance) string {
	return i.GetNamespace() + "/" + i.GetService() + "/" + i.GetInstanceId()
}

// Fault is a status as servers give it.
func Fault(code codes.Code, reason musterv1.ErrorReason, message string, metadata map[string]string) error {
	name := reason.String()[len("ERROR_REASON_"):]
	st, err := status.New(code, message).WithDetails(protoadapt.MessageV1Of(
		&errdetails.ErrorInfo{Domain: "muster", Reason: name, Metadata: metadata}))
	if err != nil {
		panic(err)
	}
	return st.Err()
}

// Digest is the digest and the count of a set.
func Digest(instances []*musterv1.Instance, states []*musterv1.ServiceState) (sum, count uint64) {
	add := func(kind byte, revision, tag uint64, parts ...string) {
		b := []byte{kind}
		for _, p := range parts {
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(p))), p...)
		}
		b = binary.LittleEndian.AppendUint64(b, revision)
		sum += xxhash.Sum64(binary.LittleEndian.AppendUint64(b, tag))
		count++
	}
	for _, i := range instances {
		add(1, i.GetModifyRevision(), i.GetTag(), i.GetNamespace(), i.GetService(), i.GetInstanceId())
	}
	for _, s := range states {
		add(2, s.GetModifyRevision(), s.GetTag(), s.GetNamespace(), s.GetService(), "")
	}
	return sum, count
}

// set is what a selector matches; filters other than names are ignored.
func (r *Registry) setLocked(s *musterv1.Selector) ([]*musterv1.Instance, []*musterv1.ServiceState) {
	matches := func(namespace, service string) bool {
		if p := s.GetPrefix(); p != nil {
			return p.GetNamespace() == "" || namespace == p.GetNamespace() && len(service) >= len(p.GetPrefix()) && service[:len(p.GetPrefix())] == p.GetPrefix()
		}
		return slices.ContainsFunc(s.GetServices().GetNames(), func(n *musterv1.ServiceName) bool {
			return n.GetNamespace() == namespace && n.GetService() == service
		})
	}
	var instances []*musterv1.Instance
	var states []*musterv1.ServiceState
	for _, i := range r.instances {
		if matches(i.GetNamespace(), i.GetService()) {
			instances = append(instances, i)
		}
	}
	for _, st := range r.states {
		if matches(st.GetNamespace(), st.GetService()) {
			states = append(states, st)
		}
	}
	slices.SortFunc(instances, func(a, b *musterv1.Instance) int { return cmp.Compare(keyOf(a), keyOf(b)) })
	return instances, states
}

// ViewID names the view of a selector.
func ViewID(s *musterv1.Selector) uint64 {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("selector: %v", err))
	}
	return xxhash.Sum64(b) | 1
}
