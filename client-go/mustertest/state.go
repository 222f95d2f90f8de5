package mustertest

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// serviceName is the full name of a service.
type serviceName struct{ namespace, service string }

func (n serviceName) compare(o serviceName) int {
	return cmp.Or(cmp.Compare(n.namespace, o.namespace), cmp.Compare(n.service, o.service))
}

// entryName names an entry: an instance, or with an empty id the state of its
// service.
type entryName struct {
	serviceName
	id string
}

func (n entryName) String() string { return n.namespace + "/" + n.service + "/" + n.id }

func (n entryName) compare(o entryName) int {
	return cmp.Or(n.serviceName.compare(o.serviceName), cmp.Compare(n.id, o.id))
}

func nameOf(i *musterv1.Instance) entryName {
	return entryName{serviceName{i.GetNamespace(), i.GetService()}, i.GetInstanceId()}
}

func nameOfKey(k *musterv1.InstanceKey) entryName {
	return entryName{serviceName{k.GetNamespace(), k.GetService()}, k.GetInstanceId()}
}

// change is what one commit did to one entry. What it holds is never changed.
type change struct {
	revision uint64
	name     entryName
	// before and after are nil where the entry was, or is, not there.
	before, after entry
	// reason of a removal.
	reason musterv1.RemovalReason
}

// entry is an instance or a service state; at most one of the two is set.
type entry struct {
	instance *musterv1.Instance
	service  *musterv1.ServiceState
}

func (e entry) exists() bool { return e.instance != nil || e.service != nil }

// state is the registry's history: what a real one keeps in its store. Messages
// in it are never changed, only replaced, so that they can be sent without the
// lock that guards it.
type state struct {
	epoch, revision uint64
	instances       map[entryName]*musterv1.Instance
	services        map[serviceName]*musterv1.ServiceState
	leases          map[string]*lease
	holders         map[entryName]*lease
	// log is what happened after floor.
	log   []change
	floor uint64
}

// maxLog bounds the log; older changes are compacted.
const maxLog = 10_000

func newState(epoch uint64) state {
	return state{
		epoch:     epoch,
		revision:  1,
		floor:     1,
		instances: map[entryName]*musterv1.Instance{},
		services:  map[serviceName]*musterv1.ServiceState{},
		leases:    map[string]*lease{},
		holders:   map[entryName]*lease{},
	}
}

// lease keeps instances registered until its deadline.
type lease struct {
	id                 string
	epoch, incarnation uint64
	requestID          string
	ttl                time.Duration
	// deadline is when it expires; zero never does.
	deadline time.Time
}

// renew makes a lease live for its TTL from now.
func (l *lease) renew(now time.Time) {
	if !l.deadline.IsZero() {
		l.deadline = now.Add(l.ttl)
	}
}

// held are the instances of a lease, sorted.
func (s *state) held(l *lease) []entryName {
	var names []entryName
	for name, holder := range s.holders {
		if holder == l {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, entryName.compare)
	return names
}

// commit is one revision in the making.
type commit struct {
	state   *state
	at      uint64
	now     time.Time
	changes []change
}

func (s *state) begin(now time.Time) *commit {
	return &commit{state: s, at: s.revision + 1, now: now}
}

// put writes an instance, which from now on is the registry's, and the state of
// its service if it has none or one that says it is empty.
func (c *commit) put(i *musterv1.Instance, holder *lease) {
	s, name := c.state, nameOf(i)
	old := s.instances[name]
	i.Incarnation, i.Tag = holder.incarnation, rand.Uint64()|1
	i.CreateRevision, i.ModifyRevision = c.at, c.at
	i.CreateTime, i.ModifyTime = timestamppb.New(c.now), timestamppb.New(c.now)
	if old != nil {
		i.CreateRevision, i.CreateTime = old.GetCreateRevision(), old.GetCreateTime()
	}
	setHealth(i, old, c.now)
	s.instances[name], s.holders[name] = i, holder
	c.changes = append(c.changes, change{revision: c.at, name: name, before: entry{instance: old}, after: entry{instance: i}})
	if known := s.services[name.serviceName]; known == nil || known.GetEmptied() != nil {
		c.putService(name.serviceName, nil)
	}
}

// remove takes an instance out.
func (c *commit) remove(name entryName, reason musterv1.RemovalReason) {
	s := c.state
	old := s.instances[name]
	delete(s.instances, name)
	delete(s.holders, name)
	c.changes = append(c.changes, change{revision: c.at, name: name, before: entry{instance: old}, reason: reason})
}

func (c *commit) putService(name serviceName, emptied *musterv1.Emptied) {
	old := c.state.services[name]
	next := &musterv1.ServiceState{
		Namespace: name.namespace, Service: name.service, Emptied: emptied,
		CreateRevision: c.at, ModifyRevision: c.at, Tag: rand.Uint64() | 1,
	}
	if old != nil {
		next.CreateRevision = old.GetCreateRevision()
	}
	c.state.services[name] = next
	c.changes = append(c.changes, change{
		revision: c.at, name: entryName{serviceName: name}, before: entry{service: old}, after: entry{service: next},
	})
}

// end makes the commit's changes history, with the states of the services that
// it emptied. A commit without changes is none.
func (c *commit) end() {
	s := c.state
	for _, ch := range slices.Clone(c.changes) {
		name := ch.name.serviceName
		if ch.after.exists() || s.population(name) > 0 || s.services[name].GetEmptied() != nil {
			continue
		}
		c.putService(name, &musterv1.Emptied{
			Reason: ch.reason, InstanceId: ch.name.id, Revision: c.at, Time: timestamppb.New(c.now),
		})
	}
	if len(c.changes) == 0 {
		return
	}
	s.revision = c.at
	s.log = append(s.log, c.changes...)
	for len(s.log) > maxLog {
		s.floor = s.log[0].revision
		s.log = slices.DeleteFunc(s.log, func(ch change) bool { return ch.revision <= s.floor })
	}
}

func (s *state) population(name serviceName) (n int) {
	for held := range s.instances {
		if held.serviceName == name {
			n++
		}
	}
	return n
}

// compact forgets the log, as a restart does.
func (s *state) compact() { s.log, s.floor = nil, s.revision }

// endLease ends a lease and what it holds.
func (c *commit) endLease(l *lease, reason musterv1.RemovalReason) {
	for _, name := range c.state.held(l) {
		c.remove(name, reason)
	}
	delete(c.state.leases, l.id)
}

// dropIfEmpty ends a lease that holds nothing any more.
func (s *state) dropIfEmpty(l *lease) {
	if len(s.held(l)) == 0 {
		delete(s.leases, l.id)
	}
}

// setHealth turns what an instance says of itself into its slot and verdict.
// since_time is that of the same word said before.
func setHealth(i, old *musterv1.Instance, now time.Time) {
	self := i.GetSelfHealth()
	i.SelfHealth, i.HealthSlots, i.Health = nil, nil, musterv1.Health_HEALTH_HEALTHY
	if self.GetHealth() <= musterv1.Health_HEALTH_HEALTHY {
		return
	}
	slot := &musterv1.HealthSlot{
		Source: musterv1.HealthSource_HEALTH_SOURCE_SELF, Health: self.GetHealth(),
		Reason: self.GetReason(), SinceTime: timestamppb.New(now),
	}
	for _, before := range old.GetHealthSlots() {
		if before.GetHealth() == slot.GetHealth() {
			slot.SinceTime = before.GetSinceTime()
		}
	}
	i.Health, i.HealthSlots = slot.GetHealth(), []*musterv1.HealthSlot{slot}
}

// selfHealth is what a stored instance said of itself.
func selfHealth(i *musterv1.Instance) *musterv1.SelfHealth {
	for _, slot := range i.GetHealthSlots() {
		return &musterv1.SelfHealth{Health: slot.GetHealth(), Reason: slot.GetReason()}
	}
	return nil
}

// owned is a stored instance as its owner wrote it.
func owned(i *musterv1.Instance) *musterv1.Instance {
	i = proto.CloneOf(i)
	i.SelfHealth = selfHealth(i)
	i.Health, i.HealthSlots, i.Incarnation, i.Tag = 0, nil, 0, 0
	i.CreateRevision, i.ModifyRevision, i.CreateTime, i.ModifyTime = 0, 0, nil, nil
	return i
}
