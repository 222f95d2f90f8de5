package view

import (
	"fmt"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
)

// Instance is one registered instance. It is immutable. There may be a million
// of them, so it holds only what is asked for often; all else is read from the
// stored entry when it is asked for, which costs some ten nanoseconds.
type Instance struct {
	entry *store.Entry
	// Incarnation is the create revision of the lease that holds it.
	Incarnation uint64
	// Hash is its summand in a digest.
	Hash uint64
	// Lifecycle and Health are those of the public form.
	Lifecycle musterv1.Lifecycle
	Health    musterv1.Health

	decoded atomic.Pointer[musterv1.Instance]
}

// newInstance checks an entry, so that nothing can fail when it is read later.
func newInstance(e *store.Entry, incarnation func(leaseID []byte) (uint64, bool)) (*Instance, record.InstanceName, error) {
	name, ok := record.ParseInstance(e.Key)
	if !ok {
		return nil, name, fmt.Errorf("not an instance key")
	}
	r, err := record.SplitInstance(e.Value)
	if err != nil {
		return nil, name, err
	}
	facts, err := record.ReadFacts(r.Public)
	if err != nil {
		return nil, name, err
	}
	inc, ok := incarnation(r.LeaseID)
	if !ok {
		return nil, name, fmt.Errorf("its lease does not exist")
	}
	return &Instance{
		entry: e, Incarnation: inc, Hash: entryHash(kindInstance, name, e.ModRevision, facts.Tag),
		Lifecycle: facts.Lifecycle, Health: facts.Health,
	}, name, nil
}

// before orders instances of one service by their ids: their keys are alike
// up to these.
func before(a, b *Instance) bool { return a.entry.Key < b.entry.Key }

// Key is where it lies in the store.
func (i *Instance) Key() string { return i.entry.Key }

// Name is what it is called.
func (i *Instance) Name() record.InstanceName {
	n, _ := record.ParseInstance(i.entry.Key)
	return n
}

// ID is its name within its service.
func (i *Instance) ID() string { return i.Name().ID }

// String is its name as people write it.
func (i *Instance) String() string { return i.Name().String() }

// CreateRevision is when it was registered first.
func (i *Instance) CreateRevision() uint64 { return i.entry.CreateRevision }

// ModifyRevision is when its public form changed last.
func (i *Instance) ModifyRevision() uint64 { return i.entry.ModRevision }

// LeaseID is the lease that holds it. It is a secret.
func (i *Instance) LeaseID() string { return string(i.parts().LeaseID) }

// HeldBy tells whether a lease holds it, and costs less than LeaseID.
func (i *Instance) HeldBy(leaseID string) bool { return string(i.parts().LeaseID) == leaseID }

// DrainDeadlineMS is until when a drain of it waits; information only.
func (i *Instance) DrainDeadlineMS() int64 { return i.parts().DrainDeadlineMS }

// Tag is the tag of the public form.
func (i *Instance) Tag() uint64 {
	f, err := record.ReadFacts(i.parts().Public)
	i.must(err)
	return f.Tag
}

// AppendWire appends the encoded public form, as watchers get it.
func (i *Instance) AppendWire(dst []byte) []byte {
	return record.AppendWire(dst, i.parts().Public, i.Incarnation, i.entry.CreateRevision, i.entry.ModRevision)
}

// WireSize is how many bytes AppendWire appends.
func (i *Instance) WireSize() int {
	return record.WireSize(i.parts().Public, i.Incarnation, i.entry.CreateRevision, i.entry.ModRevision)
}

// Proto is the public form, decoded anew at each call: the caller may change it.
func (i *Instance) Proto() *musterv1.Instance {
	p := &musterv1.Instance{}
	i.must(proto.Unmarshal(i.parts().Public, p))
	p.Incarnation, p.CreateRevision, p.ModifyRevision = i.Incarnation, i.entry.CreateRevision, i.entry.ModRevision
	return p
}

func (i *Instance) parts() record.InstanceParts {
	r, err := record.SplitInstance(i.entry.Value)
	i.must(err)
	return r
}

// must is for what was decoded before, when the entry came.
func (i *Instance) must(err error) {
	if err != nil {
		panic("view: instance " + i.String() + " was decoded before and cannot be now: " + err.Error())
	}
}
