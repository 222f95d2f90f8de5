package embedded

import (
	"bytes"
	"iter"

	"github.com/tidwall/btree"

	"github.com/muster-registry/muster/server/store"
)

// state is what all commits up to revision add up to. It belongs to one
// goroutine; copies made by snapshot may be read by others meanwhile.
type state struct {
	entries  btree.Map[string, *store.Entry]
	revision uint64
	bytes    int64 // what a snapshot of it takes, about
}

// entryOverhead is what an entry adds to a snapshot beside key and value.
const entryOverhead = 16

func entryBytes(e *store.Entry) int64 {
	return int64(len(e.Key)+len(e.Value)) + entryOverhead
}

// get returns a key's entry, or a zero one.
func (s *state) get(key string) store.Entry {
	if e, ok := s.entries.Get(key); ok {
		return *e
	}
	return store.Entry{}
}

// apply takes over durable commits.
func (s *state) apply(commits []store.Commit) {
	for i := range commits {
		for j := range commits[i].Events {
			e := &commits[i].Events[j]
			if e.Deleted {
				s.remove(e.Key)
				continue
			}
			entry := e.Entry
			s.put(&entry)
		}
		s.revision = commits[i].Revision
	}
}

// replay takes over one event read back from the log. It may change entries
// in place, since nobody else has them while the store is being opened.
func (s *state) replay(c change) {
	s.revision = c.revision
	if c.deleted {
		s.remove(string(c.key))
		return
	}
	key, value := string(c.key), bytes.Clone(c.value)
	if e, ok := s.entries.Get(key); ok {
		s.bytes += int64(len(value) - len(e.Value))
		e.Value, e.ModRevision = value, c.revision
		return
	}
	s.put(&store.Entry{Key: key, Value: value, CreateRevision: c.revision, ModRevision: c.revision})
}

func (s *state) put(e *store.Entry) {
	s.bytes += entryBytes(e)
	if old, ok := s.entries.Set(e.Key, e); ok {
		s.bytes -= entryBytes(old)
	}
}

func (s *state) remove(key string) {
	if old, ok := s.entries.Delete(key); ok {
		s.bytes -= entryBytes(old)
	}
}

// all yields the entries in key order.
func (s *state) all() iter.Seq[store.Entry] {
	return func(yield func(store.Entry) bool) {
		s.entries.Scan(func(_ string, e *store.Entry) bool { return yield(*e) })
	}
}

// snapshot returns a copy that shares memory with the original: what either
// changes from now on, it copies first. It takes constant time.
func (s *state) snapshot() *state {
	return &state{entries: *s.entries.Copy(), revision: s.revision, bytes: s.bytes}
}
