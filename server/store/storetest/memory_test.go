package storetest_test

import (
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/storetest"
)

type ignore struct{}

func (ignore) Restore(uint64, iter.Seq[*store.Entry]) error { return nil }
func (ignore) Apply([]store.Commit)                         {}

func create(key string) store.Mutation {
	return store.Mutation{
		Guards: []store.Guard{{Key: key}},
		Puts:   []store.Put{{Key: key, Value: []byte("v")}},
	}
}

type answer struct {
	outcome store.Outcome
	err     error
}

func propose(s store.Store, m store.Mutation) <-chan answer {
	c := make(chan answer, 1)
	s.Propose(m, func(o store.Outcome, err error) { c <- answer{o, err} })
	return c
}

func TestMemoryInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory()
		if err := m.Start(ignore{}); err != nil {
			t.Fatal(err)
		}
		m.SetDelay(time.Second)
		began := time.Now()
		first := propose(m, create("a"))
		synctest.Wait()
		second := propose(m, create("b"))
		<-first
		<-second
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("two batches took %v, want 2s", d)
		}
		m.SetDelay(0)
		m.Hold()
		held := []<-chan answer{propose(m, create("c")), propose(m, create("d"))}
		synctest.Wait()
		if n := m.Waiting(); n != 2 {
			t.Errorf("%d proposals wait while held, want 2", n)
		}
		m.Release()
		if a, b := <-held[0], <-held[1]; a.outcome.Revision != 3 || b.outcome.Revision != 3 {
			t.Errorf("held proposals got revisions %d and %d, want 3 and 3", a.outcome.Revision, b.outcome.Revision)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMemoryFailNextHasNoEffect(t *testing.T) {
	m := storetest.NewMemory()
	if err := m.Start(ignore{}); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.FailNext(store.ErrFull)
	if a := <-propose(m, create("a")); !errors.Is(a.err, store.ErrFull) {
		t.Fatalf("got %v, want ErrFull", a.err)
	}
	if a := <-propose(m, create("a")); a.err != nil || a.outcome.Revision != 1 {
		t.Fatalf("after the failure: %+v, want revision 1", a)
	}
}

func TestMemoryFailKeepsOrLosesWhatWaits(t *testing.T) {
	for _, kept := range []bool{false, true} {
		m := storetest.NewMemory()
		if err := m.Start(ignore{}); err != nil {
			t.Fatal(err)
		}
		m.Hold()
		c := propose(m, create("a"))
		m.Fail(errors.New("fsync: input/output error"), kept)
		<-m.Failed()
		if a := <-c; !errors.Is(a.err, store.ErrFailed) {
			t.Errorf("waiting proposal got %v, want ErrFailed", a.err)
		}
		if a := <-propose(m, create("b")); !errors.Is(a.err, store.ErrFailed) {
			t.Errorf("later proposal got %v, want ErrFailed", a.err)
		}
		if _, err := m.Probe(t.Context()); !errors.Is(err, store.ErrFailed) {
			t.Errorf("probe got %v, want ErrFailed", err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		want := 0
		if kept {
			want = 1
		}
		if n := len(m.Disk().Entries()); n != want {
			t.Errorf("kept=%v: disk has %d entries, want %d", kept, n, want)
		}
	}
}

func TestMemoryDiskIsLockedAndOutlivesTheStore(t *testing.T) {
	d := storetest.NewDisk()
	m, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(); err == nil {
		t.Fatal("a second store opened the disk")
	}
	if err := m.Start(ignore{}); err != nil {
		t.Fatal(err)
	}
	<-propose(m, create("a"))
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.ClusterID() != m.ClusterID() || d.Revision() != 1 {
		t.Errorf("after reopening: cluster %s revision %d", again.ClusterID(), d.Revision())
	}
}
