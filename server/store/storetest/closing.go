package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/server/store"
)

func closeAnswersAll(t *testing.T, s *started) {
	answers := make([]<-chan answer, 100)
	for i := range answers {
		answers[i] = s.propose(put(fmt.Sprintf("/%d", i), "x", 0))
	}
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	for i, c := range answers {
		select {
		case a := <-c:
			if a.err != nil || !a.outcome.Committed() {
				t.Errorf("mutation %d, proposed before Close: %+v", i, a)
			}
		default:
			t.Errorf("mutation %d, proposed before Close, was not answered", i)
		}
	}
}

func closeIsFinal(t *testing.T, s *started) {
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	if a := s.do(t, put("/k", "v", 0)); !errors.Is(a.err, store.ErrClosed) {
		t.Errorf("proposal after Close: %+v, want ErrClosed", a)
	}
	if _, err := s.Probe(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("probe after Close: %v, want ErrClosed", err)
	}
	if err := s.Start(&watcher{}); err == nil {
		t.Error("a closed store was started")
	}
}

func closesUnstarted(t *testing.T, s store.Store) {
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func keepsState(t *testing.T, open func(t *testing.T) store.Store) {
	first := start(t, open(t))
	var revision uint64
	for i := range 50 {
		key := fmt.Sprintf("/%02d", i)
		revision = first.must(t, put(key, "one", 0))
		if i%2 == 0 {
			revision = first.must(t, put(key, "two", revision))
		}
		if i%5 == 0 {
			revision = first.must(t, remove(key, revision))
		}
	}
	want := first.state()
	if err := first.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	second := start(t, open(t))
	if d := cmp.Diff(want, second.state()); d != "" {
		t.Errorf("state after a restart (-want +got):\n%s", d)
	}
	if r := second.applied(); r < revision {
		t.Errorf("revision %d after a restart, want at least %d", r, revision)
	}
	if r := second.must(t, put("/new", "x", 0)); r <= revision {
		t.Errorf("revision %d was given after a restart at %d", r, revision)
	}
}

func keepsClusterID(t *testing.T, open func(t *testing.T) store.Store) {
	first := open(t)
	id := first.ClusterID()
	if err := first.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	second := open(t)
	defer func() {
		if err := second.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	if id == "" || second.ClusterID() != id {
		t.Errorf("cluster id %q after a restart, was %q", second.ClusterID(), id)
	}
}

func keepsWhatCloseFound(t *testing.T, open func(t *testing.T) store.Store) {
	first := start(t, open(t))
	for i := range 30 {
		first.propose(put(fmt.Sprintf("/%d", i), "x", 0))
	}
	if err := first.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if n := len(start(t, open(t)).state()); n != 30 {
		t.Errorf("%d entries after a restart, 30 were proposed before Close", n)
	}
}
