package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/server/store"
)

// recorder is an applier that builds the state up, and remembers what it saw.
type recorder struct {
	mu       sync.Mutex
	revision uint64
	entries  map[string]store.Entry
	commits  int
	problems []string
}

func (r *recorder) Restore(revision uint64, entries iter.Seq[*store.Entry]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revision, r.entries = revision, make(map[string]store.Entry)
	for e := range entries {
		if _, twice := r.entries[e.Key]; twice {
			r.problems = append(r.problems, fmt.Sprintf("restored %q twice", e.Key))
		}
		r.entries[e.Key] = *e
	}
	return nil
}

func (r *recorder) Apply(commits []store.Commit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range commits {
		r.commits++
		if c.Revision != r.revision+1 {
			r.problems = append(r.problems, fmt.Sprintf("revision %d applied after %d", c.Revision, r.revision))
		}
		r.revision = c.Revision
		for _, e := range c.Events {
			if e.Deleted {
				delete(r.entries, e.Key)
			} else {
				r.entries[e.Key] = *e.Entry
			}
		}
	}
}

func (r *recorder) snapshot() (uint64, map[string]store.Entry, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.revision, maps.Clone(r.entries), slices.Clone(r.problems)
}

// unknown is the revision of an entry whose commit nobody confirmed.
const unknown = ^uint64(0)

// model is what the history must have come to, computed in the plainest way.
type model struct {
	revision uint64
	entries  map[string]store.Entry
	open     []*sent // proposed, and never answered: all or nothing of each, in order
}

// sent is a proposal and its answer.
type sent struct {
	mutation store.Mutation
	answers  int
	outcome  store.Outcome
	err      error
}

// definite tells whether the answer says what became of the mutation.
func (s *sent) definite() bool {
	return s.answers > 0 && !errors.Is(s.err, store.ErrFailed)
}

func holdsIn(entries map[string]store.Entry, guards []store.Guard) bool {
	for _, g := range guards {
		e := entries[g.Key]
		is := e.ModRevision
		if g.Aspect == store.Create {
			is = e.CreateRevision
		}
		if is != g.Revision {
			return false
		}
	}
	return true
}

func applyTo(entries map[string]store.Entry, m *store.Mutation, revision uint64) {
	for _, p := range m.Puts {
		e := entries[p.Key]
		if e.CreateRevision == 0 {
			e.CreateRevision = revision
		}
		e.Key, e.Value, e.ModRevision = p.Key, p.Value, revision
		entries[p.Key] = e
	}
	for _, k := range m.Deletes {
		delete(entries, k)
	}
}

// answered checks and takes over the answers of one life, in the order in
// which the mutations were proposed.
func (m *model) answered(t *testing.T, all []*sent) {
	t.Helper()
	for i, s := range all {
		if s.answers != 1 {
			t.Fatalf("mutation %d was answered %d times", i, s.answers)
		}
		if !s.definite() {
			m.open = append(m.open, s)
			continue
		}
		if len(m.open) > 0 {
			t.Fatalf("mutation %d was answered after the store had failed: %+v %v", i, s.outcome, s.err)
		}
		m.decide(t, i, s)
	}
}

func (m *model) decide(t *testing.T, i int, s *sent) {
	t.Helper()
	holds := holdsIn(m.entries, s.mutation.Guards)
	switch {
	case s.outcome.Failed != nil:
		want := make([]store.Entry, len(s.mutation.Guards))
		for j, g := range s.mutation.Guards {
			want[j] = m.entries[g.Key]
			want[j].Key = g.Key
		}
		if !slices.EqualFunc(want, s.outcome.Failed, sameEntry) || holds {
			t.Fatalf("mutation %d failed its guards (which hold: %v) with other entries than there are:\n%s", i, holds, cmp.Diff(want, s.outcome.Failed))
		}
	case s.err != nil:
		if !errors.Is(s.err, store.ErrFull) || !holds {
			t.Fatalf("mutation %d: %v (guards hold: %v)", i, s.err, holds)
		}
	default:
		if !holds || s.outcome.Revision < m.revision || s.outcome.Revision > m.revision+1 {
			t.Fatalf("mutation %d took effect at revision %d after %d (guards hold: %v)", i, s.outcome.Revision, m.revision, holds)
		}
		m.revision = s.outcome.Revision
		applyTo(m.entries, &s.mutation, s.outcome.Revision)
	}
}

// recovered checks what a new life begins with: all that was confirmed, and of
// the rest a prefix, each mutation whole. It becomes the truth.
func (m *model) recovered(t *testing.T, revision uint64, entries map[string]store.Entry) {
	t.Helper()
	if revision < m.revision {
		t.Fatalf("revision %d was confirmed, the store is at %d", m.revision, revision)
	}
	want := maps.Clone(m.entries)
	for p := 0; ; p++ {
		got := m.masked(want, revision, entries)
		if maps.EqualFunc(want, got, sameEntry) {
			break
		}
		if p == len(m.open) {
			t.Fatalf("no prefix of %d unconfirmed mutations explains what was recovered; with all of them:\n%s", len(m.open), cmp.Diff(want, got))
		}
		if s := m.open[p]; holdsIn(want, s.mutation.Guards) {
			applyTo(want, &s.mutation, unknown)
		}
	}
	m.revision, m.entries, m.open = revision, maps.Clone(entries), nil
}

func sameEntry(a, b store.Entry) bool {
	return a.Key == b.Key && a.CreateRevision == b.CreateRevision && a.ModRevision == b.ModRevision && bytes.Equal(a.Value, b.Value)
}

// masked replaces revisions of got that are as good as unknown by that.
func (m *model) masked(want map[string]store.Entry, revision uint64, got map[string]store.Entry) map[string]store.Entry {
	known := maps.Clone(got)
	for k, e := range got {
		if want[k].ModRevision == unknown && e.ModRevision > m.revision && e.ModRevision <= revision {
			e.ModRevision = unknown
		}
		if want[k].CreateRevision == unknown && e.CreateRevision > m.revision && e.CreateRevision <= revision {
			e.CreateRevision = unknown
		}
		known[k] = e
	}
	return known
}
