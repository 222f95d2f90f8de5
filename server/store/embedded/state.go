package embedded

import (
	"bytes"
	"iter"
	"runtime"
	"sync"

	"github.com/muster-registry/muster/server/internal/entrymap"
	"github.com/muster-registry/muster/server/store"
)

// state is what all commits up to revision add up to. It belongs to one
// goroutine; copies made by snapshot may be read by others meanwhile.
type state struct {
	entries  entrymap.Map
	revision uint64
	bytes    int64 // what a snapshot of it takes, about
	// loaded are the entries as they were read, while the store is being
	// opened; those that the log deleted have no revision any more. What reads
	// them in this order finds neighbours together, in memory too.
	loaded [][]*store.Entry
}

// entryOverhead is what an entry adds to a snapshot beside key and value.
const entryOverhead = 16

func entryBytes(e *store.Entry) int64 {
	return int64(len(e.Key)+len(e.Value)) + entryOverhead
}

// get returns a key's entry, or a zero one.
func (s *state) get(key string) store.Entry {
	if e := s.entries.Get(key); e != nil {
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
			s.put(e.Entry)
		}
		s.revision = commits[i].Revision
	}
}

func (s *state) put(e *store.Entry) {
	s.bytes += entryBytes(e)
	if old := s.entries.Set(e); old != nil {
		s.bytes -= entryBytes(old)
	}
}

func (s *state) remove(key string) {
	if old := s.entries.Delete(key); old != nil {
		s.bytes -= entryBytes(old)
	}
}

// all yields the entries, each once. The first call lets go of the order in
// which they were read.
func (s *state) all() iter.Seq[*store.Entry] {
	loaded := s.loaded
	s.loaded = nil
	if loaded == nil {
		return s.entries.All
	}
	return func(yield func(*store.Entry) bool) {
		for _, entries := range loaded {
			for _, e := range entries {
				if e.ModRevision != 0 && !yield(e) {
					return
				}
			}
		}
	}
}

// snapshot returns a copy that shares memory with the original: what either
// changes from now on, it copies first. It takes constant time.
func (s *state) snapshot() *state {
	return &state{entries: *s.entries.Copy(), revision: s.revision, bytes: s.bytes}
}

// part is a part of a state, for one of several goroutines to change while the
// store is being opened. Only then may entries be changed in place, since
// nobody else has them.
type part struct {
	number, of int
	entries    *entrymap.Map
	bytes      int64
	added      []*store.Entry
}

// parallel runs do for each part of the state, all at once, and puts the state
// together again. It says how many entries there may be in the end.
func (s *state) parallel(expected int, do func(*part)) {
	n := runtime.GOMAXPROCS(0)
	maps := s.entries.Split(n, expected)
	parts := make([]part, n)
	var joined sync.WaitGroup
	for i := range parts {
		parts[i] = part{number: i, of: n, entries: maps[i]}
		joined.Go(func() { do(&parts[i]) })
	}
	joined.Wait()
	s.entries.Join(maps)
	for i := range parts {
		s.bytes += parts[i].bytes
		if len(parts[i].added) > 0 {
			s.loaded = append(s.loaded, parts[i].added)
		}
	}
}

func (p *part) has(hash uint64) bool { return entrymap.Part(hash, p.of) == p.number }

// replay takes over one event read back from the log.
func (p *part) replay(c change) {
	hash := entrymap.HashBytes(c.key)
	if !p.has(hash) {
		return
	}
	e := p.entries.GetHashed(hash, c.key)
	switch {
	case c.deleted && e != nil:
		p.bytes -= entryBytes(e)
		p.entries.Delete(e.Key)
		*e = store.Entry{} // it stays in loaded
	case c.deleted:
	case e != nil:
		p.bytes += int64(len(c.value) - len(e.Value))
		e.Value, e.ModRevision = bytes.Clone(c.value), c.revision
	default:
		e = &store.Entry{Key: string(c.key), Value: bytes.Clone(c.value), CreateRevision: c.revision, ModRevision: c.revision}
		p.bytes += entryBytes(e)
		p.entries.SetHashed(hash, e)
		p.added = append(p.added, e)
	}
}
