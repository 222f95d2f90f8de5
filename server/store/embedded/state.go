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
	bytes    int64                   // what a snapshot of it takes, about
	index    map[string]*store.Entry // the entries once more, while a long log is replayed; or nil
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
		delete(s.index, string(c.key))
		s.remove(string(c.key))
		return
	}
	value := bytes.Clone(c.value)
	if e := s.find(c.key); e != nil {
		s.bytes += int64(len(value) - len(e.Value))
		e.Value, e.ModRevision = value, c.revision
		return
	}
	e := &store.Entry{Key: string(c.key), Value: value, CreateRevision: c.revision, ModRevision: c.revision}
	s.put(e)
	if s.index != nil {
		s.index[e.Key] = e
	}
}

func (s *state) find(key []byte) *store.Entry {
	if s.index != nil {
		return s.index[string(key)]
	}
	e, _ := s.entries.Get(string(key))
	return e
}

// buildIndex makes replay faster: in a tree of a million entries, twenty
// comparisons lead to one of them, each with a key that is in no cache.
func (s *state) buildIndex() {
	s.index = make(map[string]*store.Entry, s.entries.Len())
	s.entries.Scan(func(key string, e *store.Entry) bool {
		s.index[key] = e
		return true
	})
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
