package storetest

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-registry/muster/server/store"
)

// patience is how long a case waits for an answer before it gives up.
const patience = 30 * time.Second

// started is a store under test, with the applier that watches it.
type started struct {
	store.Store
	*watcher
}

func start(t *testing.T, s store.Store) *started {
	t.Helper()
	st := &started{Store: s, watcher: &watcher{}}
	if err := s.Start(st.watcher); err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for _, p := range st.found() {
			t.Error(p)
		}
	})
	return st
}

// answer is what done was told.
type answer struct {
	outcome store.Outcome
	err     error
}

// propose returns where the answer will come.
func (s *started) propose(m store.Mutation) <-chan answer {
	c := make(chan answer, 1)
	var calls atomic.Int32
	s.Propose(m, func(o store.Outcome, err error) {
		if calls.Add(1) > 1 {
			s.problem("a mutation was answered %d times", calls.Load())
			return
		}
		if o.Revision > s.applied() {
			s.problem("revision %d was confirmed before the applier had it", o.Revision)
		}
		c <- answer{o, err}
	})
	return c
}

func wait(t *testing.T, c <-chan answer) answer {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-c:
		return a
	case <-timer.C:
		t.Fatalf("no answer within %v", patience)
		return answer{}
	}
}

// do proposes and waits.
func (s *started) do(t *testing.T, m store.Mutation) answer {
	t.Helper()
	return wait(t, s.propose(m))
}

// must proposes what has to take effect, and returns its revision.
func (s *started) must(t *testing.T, m store.Mutation) uint64 {
	t.Helper()
	a := s.do(t, m)
	if a.err != nil || !a.outcome.Committed() {
		t.Fatalf("%+v did not take effect: %+v", m, a)
	}
	return a.outcome.Revision
}

// watcher is an applier that checks the order of what it is given.
type watcher struct {
	mu       sync.Mutex
	busy     atomic.Bool
	restored int
	revision uint64
	entries  map[string]store.Entry
	commits  []store.Commit
	problems []string
}

func (w *watcher) problem(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problemLocked(format, args...)
}

func (w *watcher) problemLocked(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

func (w *watcher) found() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problems
}

func (w *watcher) applied() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.revision
}

// history returns the commits so far.
func (w *watcher) history() []store.Commit {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.commits)
}

// state returns the entries as they are.
func (w *watcher) state() map[string]store.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.entries)
}

// Restore implements store.Applier.
func (w *watcher) Restore(revision uint64, entries iter.Seq[*store.Entry]) error {
	w.enter()
	defer w.busy.Store(false)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restored++
	w.revision, w.entries = revision, make(map[string]store.Entry)
	for e := range entries {
		if _, twice := w.entries[e.Key]; twice || e.Key == "" {
			w.problemLocked("restored key %q twice", e.Key)
		}
		if e.CreateRevision == 0 || e.ModRevision < e.CreateRevision || e.ModRevision > revision {
			w.problemLocked("restored %q with revisions %d, %d at %d", e.Key, e.CreateRevision, e.ModRevision, revision)
		}
		w.entries[e.Key] = *e
	}
	return nil
}

// Apply implements store.Applier.
func (w *watcher) Apply(commits []store.Commit) {
	w.enter()
	defer w.busy.Store(false)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.restored != 1 {
		w.problemLocked("applied after %d restores", w.restored)
	}
	for _, c := range commits {
		w.applyLocked(c)
	}
}

func (w *watcher) applyLocked(c store.Commit) {
	if c.Revision <= w.revision {
		w.problemLocked("revision %d was applied after %d", c.Revision, w.revision)
	}
	w.revision = c.Revision
	w.commits = append(w.commits, c)
	seen := make(map[string]bool)
	for _, e := range c.Events {
		if seen[e.Key] {
			w.problemLocked("key %q occurs twice in commit %d", e.Key, c.Revision)
		}
		seen[e.Key] = true
		old := w.entries[e.Key]
		w.eventLocked(c.Revision, &e, &old)
	}
}

func (w *watcher) eventLocked(revision uint64, e *store.Event, old *store.Entry) {
	if e.Deleted {
		if old.ModRevision == 0 || e.ModRevision != old.ModRevision || e.CreateRevision != old.CreateRevision || e.Value != nil {
			w.problemLocked("commit %d deletes %+v, which was %+v", revision, *e.Entry, *old)
		}
		delete(w.entries, e.Key)
		return
	}
	created := old.CreateRevision
	if created == 0 {
		created = revision
	}
	if e.ModRevision != revision || e.CreateRevision != created {
		w.problemLocked("commit %d writes %+v, which was %+v", revision, *e.Entry, *old)
	}
	w.entries[e.Key] = *e.Entry
}

func (w *watcher) enter() {
	if !w.busy.CompareAndSwap(false, true) {
		w.problem("the applier was called by two goroutines at once")
	}
}
