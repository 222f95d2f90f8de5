package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/server/store"
)

func eventsOfACommit(t *testing.T, s *started) {
	first := s.must(t, store.Mutation{
		Guards: []store.Guard{{Key: "/gone"}, {Key: "/kept"}},
		Puts:   []store.Put{{Key: "/gone", Value: []byte("g")}, {Key: "/kept", Value: []byte("1")}},
	})
	second := s.must(t, store.Mutation{
		Guards:  []store.Guard{{Key: "/gone", Revision: first}, {Key: "/kept", Revision: first}},
		Puts:    []store.Put{{Key: "/kept", Value: []byte("2")}},
		Deletes: []string{"/gone"},
	})
	h := s.history()
	want := []store.Event{
		{Entry: &store.Entry{Key: "/kept", Value: []byte("2"), CreateRevision: first, ModRevision: second}},
		{Entry: &store.Entry{Key: "/gone", CreateRevision: first, ModRevision: first}, Deleted: true},
	}
	if d := cmp.Diff(want, h[len(h)-1].Events); d != "" {
		t.Errorf("events of the second commit (-want +got):\n%s", d)
	}
}

func notesTravel(t *testing.T, s *started) {
	m := put("/k", "v", 0)
	m.Note = []byte("why")
	r := s.must(t, m)
	s.must(t, put("/k", "w", r))
	h := s.history()
	if d := cmp.Diff([][]byte{[]byte("why")}, h[len(h)-2].Notes); d != "" {
		t.Errorf("notes (-want +got):\n%s", d)
	}
	if n := len(h[len(h)-1].Notes); n != 0 {
		t.Errorf("%d notes of a mutation without one", n)
	}
}

// keepsOrder: mutations of one goroutine commit in the order proposed, though
// nobody waits in between. Each demands that the next has not committed yet.
func keepsOrder(t *testing.T, s *started) {
	const n = 200
	answers := make([]<-chan answer, n)
	for i := range n {
		m := put(fmt.Sprintf("/step/%d", i), "x", 0)
		m.Guards = append(m.Guards, store.Guard{Key: fmt.Sprintf("/step/%d", i+1)})
		answers[i] = s.propose(m)
	}
	var last uint64
	for i, c := range answers {
		a := wait(t, c)
		if a.err != nil || a.outcome.Revision < last {
			t.Fatalf("mutation %d: %+v after revision %d", i, a, last)
		}
		if !a.outcome.Committed() {
			t.Fatalf("mutation %d found the key of the next: %+v", i, a.outcome.Failed)
		}
		last = a.outcome.Revision
	}
}

// decided is a mutation and what became of it.
type decided struct {
	store.Mutation
	store.Outcome
}

// conflictFree lets several goroutines write few keys, and then checks every
// commit: each mutation in it must hold against the state before it, and none
// may guard or write what another one wrote.
func conflictFree(t *testing.T, s *started) {
	const workers, each = 8, 150
	before := s.state()
	all := make([][]decided, workers)
	var joined sync.WaitGroup
	for w := range workers {
		joined.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 3))
			for range each {
				m := randomMutation(rng, s.state())
				a := wait(t, s.propose(m))
				if a.err != nil {
					s.problem("random mutation: %v", a.err)
					return
				}
				all[w] = append(all[w], decided{m, a.outcome})
			}
		})
	}
	joined.Wait()
	if t.Failed() {
		return
	}
	checkHistory(t, before, s.history(), all)
}

func randomMutation(rng *rand.Rand, state map[string]store.Entry) store.Mutation {
	var m store.Mutation
	for i, k := range rng.Perm(12)[:1+rng.IntN(3)] {
		key := fmt.Sprintf("/few/%02d", k)
		e := state[key]
		m.Guards = append(m.Guards, store.Guard{Key: key, Revision: e.ModRevision})
		switch {
		case i > 0 && rng.IntN(2) == 0:
		case e.ModRevision != 0 && rng.IntN(3) == 0:
			m.Deletes = append(m.Deletes, key)
		default:
			m.Puts = append(m.Puts, store.Put{Key: key, Value: []byte{byte(rng.Uint32())}})
		}
	}
	return m
}

func checkHistory(t *testing.T, state map[string]store.Entry, history []store.Commit, all [][]decided) {
	t.Helper()
	of := make(map[uint64][]decided)
	committed := 0
	for _, ds := range all {
		for _, d := range ds {
			if d.Committed() {
				of[d.Revision] = append(of[d.Revision], d)
				committed++
			}
		}
	}
	for _, c := range history {
		checkCommit(t, state, &c, of[c.Revision])
		delete(of, c.Revision)
		for _, e := range c.Events {
			if e.Deleted {
				delete(state, e.Key)
			} else {
				state[e.Key] = *e.Entry
			}
		}
	}
	if len(of) > 0 || committed == 0 {
		t.Errorf("%d mutations committed; %d revisions confirmed that were never applied", committed, len(of))
	}
}

func checkCommit(t *testing.T, state map[string]store.Entry, c *store.Commit, mutations []decided) {
	t.Helper()
	writer := make(map[string]int)
	for i, m := range mutations {
		for _, p := range m.Puts {
			writer[p.Key] = i
		}
		for _, k := range m.Deletes {
			writer[k] = i
		}
	}
	if len(writer) != len(c.Events) {
		t.Errorf("commit %d has %d events, its mutations write %d keys", c.Revision, len(c.Events), len(writer))
	}
	for i, m := range mutations {
		for _, g := range m.Guards {
			if by, written := writer[g.Key]; written && by != i {
				t.Errorf("commit %d: one mutation guards %q, which another writes", c.Revision, g.Key)
			}
			if state[g.Key].ModRevision != g.Revision {
				t.Errorf("commit %d: guard %+v did not hold, the key was %+v", c.Revision, g, state[g.Key])
			}
		}
	}
}

func probeSees(t *testing.T, s *started) {
	for i := range 20 {
		r := s.must(t, put(fmt.Sprintf("/%d", i), "x", 0))
		probed, err := s.Probe(t.Context())
		if err != nil || probed < r {
			t.Fatalf("probe: revision %d, %v; %d was confirmed", probed, err, r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Probe(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("probe with a cancelled context: %v", err)
	}
}

func restoresFirst(t *testing.T, s store.Store) {
	st := start(t, s)
	if st.restored != 1 {
		t.Errorf("the applier was restored %d times by Start, want once", st.restored)
	}
	select {
	case <-s.Failed():
		t.Error("the store says that it has failed")
	default:
	}
	if err := s.Err(); err != nil {
		t.Errorf("Err is %v", err)
	}
}

type refuser struct{ watcher }

var errRefused = errors.New("refused by the applier")

// Restore implements store.Applier.
func (*refuser) Restore(uint64, iter.Seq[*store.Entry]) error { return errRefused }

func refusedRestore(t *testing.T, s store.Store) {
	if err := s.Start(&refuser{}); !errors.Is(err, errRefused) {
		t.Errorf("start: %v, want the applier's error", err)
	}
	_ = s.Close() // may or may not tell of it again, but must end
}
