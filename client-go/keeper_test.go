package muster

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestUnansweredKeepaliveBreaksTheStreamAndMovesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Server("b:1")
		dead := ""
		r.OnKeepAlive = func(*musterv1.KeepAliveRequest) (*musterv1.KeepAliveResponse, error) {
			if log := r.Log(); dead == "" || log[len(log)-1].Server == dead {
				dead = log[len(log)-1].Server
				return &musterv1.KeepAliveResponse{}, nil // left unanswered
			}
			return nil, nil
		}
		c := newTestClient(t, r, "a:1", "b:1")
		reg := mustRegister(t, c, spec("pay-1"))
		s := reach(t, reg, Unconfirmed, 11*time.Second)
		if want := "left a keepalive unanswered for 5s [DEADLINE]"; !strings.HasSuffix(s.Reason, want) || !strings.HasPrefix(s.Reason, "server ") {
			t.Errorf("reason %q", s.Reason)
		}
		reach(t, reg, Active, time.Second)
		time.Sleep(time.Minute)
		if n := len(r.Instances()); n != 1 || reg.Status().State != Active {
			t.Errorf("%d instances, state %v", n, reg.Status().State)
		}
		if n := len(fakeregistry.Calls[*musterv1.RegisterRequest](r)); n != 1 {
			t.Errorf("%d registrations; the lease lived all the time", n)
		}
	})
}

func TestServerRestartCostsNoLease(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		before := len(fakeregistry.Calls[*musterv1.KeepAliveRequest](r))
		a.Stop()
		reach(t, reg, Unconfirmed, time.Second)
		time.Sleep(150 * time.Millisecond) // the first attempt fails
		a.Start()
		began := time.Now()
		reach(t, reg, Active, time.Second)
		if n := len(fakeregistry.Calls[*musterv1.KeepAliveRequest](r)); n != before+1 {
			t.Errorf("%d keepalives in %v after the restart, want 1", n-before, time.Since(began))
		}
		log := r.Log()
		if hello, keepalive := log[len(log)-2], log[len(log)-1]; keepalive.At.Sub(hello.At) != 0 {
			t.Errorf("the new stream renews %v after the connection; it must at once", keepalive.At.Sub(hello.At))
		}
		if n := len(fakeregistry.Calls[*musterv1.RegisterRequest](r)); n != 1 {
			t.Errorf("%d registrations, want 1", n)
		}
	})
}

func TestUnconfirmedStaysThenTriesEachOtherServerOncePerTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Server("b:1")
		r.Server("c:1")
		var well atomic.Bool
		r.OnKeepAlive = func(req *musterv1.KeepAliveRequest) (*musterv1.KeepAliveResponse, error) {
			if well.Load() {
				return nil, nil
			}
			return &musterv1.KeepAliveResponse{Sequence: req.GetSequence(), Exceptions: []*musterv1.KeepAliveException{{
				Kind: &musterv1.KeepAliveException_Unconfirmed{Unconfirmed: &musterv1.LeaseUnconfirmed{
					Reason:     musterv1.UnconfirmedReason_UNCONFIRMED_REASON_VIEW_OLD,
					RetryAfter: durationpb.New(time.Second),
				}},
			}}}, nil
		}
		c := newTestClient(t, r, "a:1", "b:1", "c:1")
		reg := mustRegister(t, c, spec("pay-1"))
		s := reach(t, reg, Unconfirmed, 6*time.Second)
		if s.Reason != "the server cannot confirm the lease (VIEW_OLD); next try in 1s" {
			t.Errorf("reason %q", s.Reason)
		}
		began := time.Now()
		time.Sleep(30 * time.Second) // two TTLs
		synctest.Wait()
		var moves []string
		per := map[string]int{}
		for _, call := range r.Log() {
			if k, ok := call.Request.(*musterv1.KeepAliveRequest); ok && len(k.GetLeaseIds()) > 0 && call.At.After(began) {
				per[call.Server]++
				if len(moves) == 0 || moves[len(moves)-1] != call.Server {
					moves = append(moves, call.Server)
				}
			}
		}
		if n := len(moves); n < 3 || n > 8 {
			t.Errorf("visits %v in two TTLs; each other server at most once per TTL", moves)
		}
		for _, server := range []string{"a:1", "b:1", "c:1"} {
			if per[server] == 0 {
				t.Errorf("server %s was never tried: %v", server, per)
			}
		}
		if n := c.Stats().UnconfirmedLeases; n < 20 {
			t.Errorf("%d answers without confirmation were counted", n)
		}
		well.Store(true)
		reach(t, reg, Active, 3*time.Second)
	})
}

func TestOneUnconfirmedAnswerDoesNotMove(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Server("b:1")
		once := true
		r.OnKeepAlive = func(req *musterv1.KeepAliveRequest) (*musterv1.KeepAliveResponse, error) {
			if !once {
				return nil, nil
			}
			once = false
			return &musterv1.KeepAliveResponse{Sequence: req.GetSequence(), Exceptions: []*musterv1.KeepAliveException{{
				Kind: &musterv1.KeepAliveException_Unconfirmed{Unconfirmed: &musterv1.LeaseUnconfirmed{RetryAfter: durationpb.New(time.Second)}},
			}}}, nil
		}
		c := newTestClient(t, r, "a:1", "b:1")
		reg := mustRegister(t, c, spec("pay-1"))
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, call := range r.Log() {
			if _, ok := call.Request.(*musterv1.KeepAliveRequest); ok && call.Server != "a:1" {
				t.Fatalf("a keepalive went to %s", call.Server)
			}
		}
		if reg.Status().State != Active {
			t.Errorf("state %v", reg.Status().State)
		}
	})
}

func TestFailoverToAnotherServer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		b := r.Server("b:1")
		c := newTestClient(t, r, "a:1", "b:1")
		reg := mustRegister(t, c, spec("pay-1"))
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 1)
		a.Stop()
		time.Sleep(time.Minute)
		if reg.Status().State != Active || sub.View().Freshness() != Fresh {
			t.Errorf("state %v, view %v after a minute on the other server", reg.Status().State, sub.View().Freshness())
		}
		if n := len(fakeregistry.Calls[*musterv1.RegisterRequest](r)); n != 1 {
			t.Errorf("%d registrations, want 1", n)
		}
		a.Start()
		b.Stop()
		time.Sleep(time.Minute)
		if reg.Status().State != Active || len(r.Instances()) != 1 {
			t.Errorf("state %v after moving back", reg.Status().State)
		}
	})
}

func TestServerThatAcceptsAndNeverAnswersIsPassedBy(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Server("b:1")
		a.Mute(true)
		c := newTestClient(t, r, "a:1", "b:1")
		began := time.Now()
		mustRegister(t, c, spec("pay-1"))
		if d := time.Since(began); d < defaults.ConnectTimeout || d > defaults.ConnectTimeout+time.Second {
			t.Errorf("it took %v; the connect timeout is %v", d, defaults.ConnectTimeout)
		}
	})
}

func TestCallsShorterThanARoundGetToEachServer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		a.Mute(true)
		r.Server("b:1").Mute(true)
		r.Server("c:1")
		c := newTestClient(t, r, "a:1", "b:1", "c:1")
		for attempt, silent := range []bool{true, false} {
			_, err := c.Lookup(timeout(t, 4*time.Second), Service("shop", "pay"))
			if silent != errors.Is(err, ErrNoServer) || !silent && err != nil {
				t.Errorf("attempt %d: %v", attempt, err)
			}
		}
	})
}

func TestPausedProcessIsTold(t *testing.T) {
	l := loss{lease: lease{id: "9f3cabcd"}, ago: 41 * time.Second, paused: true}
	want := "lease 9f3c expired 41s ago while this process was not running; re-registered as 9f40 [LEASE_EXPIRED]"
	if got := l.text("9f40ffff"); got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	l.paused = false
	if got, want := l.text("9f40ffff"), "lease 9f3c was lost; re-registered as 9f40 [LEASE_UNKNOWN]"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
}

// The keeper cannot be paused in virtual time; its judgement can be fed.
func TestKeeperNoticesThatItRanLate(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		k := c.keeper
		k.mu.Lock()
		for _, kept := range k.leases {
			kept.late = 41 * time.Second
			kept.confirmed = kept.confirmed.Add(-50 * time.Second)
		}
		k.mu.Unlock()
		r.Expire()
		until(t, 10*time.Second, "registered again", func() bool { return len(r.Instances()) == 1 })
		s := reach(t, reg, Active, time.Second)
		if !strings.Contains(s.Reason, "while this process was not running; re-registered as") {
			t.Errorf("reason %q", s.Reason)
		}
	})
}

func TestCloseHalfClosesTheKeepaliveStreamAfterDeregistering(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		first, second := mustRegister(t, c, spec("pay-1")), mustRegister(t, c, spec("pay-2"))
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 2)
		began := time.Now()
		for range 2 {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("Close took %v", d)
		}
		if n := len(r.Instances()); n != 0 {
			t.Errorf("%d instances stayed", n)
		}
		for _, reg := range []*Registration{first, second} {
			if s := reg.Status(); s.State != Closed || ReasonOf(s.Err) != ReasonClosed {
				t.Errorf("status %v %v", s.State, s.Err)
			}
		}
		halfClosed := false
		for _, k := range fakeregistry.Calls[*musterv1.KeepAliveRequest](r) {
			halfClosed = halfClosed || k.GetSequence() == 0
		}
		if !halfClosed {
			t.Error("the keepalive stream was broken off, not half-closed")
		}
		assertClosed(t, c, sub)
	})
}

func assertClosed(t *testing.T, c *Client, sub *Subscription) {
	t.Helper()
	_, registerErr := c.Register(t.Context(), spec("pay-3"))
	_, subscribeErr := c.Subscribe(Service("shop", "pay"))
	_, lookupErr := c.Lookup(t.Context(), Service("shop", "pay"))
	_, waitErr := sub.Wait(t.Context(), 100)
	for name, err := range map[string]error{
		"Register": registerErr, "Subscribe": subscribeErr, "Lookup": lookupErr,
		"Wait": waitErr, "Ready": c.Ready(t.Context()), "Err": sub.Err(),
	} {
		if ReasonOf(err) != ReasonClosed {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

func TestCloseIsBoundedWithoutAnyServer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		c := newTestClient(t, r)
		mustRegister(t, c, spec("pay-1"))
		mustSubscribe(t, c, "pay")
		a.Stop()
		a.Mute(true)
		began := time.Now()
		closeClient(t, c)
		if d := time.Since(began); d > defaults.CloseTimeout {
			t.Errorf("Close took %v, allowed are %v", d, defaults.CloseTimeout)
		}
	})
}

func TestDrainReports(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		report, err := reg.Drain(timeout(t, 10*time.Second))
		if err != nil || !report.Complete || report.Confirmed != 1 {
			t.Fatalf("report %+v, error %v", report, err)
		}
		if got, want := report.String(), "drained: 1/1 watchers confirmed in 0ms"; got != want {
			t.Errorf("text %q, want %q", got, want)
		}
		drain := fakeregistry.Calls[*musterv1.DrainRequest](r)[0]
		if got := drain.GetTimeout().AsDuration(); got != 9*time.Second {
			t.Errorf("the server was given %v of 10s", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.Instances()["shop/pay/pay-1"].GetLifecycle(); got != musterv1.Lifecycle_LIFECYCLE_DRAINING {
			t.Errorf("lifecycle %v a minute later", got)
		}
		if n := len(fakeregistry.Calls[*musterv1.UpdateRequest](r)); n != 0 {
			t.Errorf("%d updates fight the drain", n)
		}
		reg.SetLifecycle(Serving)
		if err := reg.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := r.Instances()["shop/pay/pay-1"].GetLifecycle(); got != musterv1.Lifecycle_LIFECYCLE_SERVING {
			t.Errorf("lifecycle %v after SetLifecycle(Serving)", got)
		}
	})
}

func TestLeaseLostWhileDrainingIsNotRegisteredAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		if _, err := reg.Drain(timeout(t, time.Second)); err != nil {
			t.Fatal(err)
		}
		r.Expire()
		s := reach(t, reg, Deregistered, 10*time.Second)
		if !strings.Contains(s.Reason, "was lost while draining; not registered again") {
			t.Errorf("reason %q", s.Reason)
		}
		time.Sleep(time.Minute)
		if n := len(fakeregistry.Calls[*musterv1.RegisterRequest](r)); n != 1 {
			t.Errorf("%d registrations, want 1", n)
		}
		if err := reg.Deregister(t.Context()); err != nil {
			t.Errorf("Deregister afterwards: %v", err)
		}
	})
}

func TestServingAgainEndsTheDrainForGood(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		if _, err := reg.Drain(timeout(t, time.Second)); err != nil {
			t.Fatal(err)
		}
		reg.SetLifecycle(Draining) // ignored
		reg.SetLifecycle(Serving)
		if err := reg.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Expire()
		until(t, 10*time.Second, "registered again", func() bool { return len(r.Instances()) == 1 })
		if got := r.Instances()["shop/pay/pay-1"].GetLifecycle(); got != musterv1.Lifecycle_LIFECYCLE_SERVING {
			t.Errorf("registered again as %v", got)
		}
	})
}

func TestDrainCancelledIsToldAndNotFinal(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnDrain = func(*musterv1.DrainRequest) (*musterv1.DrainResponse, error) {
			return nil, fakeregistry.Fault(codes.Aborted, musterv1.ErrorReason_ERROR_REASON_DRAIN_CANCELLED, "SERVING again", nil)
		}
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		if _, err := reg.Drain(timeout(t, time.Second)); ReasonOf(err) != ReasonDrainCancelled {
			t.Fatalf("error %v", err)
		}
		r.Expire()
		until(t, 10*time.Second, "registered again", func() bool { return len(r.Instances()) == 1 })
	})
}

func TestOutageIsDialledOnceForAllRegistrations(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		c := newTestClient(t, r)
		for i := range 50 {
			mustRegister(t, c, spec("pay-"+string(rune('A'+i%26))+string(rune('a'+i/26))))
		}
		a.Stop()
		synctest.Wait()
		before := a.Dials()
		c.mu.Lock()
		for s := range c.sessions {
			s.change(func(i *musterv1.Instance) { i.Weight = new(uint32(7)) })
		}
		c.mu.Unlock()
		synctest.Wait()
		if n := a.Dials() - before; n > 5 {
			t.Errorf("50 registrations that look for a server at once dialled %d times", n)
		}
		a.Start()
		until(t, 10*time.Second, "all updated", func() bool {
			for _, i := range r.Instances() {
				if i.GetWeight() != 7 {
					return false
				}
			}
			return true
		})
	})
}
