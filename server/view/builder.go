package view

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
)

// Change is one entry's change at one revision: an instance's or a service
// state's. Before is nil for a new entry, After for one that is gone.
type Change struct {
	Revision uint64
	Service  record.ServiceName
	// Instance tells which of the two kinds it is.
	Instance                bool
	ID                      string
	Before, After           *Instance
	StateBefore, StateAfter *State
	// Reason is why it is gone; unset unless it is.
	Reason musterv1.RemovalReason
	// Actor is who removed it; empty for the registry itself.
	Actor string
	// Traceparent is the trace of the call that made the change, if there was one.
	Traceparent string
}

// Changes is what a batch of commits changed, in order.
type Changes struct {
	Entries []Change
	Leases  []LeaseChange
}

// LeaseChange is one lease's change. Before is nil for a new lease, After for
// one that is gone.
type LeaseChange struct {
	Before, After *Lease
}

// Builder makes views from a store's history.
type Builder struct {
	current View
	// touched are the services that were copied for the batch under way and
	// may be changed in place.
	touched map[record.ServiceName]*Service
}

// NewBuilder makes a builder whose view is empty.
func NewBuilder() *Builder { return &Builder{touched: map[record.ServiceName]*Service{}} }

// Apply takes over commits and returns the view after them, and what changed.
// An error means that the store holds what no server wrote.
func (b *Builder) Apply(commits []store.Commit) (*View, Changes, error) {
	var ch Changes
	for i := range commits {
		if err := b.applyCommit(&commits[i], &ch); err != nil {
			return nil, Changes{}, fmt.Errorf("revision %d: %w", commits[i].Revision, err)
		}
	}
	return b.publish(commits[len(commits)-1].Revision), ch, nil
}

func (b *Builder) applyCommit(c *store.Commit, ch *Changes) error {
	notes, err := notesByKey(c.Notes)
	if err != nil {
		return err
	}
	// Leases before the instances that they hold: an instance always finds
	// its lease.
	for _, kind := range [...]record.Kind{record.KindLease, record.KindUnknown} {
		for _, ev := range c.Events {
			if (record.KindOf(ev.Key) == record.KindLease) != (kind == record.KindLease) {
				continue
			}
			if ev.Deleted {
				b.remove(ev, c.Revision, notes, ch)
			} else if err := b.put(ev.Entry, notes, ch); err != nil {
				return err
			}
		}
	}
	return nil
}

func notesByKey(raw [][]byte) (map[string]record.Note, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	notes := map[string]record.Note{}
	for _, r := range raw {
		n, err := record.DecodeNote(r)
		if err != nil {
			return nil, err
		}
		for _, k := range n.Keys {
			notes[k] = n
		}
	}
	return notes, nil
}

func (b *Builder) put(e *store.Entry, notes map[string]record.Note, ch *Changes) error {
	var err error
	switch record.KindOf(e.Key) {
	case record.KindInstance:
		err = b.putInstance(e, notes[e.Key], ch)
	case record.KindService:
		err = b.putState(e, ch)
	case record.KindLease:
		err = b.putLease(e, ch)
	case record.KindEpoch:
		b.current.Epoch, err = record.DecodeEpoch(e.Value)
		b.current.EpochRevision = e.ModRevision
	case record.KindUnknown:
		// A newer server's key: nothing for this one.
	}
	return keyError(e.Key, err)
}

func keyError(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("key %s: %w", key, err)
}

func (b *Builder) putInstance(e *store.Entry, note record.Note, ch *Changes) error {
	in, name, err := newInstance(e, b.incarnation)
	if err != nil {
		return err
	}
	s := b.service(name.ServiceName)
	before, replaced := s.instances.Set(in)
	if replaced {
		s.Digest -= before.Hash
	} else {
		s.Count++
		b.current.instances++
	}
	s.Digest += in.Hash
	ch.Entries = append(ch.Entries, Change{
		Revision: e.ModRevision, Service: name.ServiceName, Instance: true, ID: name.ID,
		Before: before, After: in, Actor: note.Actor, Traceparent: note.Traceparent,
	})
	return nil
}

func (b *Builder) incarnation(leaseID []byte) (uint64, bool) {
	l := findLease(&b.current.leases, leaseID)
	if l == nil {
		return 0, false
	}
	return l.Incarnation(), true
}

func (b *Builder) putState(e *store.Entry, ch *Changes) error {
	name, ok := record.ParseService(e.Key)
	if !ok {
		return fmt.Errorf("not a service key")
	}
	p, err := record.DecodeService(e.Value, e.CreateRevision, e.ModRevision)
	if err != nil {
		return err
	}
	wire, err := proto.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	st := &State{ServiceState: p, Wire: wire}
	st.Hash = st.hash(name)
	s := b.service(name)
	before := s.State
	s.setState(st)
	ch.Entries = append(ch.Entries, Change{
		Revision: e.ModRevision, Service: name, StateBefore: before, StateAfter: st,
	})
	return nil
}

func (s *Service) setState(st *State) {
	if s.State != nil {
		s.Digest -= s.State.Hash
		s.Count--
	}
	if st != nil {
		s.Digest += st.Hash
		s.Count++
	}
	s.State = st
}

func (b *Builder) putLease(e *store.Entry, ch *Changes) error {
	l, err := NewLease(e)
	if err != nil {
		return err
	}
	before := (*Lease)(b.current.leases.Set(e))
	ch.Leases = append(ch.Leases, LeaseChange{Before: before, After: l})
	return nil
}

func (b *Builder) remove(ev store.Event, revision uint64, notes map[string]record.Note, ch *Changes) {
	switch record.KindOf(ev.Key) {
	case record.KindInstance:
		b.removeInstance(ev.Key, revision, notes, ch)
	case record.KindService:
		name, _ := record.ParseService(ev.Key)
		s := b.service(name)
		before := s.State
		s.setState(nil)
		ch.Entries = append(ch.Entries, Change{Revision: revision, Service: name, StateBefore: before, Reason: musterv1.RemovalReason_REMOVAL_REASON_UNKNOWN})
	case record.KindLease:
		if before := b.current.leases.Delete(ev.Key); before != nil {
			ch.Leases = append(ch.Leases, LeaseChange{Before: (*Lease)(before)})
		}
	case record.KindEpoch, record.KindUnknown:
	}
}

func (b *Builder) removeInstance(key string, revision uint64, notes map[string]record.Note, ch *Changes) {
	name, _ := record.ParseInstance(key)
	s := b.service(name.ServiceName)
	before, ok := s.instances.Delete(&Instance{entry: &store.Entry{Key: key}})
	if !ok {
		return
	}
	s.Digest -= before.Hash
	s.Count--
	b.current.instances--
	reason, note := musterv1.RemovalReason_REMOVAL_REASON_UNKNOWN, notes[key]
	if note.Reason != musterv1.RemovalReason_REMOVAL_REASON_UNSPECIFIED {
		reason = note.Reason
	}
	ch.Entries = append(ch.Entries, Change{
		Revision: revision, Service: name.ServiceName, Instance: true, ID: name.ID, Before: before,
		Reason: reason, Actor: note.Actor, Traceparent: note.Traceparent,
	})
}

// service returns the service for changing in place: a copy, made once per
// batch, that shares its instances until they change.
func (b *Builder) service(n record.ServiceName) *Service {
	if s := b.touched[n]; s != nil {
		return s
	}
	var next *Service
	key := sortKey(n)
	if old, ok := b.current.services.Get(key); ok {
		next = &Service{Name: n, State: old.State, Digest: old.Digest, Count: old.Count, instances: *old.instances.Copy()}
	} else {
		next = newService(n)
	}
	b.touched[n] = next
	b.current.services.Set(key, next)
	return next
}

// publish ends the batch. What it returns is never changed again.
func (b *Builder) publish(revision uint64) *View {
	for name, s := range b.touched {
		if s.Count == 0 {
			b.current.services.Delete(sortKey(name))
		}
	}
	clear(b.touched)
	b.current.Revision = revision
	v := b.current
	v.services, v.leases = *b.current.services.Copy(), *b.current.leases.Copy()
	return &v
}
