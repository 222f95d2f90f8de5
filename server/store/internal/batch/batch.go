// Package batch decides mutations, one after the other, against a state that
// it only reads: which take effect, and at which revision.
//
// It owns the two rules that every store in one process shares. A mutation is
// decided against the state with all earlier mutations of the batch in it.
// Mutations share a revision as long as they do not touch each other's keys:
// no key written by one is written or guarded by another; a mutation that
// would break this begins the next revision.
//
// Nothing here is durable, and the state stays as it was: the caller writes
// the commits, and only then applies their events. A Batch belongs to one
// goroutine.
package batch

import "github.com/muster-registry/muster/server/store"

// Read returns a key's present entry; the zero ModRevision means absent.
type Read func(key string) store.Entry

// Batch collects decided mutations.
type Batch struct {
	read     Read
	revision uint64
	keys     map[string]*key
	commits  []store.Commit
	full     bool
}

// key is a key that some mutation of the batch named.
type key struct {
	entry     store.Entry
	guardedAt uint64
	writtenAt uint64
}

// keepKeys bounds the map that is kept from one batch to the next: to clear a
// large one would cost each of the small batches after it more than they do.
const keepKeys = 512

// New begins a batch on top of the state at revision, as read returns it.
func New(revision uint64, read Read) *Batch {
	return &Batch{read: read, revision: revision, keys: make(map[string]*key)}
}

// Reset begins anew, as New does. It reuses the slice that Commits returned,
// but nothing that the commits in it refer to.
func (b *Batch) Reset(revision uint64) {
	b.revision = revision
	b.full = false
	clear(b.commits)
	b.commits = b.commits[:0]
	if len(b.keys) > keepKeys {
		b.keys = make(map[string]*key)
		return
	}
	clear(b.keys)
}

// Seal says that nothing more may commit: from here on a mutation whose
// guards hold is answered with the outcome zero.
func (b *Batch) Seal() { b.full = true }

// Commits are the revisions decided so far, oldest first.
func (b *Batch) Commits() []store.Commit { return b.commits }

// Add decides a mutation that passed its Check. The outcome holds either the
// revision at which it takes effect or, a guard having failed, one present
// entry for each guard, in their order.
func (b *Batch) Add(m *store.Mutation) store.Outcome {
	for i := range m.Guards {
		if !holds(&m.Guards[i], &b.key(m.Guards[i].Key).entry) {
			return store.Outcome{Failed: b.present(m.Guards)}
		}
	}
	if b.full {
		return store.Outcome{}
	}
	if len(b.commits) == 0 || b.conflicts(m) {
		b.revision++
		b.commits = append(b.commits, store.Commit{Revision: b.revision})
	}
	for i := range m.Guards {
		b.key(m.Guards[i].Key).guardedAt = b.revision
	}
	b.write(&b.commits[len(b.commits)-1], m)
	return store.Outcome{Revision: b.revision}
}

func (b *Batch) write(c *store.Commit, m *store.Mutation) {
	for i := range m.Puts {
		k := b.key(m.Puts[i].Key)
		k.writtenAt = b.revision
		k.entry.Value = m.Puts[i].Value
		k.entry.ModRevision = b.revision
		if k.entry.CreateRevision == 0 {
			k.entry.CreateRevision = b.revision
		}
		written := k.entry
		c.Events = append(c.Events, store.Event{Entry: &written})
	}
	for _, name := range m.Deletes {
		k := b.key(name)
		k.writtenAt = b.revision
		gone := k.entry
		gone.Value = nil
		c.Events = append(c.Events, store.Event{Entry: &gone, Deleted: true})
		k.entry = store.Entry{Key: k.entry.Key}
	}
	if m.Note != nil {
		c.Notes = append(c.Notes, m.Note)
	}
}

// conflicts tells whether the mutation must not join the newest revision.
func (b *Batch) conflicts(m *store.Mutation) bool {
	for i := range m.Guards {
		if b.keys[m.Guards[i].Key].writtenAt == b.revision {
			return true
		}
	}
	for i := range m.Puts {
		if b.keys[m.Puts[i].Key].guardedAt == b.revision {
			return true
		}
	}
	for _, name := range m.Deletes {
		if b.keys[name].guardedAt == b.revision {
			return true
		}
	}
	return false
}

func (b *Batch) present(guards []store.Guard) []store.Entry {
	entries := make([]store.Entry, len(guards))
	for i := range guards {
		entries[i] = b.key(guards[i].Key).entry
	}
	return entries
}

func (b *Batch) key(name string) *key {
	k, ok := b.keys[name]
	if !ok {
		k = &key{entry: b.read(name)}
		k.entry.Key = name
		b.keys[name] = k
	}
	return k
}

func holds(g *store.Guard, e *store.Entry) bool {
	if g.Aspect == store.Create {
		return e.CreateRevision == g.Revision
	}
	return e.ModRevision == g.Revision
}
