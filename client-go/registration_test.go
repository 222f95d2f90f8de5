package muster

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestRegisterAndKeepAlive(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"), spec("pay-2"))
		if s := reg.Status(); s.State != Active || len(s.LeaseID) != 4 || s.Incarnation == 0 {
			t.Fatalf("status %+v", s)
		}
		time.Sleep(10 * time.Minute) // virtual; 40 TTLs
		if n := len(r.Instances()); n != 2 {
			t.Fatalf("%d instances are registered after 40 TTLs, want 2", n)
		}
		keepalives := fakeregistry.Calls[*musterv1.KeepAliveRequest](r)
		if n := len(keepalives); n < 120 || n > 151 {
			t.Errorf("%d keepalives in 600 s; TTL/3 less up to a fifth makes 120 to 150", n)
		}
		for i, k := range keepalives {
			if k.GetSequence() != uint64(i+1) || len(k.GetLeaseIds()) != 1 {
				t.Fatalf("keepalive %d: %v", i, k)
			}
		}
		if n := c.Stats().KeepaliveStreams; n != 1 {
			t.Errorf("%d keepalive streams, want 1", n)
		}
	})
}

func TestOneStreamCarriesAllLeasesInBatches(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		c.config.words = func() uint64 { return 0 } // no jitter: all due together
		for i := range 300 {
			mustRegister(t, c, spec("pay-"+string(rune('a'+i/26))+string(rune('a'+i%26))))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		var sizes []int
		for _, k := range fakeregistry.Calls[*musterv1.KeepAliveRequest](r) {
			sizes = append(sizes, len(k.GetLeaseIds()))
		}
		if diff := cmp.Diff([]int{256, 44}, sizes); diff != "" {
			t.Errorf("leases per message (-want +got):\n%s", diff)
		}
	})
}

func TestErrorsThatAreNotRetryableReturnAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnRegister = func(*musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
			return nil, fakeregistry.Fault(codes.InvalidArgument, musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "version \"x\" is no semantic version", nil)
		}
		c := newTestClient(t, r)
		_, err := c.Register(t.Context(), spec("pay-1"))
		if ReasonOf(err) != ReasonInvalidArgument {
			t.Fatalf("error %v", err)
		}
		if n := len(fakeregistry.Calls[*musterv1.RegisterRequest](r)); n != 1 {
			t.Errorf("%d tries, want 1", n)
		}
		until(t, time.Second, "the registration is forgotten", func() bool { return c.Status().Registrations == 0 })
	})
}

func TestRetryableErrorsAreRetriedWithOneRequestID(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		failures := 3
		r.OnRegister = func(*musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
			if failures--; failures >= 0 {
				return nil, fakeregistry.Fault(codes.Unavailable, musterv1.ErrorReason_ERROR_REASON_STORE_FAILED, "disk", nil)
			}
			return nil, nil
		}
		c := newTestClient(t, r)
		mustRegister(t, c, spec("pay-1"))
		requests := fakeregistry.Calls[*musterv1.RegisterRequest](r)
		if len(requests) != 4 {
			t.Fatalf("%d tries, want 4", len(requests))
		}
		for _, req := range requests {
			if req.GetRequestId() != requests[0].GetRequestId() || len(req.GetRequestId()) < 16 {
				t.Errorf("request ids %q and %q", requests[0].GetRequestId(), req.GetRequestId())
			}
		}
	})
}

func TestContextBoundsTheCallNotTheRegistration(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		reg, err := c.Register(ctx, spec("pay-1"))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(time.Hour)
		if s := reg.Status(); s.State != Active {
			t.Errorf("state %v an hour after ctx ended: %v", s.State, s.Err)
		}
	})
}

func TestContextThatEndsFirstWithdrawsWhatWasGranted(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnRegister = func(req *musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
			resp, err := r.Grant(req)
			time.Sleep(2 * time.Second) // granted, and answered too late
			return resp, err
		}
		c := newTestClient(t, r)
		_, err := c.Register(timeout(t, time.Second), spec("pay-1"))
		if ReasonOf(err) != ReasonDeadline || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		if !strings.Contains(err.Error(), "nothing stays registered") {
			t.Errorf("the text does not tell what stays: %v", err)
		}
		if n := len(r.Instances()); n != 1 {
			t.Fatalf("the fake granted %d, want 1", n)
		}
		until(t, 3*time.Second, "withdrawn", func() bool { return len(r.Instances()) == 0 })
		if n := len(fakeregistry.Calls[*musterv1.DeregisterRequest](r)); n != 1 {
			t.Errorf("%d Deregister calls, want 1", n)
		}
	})
}

func TestGrantWhoseAnswerWasLostIsFoundAndWithdrawn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		first := true
		r.OnRegister = func(req *musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
			resp, err := r.Grant(req)
			if first {
				first = false
				time.Sleep(900 * time.Millisecond)
				return nil, status.Error(codes.Unavailable, "the connection broke")
			}
			return resp, err
		}
		c := newTestClient(t, r)
		if _, err := c.Register(timeout(t, 901*time.Millisecond), spec("pay-1")); err == nil {
			t.Fatal("no error")
		}
		until(t, 5*time.Second, "withdrawn", func() bool { return len(r.Instances()) == 0 })
		if n := len(fakeregistry.Calls[*musterv1.DeregisterRequest](r)); n != 1 {
			t.Errorf("%d Deregister calls, want 1", n)
		}
	})
}

func TestInstanceExistsIsTakenOverByTheSameRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		first := newTestClient(t, r)
		older := mustRegister(t, first, spec("pay-1"))
		second := newTestClient(t, r)
		newer := mustRegister(t, second, spec("pay-1"))
		requests := fakeregistry.Calls[*musterv1.RegisterRequest](r)
		if len(requests) != 3 {
			t.Fatalf("%d Register requests, want 3", len(requests))
		}
		if requests[1].GetRequestId() != requests[2].GetRequestId() {
			t.Error("the take-over is another request")
		}
		if diff := cmp.Diff([]uint64{older.Status().Incarnation}, requests[2].GetTakeOver().GetIncarnations()); diff != "" {
			t.Errorf("taken over (-want +got):\n%s", diff)
		}
		if newer.Status().State != Active {
			t.Errorf("the newer is %v", newer.Status().State)
		}
	})
}

func TestFencedIsFinalAndTold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		first, second := newTestClient(t, r), newTestClient(t, r)
		older := mustRegister(t, first, spec("pay-1"))
		newer := mustRegister(t, second, spec("pay-1"))
		s := reach(t, older, Fenced, 30*time.Second)
		if !errors.Is(s.Err, ErrFenced) {
			t.Errorf("error %v", s.Err)
		}
		if want := "muster: fenced by incarnation "; !strings.HasPrefix(s.Err.Error(), want) || !strings.HasSuffix(s.Err.Error(), "; giving up [FENCED]") {
			t.Errorf("text %q", s.Err)
		}
		before := len(fakeregistry.Calls[*musterv1.RegisterRequest](r))
		time.Sleep(time.Hour)
		if after := len(fakeregistry.Calls[*musterv1.RegisterRequest](r)); after != before {
			t.Errorf("%d more registrations after FENCED", after-before)
		}
		if newer.Status().State != Active {
			t.Errorf("the newer is %v", newer.Status().State)
		}
		if err := older.Deregister(t.Context()); err != nil {
			t.Errorf("Deregister after FENCED: %v", err)
		}
		if len(r.Instances()) != 1 {
			t.Error("the fenced registration took the newer one down")
		}
	})
}

func TestLostLeaseIsReplacedNamingThePrevious(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		reg.SetWeight(7)
		if err := reg.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		old := reg.Status()
		r.Expire()
		until(t, 10*time.Second, "registered again", func() bool { return len(r.Instances()) == 1 })
		requests := fakeregistry.Calls[*musterv1.RegisterRequest](r)
		if len(requests) != 2 {
			t.Fatalf("%d Register requests, want 2", len(requests))
		}
		again := requests[1]
		if p := again.GetPrevious(); p.GetIncarnation() != old.Incarnation || p.GetEpoch() != 7 || !strings.HasPrefix(p.GetLeaseId(), old.LeaseID) {
			t.Errorf("previous %v, was %+v", p, old)
		}
		if again.GetRequestId() == requests[0].GetRequestId() {
			t.Error("another registration must be another request")
		}
		if again.GetInstances()[0].GetWeight() != 7 {
			t.Error("the desired state was lost with the lease")
		}
		s := reach(t, reg, Active, time.Second)
		if want := "lease " + old.LeaseID + " was lost; re-registered as " + s.LeaseID; !strings.HasPrefix(s.Reason, want) {
			t.Errorf("reason %q, want %q", s.Reason, want)
		}
		if n := c.Stats().Reregistrations; n != 1 {
			t.Errorf("%d re-registrations, want 1", n)
		}
	})
}

func TestRefusedReregistrationIsFinal(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnRegister = func(req *musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
			if req.GetPrevious() != nil {
				return nil, fakeregistry.Fault(codes.PermissionDenied, musterv1.ErrorReason_ERROR_REASON_FORBIDDEN, "not any more", nil)
			}
			return nil, nil
		}
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		r.Expire()
		s := reach(t, reg, Refused, 30*time.Second)
		if !errors.Is(s.Err, ErrForbidden) {
			t.Errorf("error %v", s.Err)
		}
		if err := reg.Flush(t.Context()); err != nil {
			t.Errorf("nothing was pending: %v", err)
		}
		reg.SetWeight(1)
		if err := reg.Flush(t.Context()); !errors.Is(err, ErrForbidden) {
			t.Errorf("Flush after REFUSED: %v", err)
		}
	})
}

func TestNeverTwoRegistrationsInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		var inFlight, most atomic.Int32
		r.OnRegister = func(req *musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
			most.Store(max(most.Load(), inFlight.Add(1)))
			time.Sleep(200 * time.Millisecond)
			inFlight.Add(-1)
			return r.Grant(req)
		}
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		for range 20 {
			r.Expire()
			reg.SetWeight(uint32(len(r.Instances())))
			time.Sleep(3 * time.Second)
		}
		if most.Load() != 1 {
			t.Errorf("%d Register calls in flight at once", most.Load())
		}
	})
}

func TestSettersCoalesceIntoOneUpdateAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnUpdate = func(*musterv1.UpdateRequest) (*musterv1.UpdateResponse, error) {
			time.Sleep(100 * time.Millisecond)
			return nil, nil
		}
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		for i := range uint32(1000) {
			reg.SetWeight(i)
		}
		reg.SetHealth(Degraded, "warming up")
		reg.SetMetadata(map[string]string{"rack": "7"})
		if err := reg.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := r.Instances()["shop/pay/pay-1"]
		if got.GetWeight() != 999 || got.GetSelfHealth().GetHealth() != musterv1.Health_HEALTH_DEGRADED || got.GetMetadata()["rack"] != "7" {
			t.Errorf("registered %v", got)
		}
		updates := fakeregistry.Calls[*musterv1.UpdateRequest](r)
		if len(updates) > 2 {
			t.Errorf("%d updates for 1,002 changes", len(updates))
		}
		last := updates[len(updates)-1]
		if diff := cmp.Diff([]string{"weight", "metadata", "self_health"}, last.GetUpdateMask().GetPaths()); diff != "" {
			t.Errorf("mask (-want +got):\n%s", diff)
		}
		reg.SetWeight(999)
		if err := reg.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(fakeregistry.Calls[*musterv1.UpdateRequest](r)); n != len(updates) {
			t.Error("a change that changes nothing was sent")
		}
	})
}

func TestFlushTellsWhatWasRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnUpdate = func(req *musterv1.UpdateRequest) (*musterv1.UpdateResponse, error) {
			if req.GetInstance().GetWeight() > 100 {
				return nil, fakeregistry.Fault(codes.InvalidArgument, musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "weight", nil)
			}
			return nil, nil
		}
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		reg.SetWeight(101)
		if err := reg.Flush(t.Context()); ReasonOf(err) != ReasonInvalidArgument {
			t.Fatalf("Flush: %v", err)
		}
		time.Sleep(time.Minute)
		if n := len(fakeregistry.Calls[*musterv1.UpdateRequest](r)); n != 1 {
			t.Errorf("what was refused was sent %d times", n)
		}
		reg.SetWeight(50)
		if err := reg.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUpdateOfALostLeaseRegistersAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		r.Expire()
		reg.SetWeight(3)
		if err := reg.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w := r.Instances()["shop/pay/pay-1"].GetWeight(); w != 3 {
			t.Errorf("weight %d, want 3", w)
		}
		if n := len(fakeregistry.Calls[*musterv1.RegisterRequest](r)); n != 2 {
			t.Errorf("%d Register requests, want 2", n)
		}
	})
}

func TestDeregisterIsToldAndIdempotent(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		for range 2 {
			if err := reg.Deregister(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if s := reg.Status(); s.State != Deregistered || len(r.Instances()) != 0 {
			t.Errorf("state %v, %d instances", s.State, len(r.Instances()))
		}
		if _, err := reg.Drain(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Drain afterwards: %v", err)
		}
		other := mustRegister(t, c, spec("pay-2"))
		a.Stop()
		if err := other.Deregister(timeout(t, time.Second)); ReasonOf(err) == "" {
			t.Errorf("Deregister without a server: %v", err)
		}
		// The client goes on until the lease would have expired.
		a.Start()
		until(t, 15*time.Second, "deregistered after the outage", func() bool { return len(r.Instances()) == 0 })
		reach(t, other, Deregistered, time.Second)
	})
}

func TestStatesHaveNames(t *testing.T) {
	for s := Registering; s <= Closed; s++ {
		if s.String() == "" || s.Final() != (s >= Fenced) {
			t.Errorf("state %d: %q", s, s)
		}
	}
}

func TestFencedByKeepaliveIsFinalWithoutAsking(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnKeepAlive = func(req *musterv1.KeepAliveRequest) (*musterv1.KeepAliveResponse, error) {
			return &musterv1.KeepAliveResponse{Sequence: req.GetSequence(), Exceptions: []*musterv1.KeepAliveException{{
				Kind: &musterv1.KeepAliveException_Lost{Lost: &musterv1.LeaseLost{Reason: musterv1.ErrorReason_ERROR_REASON_FENCED}},
			}}}, nil
		}
		c := newTestClient(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		s := reach(t, reg, Fenced, 10*time.Second)
		if want := "muster: fenced by a newer lease; giving up [FENCED]"; s.Err.Error() != want {
			t.Errorf("text %q, want %q", s.Err, want)
		}
		if n := len(fakeregistry.Calls[*musterv1.RegisterRequest](r)); n != 1 {
			t.Errorf("%d registrations, want 1", n)
		}
	})
}

func TestTakeOversAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnRegister = func(*musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
			return nil, fakeregistry.Fault(codes.AlreadyExists, musterv1.ErrorReason_ERROR_REASON_INSTANCE_EXISTS, "held", map[string]string{"incarnations": "7, 8,x"})
		}
		c := newTestClient(t, r)
		if _, err := c.Register(t.Context(), spec("pay-1")); ReasonOf(err) != ReasonInstanceExists {
			t.Fatalf("error %v", err)
		}
		requests := fakeregistry.Calls[*musterv1.RegisterRequest](r)
		if len(requests) != 1+maxTakeOvers {
			t.Errorf("%d tries, want %d", len(requests), 1+maxTakeOvers)
		}
		if diff := cmp.Diff([]uint64{7, 8}, requests[1].GetTakeOver().GetIncarnations()); diff != "" {
			t.Errorf("taken over (-want +got):\n%s", diff)
		}
	})
}
