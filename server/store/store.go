// Package store is the registry's one durable thing: an ordered history of
// commits over a flat key space.
//
// Everything that changes in Muster is a [Mutation] proposed to a [Store].
// The store decides its guards against the newest state, makes it durable,
// gives it a revision, hands it to the [Applier] in revision order, and only
// then answers whoever proposed it. Readers never read the store: they read
// the view that the applier builds.
//
// Two implementations exist or are planned: an embedded one for one machine
// (package embedded) and etcd for several. The contract below is what both
// must do alike; package storetest holds it to that.
package store

import (
	"context"
	"errors"
	"iter"
)

// MaxMutationBytes bounds the keys, values and note of one mutation together.
// It is etcd's request limit with room to spare, so that what one store
// accepts the other accepts too.
const MaxMutationBytes = 1 << 20

var (
	// ErrClosed answers proposals made after Close began. The mutation has no effect.
	ErrClosed = errors.New("store is closed")
	// ErrFull answers proposals that found no room on disk. The mutation has
	// no effect; a later one may succeed once room is made.
	ErrFull = errors.New("store has no room on disk")
	// ErrTooLarge answers a mutation above MaxMutationBytes. It has no effect.
	ErrTooLarge = errors.New("mutation is too large")
	// ErrFailed answers every proposal after the store could not tell what is
	// durable (a failed fsync, say). The outcome of proposals under way is
	// unknown; only a restart, which reads back what the disk really holds, helps.
	ErrFailed = errors.New("store has failed")
)

// Aspect says which revision of a key a [Guard] looks at.
type Aspect uint8

const (
	// Mod compares the revision of the key's last write.
	Mod Aspect = iota
	// Create compares the revision at which the key came to exist.
	Create
)

// Guard is a condition on one key. Revision 0 demands that the key is absent.
type Guard struct {
	Key      string
	Aspect   Aspect
	Revision uint64
}

// Put writes one key, whole.
type Put struct {
	Key   string
	Value []byte
}

// Mutation is a set of writes that commits whole, and only if all its guards
// hold at that moment. It must guard every key it writes, and name no key
// twice among its puts and deletes.
type Mutation struct {
	Guards  []Guard
	Puts    []Put
	Deletes []string
	// Note travels with the commit to every applier and is not kept in the
	// state. It carries what a deletion cannot say by itself: why, and by whom.
	Note []byte
}

// Entry is a key's present state. A zero ModRevision means that it is absent.
// Value must not be changed by anyone, nor an Entry that was handed on.
type Entry struct {
	Key            string
	Value          []byte
	CreateRevision uint64
	ModRevision    uint64
}

// Event is one key's change in a commit. After a deletion Value is nil and
// both revisions are those of the entry that was deleted.
//
// The entry is never changed: store, view and history share it.
type Event struct {
	*Entry
	Deleted bool
}

// Commit is one revision: one or several mutations that do not touch each
// other's keys. No key occurs twice in it.
type Commit struct {
	Revision uint64
	Events   []Event
	Notes    [][]byte
}

// Outcome is what became of a mutation whose guards were decided.
type Outcome struct {
	// Revision is that of the commit; 0 if a guard failed.
	Revision uint64
	// Failed holds the present entries of all guarded keys when a guard
	// failed, so that the proposer can decide again without another read.
	Failed []Entry
}

// Committed tells whether the mutation took effect.
func (o Outcome) Committed() bool { return o.Revision != 0 }

// Applier receives the history. The store calls it from one goroutine at a
// time, in revision order, and never concurrently.
type Applier interface {
	// Restore replaces everything by the given entries, which are the state at
	// revision, each once and in no particular order; it may go through them
	// only once. It comes first, before any Apply.
	Restore(revision uint64, entries iter.Seq[*Entry]) error
	// Apply hands on commits that are durable, oldest first. It must not block
	// on anything that waits for the store. The slice is the store's again
	// when Apply returns; the events, values and notes in it are not.
	Apply(commits []Commit)
}

// Store is an ordered, durable history of commits.
type Store interface {
	// ClusterID tells histories of different clusters apart. It is chosen when
	// the store is created, and never changes.
	ClusterID() string
	// Start loads the state into the applier, and applies from then on. It is
	// called once, before the first Propose.
	Start(applier Applier) error
	// Propose submits a mutation; it does not block on I/O. done is called
	// exactly once, from a goroutine of the store, after the applier has the
	// commit (or the guards failed, or an error says that nothing happened,
	// but for ErrFailed, after which the outcome is unknown). done must not
	// block. The store keeps the mutation's slices; the caller must not change
	// them afterwards. Mutations proposed by one goroutine commit in that order.
	Propose(m Mutation, done func(Outcome, error))
	// Probe reads the newest durable revision, linearizably.
	Probe(ctx context.Context) (revision uint64, err error)
	// Failed is closed when the store has failed for good; Err then says why.
	Failed() <-chan struct{}
	// Err is the reason of the failure, nil before Failed is closed.
	Err() error
	// Close answers what was proposed before it, makes it durable, releases
	// everything and joins every goroutine. It is idempotent.
	Close() error
}
