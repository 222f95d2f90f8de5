package muster

import (
	"slices"
)

// viewSet is the set of entries that a client holds of one view, sorted by key,
// with its digest. It is immutable: a change makes a new one, which shares the
// entries that stayed.
type viewSet struct {
	instances []*Instance
	services  []*ServiceState
	digest    uint64
}

func (s viewSet) count() uint64 { return uint64(len(s.instances) + len(s.services)) }

func (s viewSet) find(k Key) (*Instance, bool) {
	at, ok := slices.BinarySearchFunc(s.instances, k, func(i *Instance, k Key) int { return compareKeys(i.Key, k) })
	if !ok {
		return nil, false
	}
	return s.instances[at], true
}

// entry is what both kinds of entries have.
type entry[K any] interface {
	comparable
	entryKey() K
	entryHash() uint64
}

func (i *Instance) entryKey() Key     { return i.Key }
func (i *Instance) entryHash() uint64 { return instanceHash(i) }

func (s *ServiceState) entryKey() ServiceName { return s.ServiceName }
func (s *ServiceState) entryHash() uint64     { return serviceHash(s) }

// change is one entry of an update: a new value, or none for a removal.
type change[K any, E entry[K]] struct {
	key   K
	value E
}

// applyChanges returns old after changes and how the digest moves. It is false
// if an entry occurs twice among the changes.
func applyChanges[K any, E entry[K]](old []E, changes []change[K, E], compare func(a, b K) int) (result []E, digest uint64, ok bool) {
	slices.SortFunc(changes, func(a, b change[K, E]) int { return compare(a.key, b.key) })
	var none E
	result = make([]E, 0, len(old)+len(changes))
	for n, c := range changes {
		if n > 0 && compare(changes[n-1].key, c.key) == 0 {
			return nil, 0, false
		}
		at, found := slices.BinarySearchFunc(old, c.key, func(e E, k K) int { return compare(e.entryKey(), k) })
		result = append(result, old[:at]...)
		if found {
			digest -= old[at].entryHash()
			at++
		}
		old = old[at:]
		if c.value != none {
			result = append(result, c.value)
			digest += c.value.entryHash()
		}
	}
	return append(result, old...), digest, true
}

// after is s after a delta. It is false if an entry occurs twice.
func (s viewSet) after(instances []*Instance, services []*ServiceState, removals []Removal) (viewSet, bool) {
	instanceChanges := make([]change[Key, *Instance], 0, len(instances)+len(removals))
	serviceChanges := make([]change[ServiceName, *ServiceState], 0, len(services))
	for _, i := range instances {
		instanceChanges = append(instanceChanges, change[Key, *Instance]{i.Key, i})
	}
	for _, v := range services {
		serviceChanges = append(serviceChanges, change[ServiceName, *ServiceState]{v.ServiceName, v})
	}
	for _, r := range removals {
		if r.ofService {
			serviceChanges = append(serviceChanges, change[ServiceName, *ServiceState]{key: r.Key.ServiceName()})
		} else {
			instanceChanges = append(instanceChanges, change[Key, *Instance]{key: r.Key})
		}
	}
	next := viewSet{digest: s.digest}
	var moved uint64
	var ok bool
	if next.instances, moved, ok = applyChanges(s.instances, instanceChanges, compareKeys); !ok {
		return s, false
	}
	next.digest += moved
	if next.services, moved, ok = applyChanges(s.services, serviceChanges, compareServices); !ok {
		return s, false
	}
	next.digest += moved
	return next, true
}

// replaced is the set of a snapshot. Entries that were in s already keep their
// identity, so that who compares views sees what changed.
func (s viewSet) replaced(instances []*Instance, services []*ServiceState) (viewSet, bool) {
	slices.SortFunc(instances, func(a, b *Instance) int { return compareKeys(a.Key, b.Key) })
	slices.SortFunc(services, func(a, b *ServiceState) int { return compareServices(a.ServiceName, b.ServiceName) })
	for i, in := range instances {
		if i > 0 && instances[i-1].Key == in.Key {
			return s, false
		}
		if old, ok := s.find(in.Key); ok && old.ModifyRevision == in.ModifyRevision && old.tag == in.tag {
			instances[i] = old
		}
	}
	for i := range services {
		if i > 0 && services[i-1].ServiceName == services[i].ServiceName {
			return s, false
		}
	}
	return viewSet{instances, services, digestOf(instances, services)}, true
}

// mergeInstances joins two sorted lists without common keys.
func mergeInstances(a, b []*Instance) []*Instance {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y *Instance) int {
		return compareKeys(x.Key, y.Key)
	})
	return all
}
