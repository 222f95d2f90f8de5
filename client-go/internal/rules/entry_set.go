package rules

import (
	"cmp"
	"slices"
)

// Compare orders keys by namespace, service and ID, as bytes.
func (k EntryKey) Compare(o EntryKey) int {
	return cmp.Or(cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Service, o.Service), cmp.Compare(k.ID, o.ID))
}

// EntryType is what frames must know of one kind of entries, whose type is the
// caller's own.
type EntryType[E any] struct {
	// Kind as in digests: KindInstance or KindServiceState.
	Kind int32
	// Key of an entry.
	Key func(E) EntryKey
	// Stamp of an entry: its modify revision and its tag.
	Stamp func(E) (modifyRevision, tag uint64)
}

func (t *EntryType[E]) hash(e E) uint64 {
	modifyRevision, tag := t.Stamp(e)
	return EntryHash(byte(t.Kind), t.Key(e), modifyRevision, tag)
}

func (t *EntryType[E]) same(a, b E) bool {
	revisionA, tagA := t.Stamp(a)
	revisionB, tagB := t.Stamp(b)
	return revisionA == revisionB && tagA == tagB
}

func (t *EntryType[E]) find(sorted []E, key EntryKey) (at int, found bool) {
	return slices.BinarySearchFunc(sorted, key, func(e E, k EntryKey) int { return t.Key(e).Compare(k) })
}

// EntrySet is what a view holds: entries sorted by key, and their digest. It is
// immutable: a change makes a new one, which shares the entries that stayed.
type EntrySet[I, S any] struct {
	// Instances and Services are sorted by key.
	Instances []I
	Services  []S
	// Digest is the sum of all hashes.
	Digest uint64
}

// Count is the number of entries.
func (s *EntrySet[I, S]) Count() uint64 { return uint64(len(s.Instances) + len(s.Services)) }

// change is one entry of a delta: a new value, or its removal.
type change[E any] struct {
	key   EntryKey
	value E
	gone  bool
}

// apply returns a sorted list after changes, and how the digest moves. It is
// false if an entry occurs twice among the changes.
func (t *EntryType[E]) apply(old []E, changes []change[E]) (result []E, digest uint64, ok bool) {
	slices.SortFunc(changes, func(a, b change[E]) int { return a.key.Compare(b.key) })
	result = make([]E, 0, len(old)+len(changes))
	for n, c := range changes {
		if n > 0 && changes[n-1].key == c.key {
			return nil, 0, false
		}
		at, found := t.find(old, c.key)
		result = append(result, old[:at]...)
		if found {
			digest -= t.hash(old[at])
			at++
		}
		old = old[at:]
		if !c.gone {
			result = append(result, c.value)
			digest += t.hash(c.value)
		}
	}
	return append(result, old...), digest, true
}

// changes of one kind in an update.
func (t *EntryType[E]) changes(upserts []E, removals []Removed) []change[E] {
	list := make([]change[E], 0, len(upserts)+len(removals))
	for _, e := range upserts {
		list = append(list, change[E]{key: t.Key(e), value: e})
	}
	for _, r := range removals {
		if r.Kind != t.Kind {
			continue
		}
		if r.Kind == KindServiceState {
			r.Key.ID = "" // means nothing
		}
		list = append(list, change[E]{key: r.Key, gone: true})
	}
	return list
}

// replace sorts the entries of a snapshot, and keeps those that were held
// already, so that who compares views sees what changed. It is false if an
// entry occurs twice.
func (t *EntryType[E]) replace(old, list []E) (sorted []E, digest uint64, ok bool) {
	sorted = slices.SortedFunc(slices.Values(list), func(a, b E) int { return t.Key(a).Compare(t.Key(b)) })
	for i, e := range sorted {
		if i > 0 && t.Key(sorted[i-1]) == t.Key(e) {
			return nil, 0, false
		}
		if at, found := t.find(old, t.Key(e)); found && t.same(old[at], e) {
			sorted[i] = old[at]
		}
		digest += t.hash(e)
	}
	return sorted, digest, true
}
