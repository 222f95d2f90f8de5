package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
	"github.com/muster-registry/muster/server/store"
)

// kept registers an instance and renews its lease on a stream of its own.
func kept(t *testing.T, c servertest.Clients, id string) (*musterv1.Lease, *keeping) {
	t.Helper()
	l := mustRegister(t, c, servertest.Instance("pay", id))
	k := openKeepAlive(t, c)
	k.renew([]string{l.GetLeaseId()})
	return l, k
}

func unhealthyOf(t *testing.T, c servertest.Clients) (n int) {
	t.Helper()
	for _, in := range lookup(t, c, "pay").GetInstances() {
		if in.GetHealth() == musterv1.Health_HEALTH_UNHEALTHY {
			n++
		}
	}
	return n
}

// TestMassBreakMakesNobodySuspect: ten streams and a third of all that break at
// once are the network's doing, fewer are not.
func TestMassBreakMakesNobodySuspect(t *testing.T) {
	for _, x := range []struct{ streams, breaks, suspect int }{
		{30, 10, 0}, {30, 9, 9}, {100, 20, 20}, {100, 30, 0}, {9, 9, 9},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := servertest.New(t).Dial()
			var streams []*keeping
			for i := range x.streams {
				_, k := kept(t, c, string(rune('a'+i/26))+string(rune('a'+i%26)))
				streams = append(streams, k)
			}
			for _, k := range streams[:x.breaks] {
				k.cancel()
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if n := unhealthyOf(t, c); n != x.suspect {
				t.Errorf("%d of %d streams broke: %d unhealthy, want %d", x.breaks, x.streams, n, x.suspect)
			}
		})
	}
}

// TestHalfCloseMakesNobodySuspect: it is an intentional move (6.7).
func TestHalfCloseMakesNobodySuspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		_, k := kept(t, c, "a")
		if err := k.stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := k.stream.Recv(); err == nil {
			t.Fatal("an answer after half-closing")
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := unhealthyOf(t, c); n != 0 {
			t.Error("half-closing made the instance unhealthy")
		}
	})
}

// TestLeaseThatMovedIsNotSuspect: what breaks after a lease moved to another
// stream says nothing of it, also if it moved there and back.
func TestLeaseThatMovedIsNotSuspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		l, first := kept(t, c, "a")
		second := openKeepAlive(t, c)
		second.renew([]string{l.GetLeaseId()})
		first.renew([]string{l.GetLeaseId()})
		second.cancel()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := unhealthyOf(t, c); n != 0 {
			t.Error("the lease is renewed on the first stream, and unhealthy for the second one's sake")
		}
		first.cancel()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := unhealthyOf(t, c); n != 1 {
			t.Error("nobody renews the lease, and it is healthy")
		}
	})
}

// TestVerdictIsWrittenWhenThereIsRoomAgain: a full disk delays it.
func TestVerdictIsWrittenWhenThereIsRoomAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		_, k := kept(t, c, "a")
		s.Store().FailNext(store.ErrFull)
		k.cancel()
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		if n := unhealthyOf(t, c); n != 0 {
			t.Fatal("written, but there was no room")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := unhealthyOf(t, c); n != 1 {
			t.Error("the verdict was lost")
		}
	})
}

// TestVerdictOutlivesARestart, and is taken back when the holder turns up.
func TestVerdictOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		l, k := kept(t, c, "a")
		k.cancel()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		s.Stop()
		s.Start()
		c = s.Dial()
		time.Sleep(time.Second)
		if n := unhealthyOf(t, c); n != 1 {
			t.Fatal("the verdict did not outlive the restart")
		}
		openKeepAlive(t, c).renew([]string{l.GetLeaseId()})
		synctest.Wait()
		if n := unhealthyOf(t, c); n != 0 {
			t.Error("still unhealthy though it is renewed")
		}
	})
}
