// Package view holds what is registered now. A [View] is an immutable picture
// of one revision; a [Builder] makes the next one from a store's commits and
// says what changed. Every reader in the server reads a View, never the store.
//
// A Builder belongs to one goroutine, that of the store's applier. Views may
// be read by any number of goroutines, for as long as they like: they share
// what did not change.
package view

import (
	"sync"

	"github.com/tidwall/btree"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/internal/entrymap"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
)

// State is a service's state as an entry of views. It is immutable.
type State struct {
	*musterv1.ServiceState
	// Hash is its summand in a digest.
	Hash uint64
	// Wire is the encoded public form. It must not be changed.
	Wire []byte
}

// Service is one service and its instances. It is immutable.
type Service struct {
	Name record.ServiceName
	// State is nil for a service that was never registered.
	State *State
	// Digest and Count are those of all its entries, the state included.
	Digest uint64
	Count  uint64

	instances btree.BTreeG[*Instance]
}

func newService(n record.ServiceName) *Service {
	return &Service{Name: n, instances: *btree.NewBTreeGOptions(before, btree.Options{NoLocks: true})}
}

// Len is the number of instances.
func (s *Service) Len() int { return s.instances.Len() }

// Instance finds an instance by id, or returns nil.
func (s *Service) Instance(id string) *Instance {
	return s.InstanceAt(record.InstanceName{ServiceName: s.Name, ID: id}.Key())
}

// InstanceAt is Instance by the instance's key in the store, which the caller
// has already. It must be one of this service's.
func (s *Service) InstanceAt(key string) *Instance {
	p := pivots.Get().(*pivot)
	p.entry.Key = key
	p.instance.entry = &p.entry
	in, _ := s.instances.Get(&p.instance)
	p.entry.Key = ""
	pivots.Put(p)
	return in
}

// pivot is an instance that is only there to be compared with.
type pivot struct {
	instance Instance
	entry    store.Entry
}

var pivots = sync.Pool{New: func() any { return &pivot{} }}

// Instances yields the instances in the order of their ids.
func (s *Service) Instances(yield func(*Instance) bool) {
	s.instances.Scan(yield)
}

// View is everything that is registered, at one revision.
type View struct {
	Epoch    uint64
	Revision uint64
	// EpochRevision is the mod revision of the epoch's key; 0 if there is none.
	EpochRevision uint64

	services  btree.Map[string, *Service]
	leases    entrymap.Map
	instances int
}

// Instances is the number of instances.
func (v *View) Instances() int { return v.instances }

// Leases is the number of leases.
func (v *View) Leases() int { return v.leases.Len() }

// Service finds a service, or returns nil.
func (v *View) Service(n record.ServiceName) *Service {
	s, _ := v.services.Get(sortKey(n))
	return s
}

// Instance finds an instance, or returns nil.
func (v *View) Instance(n record.InstanceName) *Instance {
	if s := v.Service(n.ServiceName); s != nil {
		return s.Instance(n.ID)
	}
	return nil
}

// Lease finds a lease, or returns nil.
func (v *View) Lease(id string) *Lease {
	return findLease(&v.leases, id)
}

// AllLeases yields every lease, in no particular order.
func (v *View) AllLeases(yield func(*Lease) bool) {
	v.leases.All(func(e *store.Entry) bool { return yield((*Lease)(e)) })
}

// ServicesFrom yields services in the order of (namespace, service), beginning
// with the first at or after from.
func (v *View) ServicesFrom(from record.ServiceName, yield func(*Service) bool) {
	v.services.Ascend(sortKey(from), func(_ string, s *Service) bool { return yield(s) })
}

// sortKey is what services are sorted by: "a" and all of its services come
// before "a-b", which they would not with the "/" that people write.
func sortKey(n record.ServiceName) string { return n.Namespace + "\x00" + n.Service }

// Tag reads the tag of a state for the digest.
func (s *State) hash(n record.ServiceName) uint64 {
	return entryHash(kindServiceState, record.InstanceName{ServiceName: n}, s.ModifyRevision, s.GetTag())
}
