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
	keys     []key
	byName   map[string]int // positions in keys
	guarded  []int          // positions of the guarded keys of the mutation at hand
	commits  []store.Commit
	full     bool
}

// key is a key that some mutation of the batch named.
type key struct {
	entry     store.Entry
	guardedAt uint64
	writtenAt uint64
}

const (
	// keepKeys bounds the memory that is kept from one batch to the next: to
	// clear a large map would cost each of the small batches after it more than
	// they do.
	keepKeys = 512
	// smallMutation is the number of guards up to which a walk beats a map.
	smallMutation = 16
)

// New begins a batch on top of the state at revision, as read returns it.
func New(revision uint64, read Read) *Batch {
	return &Batch{read: read, revision: revision, byName: make(map[string]int)}
}

// Reset begins anew, as New does. It reuses the slice that Commits returned,
// but nothing that the commits in it refer to.
func (b *Batch) Reset(revision uint64) {
	b.revision = revision
	b.full = false
	clear(b.commits)
	b.commits = b.commits[:0]
	if len(b.keys) > keepKeys {
		b.keys, b.byName = nil, make(map[string]int)
		return
	}
	clear(b.keys)
	b.keys = b.keys[:0]
	clear(b.byName)
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
	b.guarded = b.guarded[:0]
	for i := range m.Guards {
		b.guarded = append(b.guarded, b.position(m.Guards[i].Key))
	}
	for i := range m.Guards {
		if !holds(&m.Guards[i], &b.keys[b.guarded[i]].entry) {
			return store.Outcome{Failed: b.present()}
		}
	}
	if b.full {
		return store.Outcome{}
	}
	if len(b.commits) == 0 || b.conflicts(m) {
		b.revision++
		b.commits = append(b.commits, store.Commit{Revision: b.revision})
	}
	for _, at := range b.guarded {
		b.keys[at].guardedAt = b.revision
	}
	b.write(&b.commits[len(b.commits)-1], m)
	return store.Outcome{Revision: b.revision}
}

func (b *Batch) write(c *store.Commit, m *store.Mutation) {
	for i := range m.Puts {
		k := b.written(m, m.Puts[i].Key)
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
		k := b.written(m, name)
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
	for _, at := range b.guarded {
		if b.keys[at].writtenAt == b.revision {
			return true
		}
	}
	for i := range m.Puts {
		if b.written(m, m.Puts[i].Key).guardedAt == b.revision {
			return true
		}
	}
	for _, name := range m.Deletes {
		if b.written(m, name).guardedAt == b.revision {
			return true
		}
	}
	return false
}

// present are the entries of the guarded keys.
func (b *Batch) present() []store.Entry {
	entries := make([]store.Entry, len(b.guarded))
	for i, at := range b.guarded {
		entries[i] = b.keys[at].entry
	}
	return entries
}

// written finds a key that a mutation writes, and hence guards. The result is
// good until the next position.
func (b *Batch) written(m *store.Mutation, name string) *key {
	if len(m.Guards) <= smallMutation {
		for i := range m.Guards {
			if m.Guards[i].Key == name {
				return &b.keys[b.guarded[i]]
			}
		}
	}
	return &b.keys[b.position(name)]
}

// position finds a key, which it reads if no mutation of the batch named it.
func (b *Batch) position(name string) int {
	at, ok := b.byName[name]
	if !ok {
		at = len(b.keys)
		b.keys = append(b.keys, key{entry: b.read(name)})
		b.keys[at].entry.Key = name
		b.byName[name] = at
	}
	return at
}

func holds(g *store.Guard, e *store.Entry) bool {
	if g.Aspect == store.Create {
		return e.CreateRevision == g.Revision
	}
	return e.ModRevision == g.Revision
}
