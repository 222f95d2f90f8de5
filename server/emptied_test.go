package server_test

import (
	"context"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/servertest"
	"github.com/muster-registry/muster/server/store"
)

func emptiedOf(t *testing.T, c servertest.Clients, service string) *musterv1.Emptied {
	t.Helper()
	services := lookup(t, c, service).GetServices()
	if len(services) != 1 {
		t.Fatalf("%d states of %s, want one", len(services), service)
	}
	return services[0].GetEmptied()
}

func deregister(t *testing.T, c servertest.Clients, l *musterv1.Lease) {
	t.Helper()
	if _, err := c.Deregister(context.Background(), &musterv1.DeregisterRequest{LeaseId: l.GetLeaseId()}); err != nil {
		t.Errorf("deregister: %v", err)
	}
}

// TestEmptiedTellsOfTheLastRemoval: it is there while the service is empty,
// and not a moment longer.
func TestEmptiedTellsOfTheLastRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		a, b := mustRegister(t, c, servertest.Instance("pay", "a")), mustRegister(t, c, servertest.Instance("pay", "b"))
		deregister(t, c, a)
		synctest.Wait()
		if e := emptiedOf(t, c, "pay"); e != nil {
			t.Fatalf("emptied = %v while b is there", e)
		}
		deregister(t, c, b)
		revision := lookup(t, c, "pay").GetHeader().GetRevision()
		synctest.Wait()
		if e := emptiedOf(t, c, "pay"); e.GetReason() != musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED || e.GetInstanceId() != "b" || e.GetRevision() > revision {
			t.Fatalf("emptied = %v, want DEREGISTERED b at %d", e, revision)
		}
		mustRegister(t, c, servertest.Instance("pay", "c"))
		if e := emptiedOf(t, c, "pay"); e != nil {
			t.Errorf("emptied = %v right after a registration", e)
		}
	})
}

// TestEmptiedDoesNotOutliveARace: a registration that commits between the last
// removal and the note of it guards the very state that the note guards, and
// both commit. The state must not go on saying that the service is empty, nor
// keep the next removal from being noted.
func TestEmptiedDoesNotOutliveARace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		a := mustRegister(t, c, servertest.Instance("pay", "a"))
		s.Store().SetDelay(100 * time.Millisecond)
		var wg sync.WaitGroup
		wg.Go(func() { deregister(t, c, a) })
		time.Sleep(10 * time.Millisecond)
		wg.Go(func() {
			if _, err := c.Register(context.Background(), servertest.Register(2*time.Second, servertest.Instance("pay", "b"))); err != nil {
				t.Errorf("register: %v", err)
			}
		})
		wg.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if e := emptiedOf(t, c, "pay"); e != nil {
			t.Errorf("emptied = %v, and b is registered", e)
		}
		time.Sleep(3 * time.Second) // b expires
		synctest.Wait()
		if e := emptiedOf(t, c, "pay"); e.GetReason() != musterv1.RemovalReason_REMOVAL_REASON_EXPIRED || e.GetInstanceId() != "b" {
			t.Errorf("emptied = %v, want EXPIRED b", e)
		}
	})
}

// TestEmptiedIsWrittenWhenThereIsRoomAgain: what the store refuses is tried
// again.
func TestEmptiedIsWrittenWhenThereIsRoomAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		a := mustRegister(t, c, servertest.Instance("pay", "a"))
		s.Store().SetDelay(100 * time.Millisecond)
		done := make(chan struct{})
		go func() { defer close(done); deregister(t, c, a) }()
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		s.Store().FailNext(store.ErrFull) // the batch after the one that is under way
		<-done
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if e := emptiedOf(t, c, "pay"); e != nil {
			t.Fatalf("emptied = %v, but there was no room", e)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if e := emptiedOf(t, c, "pay"); e.GetInstanceId() != "a" {
			t.Errorf("emptied = %v, want a", e)
		}
	})
}

// TestEmptiedIsFoundAfterARestart: the server went between the removal and the
// note.
func TestEmptiedIsFoundAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		a := mustRegister(t, c, servertest.Instance("pay", "a"))
		s.Store().SetDelay(100 * time.Millisecond)
		done := make(chan struct{})
		go func() { defer close(done); deregister(t, c, a) }()
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		for range 10 {
			s.Store().FailNext(store.ErrFull)
		}
		<-done
		s.Kill()
		s.Start()
		c = s.Dial()
		synctest.Wait()
		if e := emptiedOf(t, c, "pay"); e.GetReason() != musterv1.RemovalReason_REMOVAL_REASON_UNKNOWN {
			t.Errorf("emptied = %v, want UNKNOWN", e)
		}
	})
}

// TestWrongEmptiedIsFoundAfterARestart: the server went before it took back
// what the state says of a service that has an instance.
func TestWrongEmptiedIsFoundAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		mustRegister(t, c, servertest.Instance("pay", "a"))
		at := lookup(t, c, "pay").GetServices()[0].GetModifyRevision()
		s.Kill()
		st, err := s.Disk.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Start(nobody{}); err != nil {
			t.Fatal(err)
		}
		key := record.ServiceName{Namespace: "shop", Service: "pay"}.Key()
		st.Propose(store.Mutation{
			Guards: []store.Guard{{Key: key, Revision: at}},
			Puts: []store.Put{{Key: key, Value: record.EncodeService(&musterv1.ServiceState{
				Namespace: "shop", Service: "pay", Emptied: &musterv1.Emptied{Reason: musterv1.RemovalReason_REMOVAL_REASON_EXPIRED},
			})}},
		}, func(o store.Outcome, err error) {
			if err != nil || !o.Committed() {
				t.Errorf("commit: %v, %v", o, err)
			}
		})
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		s.Start()
		c = s.Dial()
		synctest.Wait()
		if e := emptiedOf(t, c, "pay"); e != nil {
			t.Errorf("emptied = %v, and a is registered", e)
		}
	})
}

// nobody applies nothing.
type nobody struct{}

// Restore implements store.Applier.
func (nobody) Restore(uint64, iter.Seq[*store.Entry]) error { return nil }

// Apply implements store.Applier.
func (nobody) Apply([]store.Commit) {}
