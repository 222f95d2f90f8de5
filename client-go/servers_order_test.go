package muster

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// watchServer is the server that the last Watch went to.
func watchServer(r *fakeregistry.Registry) string {
	server := ""
	for _, call := range r.Log() {
		if _, ok := call.Request.(*musterv1.WatchRequest); ok {
			server = call.Server
		}
	}
	return server
}

func TestServersOfTheOwnZoneAreTriedFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		b := r.Server("b:1")
		c, err := New([]string{"a:1@z2", "b:1@z1"}, WithDial(r.Dial), WithLocality("r1", "z1"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeClient(t, c) })
		reg := mustRegister(t, c, spec("pay-1"))
		mustWait(t, mustSubscribe(t, c, "pay"), 1)
		if got := c.Status().Server; got != "b:1" || watchServer(r) != "b:1" {
			t.Errorf("server %s, stream at %s; b:1 is in the own zone", got, watchServer(r))
		}
		b.Stop()
		time.Sleep(time.Minute)
		if got := c.Status().Server; got != "a:1" || watchServer(r) != "a:1" || reg.Status().State != Active {
			t.Errorf("server %s, stream at %s without b:1", got, watchServer(r))
		}
		b.Start()
		time.Sleep(73 * time.Minute) // the life of a stream
		if got := c.Status().Server; got != "b:1" || watchServer(r) != "b:1" {
			t.Errorf("server %s, stream at %s; it must come back to its zone", got, watchServer(r))
		}
		time.Sleep(73 * time.Minute)
		if watchServer(r) != "b:1" {
			t.Errorf("stream at %s; it is alone in its zone", watchServer(r))
		}
	})
}

func TestClientsSpreadOverServers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		seen := map[string]int{}
		for range 60 {
			c, err := New([]string{"a:1", "b:1", "c:1"}, WithDial(r.Dial))
			if err != nil {
				t.Fatal(err)
			}
			seen[c.Status().Server]++
			closeClient(t, c)
		}
		if len(seen) != 3 {
			t.Errorf("60 clients begin at %v", seen)
		}
	})
}

func TestLocalityOfTheClientIsThatOfItsInstances(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c, err := New([]string{"a:1"}, WithDial(r.Dial), WithLocality("r1", "z1"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeClient(t, c) })
		other := spec("pay-2")
		other.Locality = Locality{"r2", "z2"}
		mustRegister(t, c, spec("pay-1"), other)
		for id, want := range map[string]string{"shop/pay/pay-1": "r1/z1", "shop/pay/pay-2": "r2/z2"} {
			l := r.Instances()[id].GetLocality()
			if got := l.GetRegion() + "/" + l.GetZone(); got != want {
				t.Errorf("%s is in %s, want %s", id, got, want)
			}
		}
	})
}

func TestFirstReconnectIsSoon(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		c := newTestClient(t, r)
		c.config.words = func() uint64 { return 1<<64 - 1 }
		mustWait(t, mustSubscribe(t, c, "pay"), 0)
		a.Stop()
		a.Start()
		began := time.Now()
		until(t, time.Second, "a new stream", func() bool { return r.Streams() == 1 })
		if d := time.Since(began); d > 101*time.Millisecond {
			t.Errorf("the first reconnect took %v, at most 100ms", d)
		}
	})
}

func TestUnconfirmedWithAServerDownIsNotATightLoop(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		down := r.Server("b:1")
		down.Stop()
		r.OnKeepAlive = func(req *musterv1.KeepAliveRequest) (*musterv1.KeepAliveResponse, error) {
			return &musterv1.KeepAliveResponse{Sequence: req.GetSequence(), Exceptions: []*musterv1.KeepAliveException{{
				Kind: &musterv1.KeepAliveException_Unconfirmed{Unconfirmed: &musterv1.LeaseUnconfirmed{RetryAfter: durationpb.New(time.Second)}},
			}}}, nil
		}
		c := newTestClient(t, r, "a:1", "b:1")
		mustRegister(t, c, spec("pay-1"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := down.Dials(); n == 0 || n > 5 {
			t.Errorf("the server that is down was dialled %d times in four TTLs, at most once in each", n)
		}
		if n := c.Stats().KeepaliveStreams; n > 6 {
			t.Errorf("%d keepalive streams in four TTLs", n)
		}
	})
}

func TestBatchesKeepToTheServersLimit(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnInfo = func(string) (*musterv1.GetServerInfoResponse, error) {
			return &musterv1.GetServerInfoResponse{
				ClusterId: "c1", OldestProtocol: 1, NewestProtocol: 1, Limits: &musterv1.Limits{LeasesPerKeepalive: 2},
			}, nil
		}
		c := newTestClient(t, r)
		c.config.words = func() uint64 { return 0 } // no jitter: all due together
		for i := range 5 {
			mustRegister(t, c, spec("pay-"+string(rune('a'+i))))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		var sizes []string
		for _, k := range fakeregistry.Calls[*musterv1.KeepAliveRequest](r) {
			sizes = append(sizes, string(rune('0'+len(k.GetLeaseIds()))))
		}
		if got := strings.Join(sizes, " "); got != "2 2 1" {
			t.Errorf("leases per message %s", got)
		}
	})
}
