package server_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

// reason is the ErrorInfo reason of an error.
func reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if i, ok := d.(*errdetails.ErrorInfo); ok {
			return i.GetReason()
		}
	}
	return ""
}

func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	if got := reason(err); got != want {
		t.Errorf("reason = %q (%v), want %q", got, err, want)
	}
}

func lookup(t *testing.T, c servertest.Clients, service string) *musterv1.LookupResponse {
	t.Helper()
	res, err := c.Lookup(t.Context(), &musterv1.LookupRequest{Selector: servertest.Services(service)})
	if err != nil {
		t.Fatalf("lookup %s: %v", service, err)
	}
	return res
}

func TestRegisterIsVisibleToItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		res, err := c.Register(t.Context(), servertest.Register(15*time.Second, servertest.Instance("pay", "pay-1")))
		if err != nil {
			t.Fatalf("register: %v", err)
		}
		got := lookup(t, c, "pay")
		if len(got.GetInstances()) != 1 || got.GetInstances()[0].GetIncarnation() != res.GetLease().GetIncarnation() {
			t.Fatalf("lookup = %v, want the instance with incarnation %d", got, res.GetLease().GetIncarnation())
		}
		in := got.GetInstances()[0]
		if in.GetWeight() != 100 || in.GetHealth() != musterv1.Health_HEALTH_HEALTHY || in.GetLifecycle() != musterv1.Lifecycle_LIFECYCLE_SERVING {
			t.Errorf("defaults are missing: %v", in)
		}
		if got.GetHeader().GetRevision() < res.GetRevision() {
			t.Errorf("view at %d, write at %d", got.GetHeader().GetRevision(), res.GetRevision())
		}
	})
}

func TestLeaseExpiresOnTimeOnceNeverEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		const ttl = 15 * time.Second
		time.Sleep(ttl) // past the quiet time of the start
		start := time.Now()
		if _, err := c.Register(t.Context(), servertest.Register(ttl, servertest.Instance("pay", "pay-1"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl - time.Millisecond)
		synctest.Wait()
		if n := len(lookup(t, c, "pay").GetInstances()); n != 1 {
			t.Fatalf("%v after registration: %d instances, want 1", time.Since(start), n)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		res := lookup(t, c, "pay")
		if len(res.GetInstances()) != 0 {
			t.Fatalf("%v after registration it is still there", time.Since(start))
		}
		if e := res.GetServices()[0].GetEmptied(); e.GetReason() != musterv1.RemovalReason_REMOVAL_REASON_EXPIRED || e.GetInstanceId() != "pay-1" {
			t.Errorf("emptied = %v, want EXPIRED pay-1", e)
		}
	})
}

func TestRestartExpiresNobodyBeforeAFullTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		const ttl = 15 * time.Second
		if _, err := c.Register(t.Context(), servertest.Register(ttl, servertest.Instance("pay", "pay-1"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl - time.Second)
		s.Kill()
		time.Sleep(time.Hour)
		s.Start()
		c = s.Dial()
		time.Sleep(ttl - time.Millisecond)
		synctest.Wait()
		if n := len(lookup(t, c, "pay").GetInstances()); n != 1 {
			t.Fatal("it expired before a full TTL of the new server")
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if n := len(lookup(t, c, "pay").GetInstances()); n != 0 {
			t.Fatal("it did not expire")
		}
	})
}

func TestRegisterRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		first := servertest.Register(15*time.Second, servertest.Instance("pay", "pay-1"))
		a, err := c.Register(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Register(t.Context(), first)
		if err != nil || again.GetLease().GetLeaseId() != a.GetLease().GetLeaseId() || again.GetRevision() != a.GetRevision() {
			t.Errorf("retry = %v, %v; want the first answer %v", again, err, a)
		}
		other := servertest.Register(15*time.Second, servertest.Instance("pay", "pay-1"))
		_, err = c.Register(t.Context(), other)
		wantReason(t, err, "INSTANCE_EXISTS")
		other.Claim = &musterv1.RegisterRequest_TakeOver{TakeOver: &musterv1.TakeOver{Incarnations: []uint64{a.GetLease().GetIncarnation()}}}
		b, err := c.Register(t.Context(), other)
		if err != nil {
			t.Fatalf("take over: %v", err)
		}
		old := servertest.Register(15*time.Second, servertest.Instance("pay", "pay-1"))
		old.Claim = &musterv1.RegisterRequest_Previous{Previous: &musterv1.PreviousLease{
			LeaseId: a.GetLease().GetLeaseId(), Epoch: a.GetLease().GetEpoch(), Incarnation: a.GetLease().GetIncarnation(),
		}}
		_, err = c.Register(t.Context(), old)
		wantReason(t, err, "FENCED")
		_, err = c.Update(t.Context(), &musterv1.UpdateRequest{
			LeaseId: a.GetLease().GetLeaseId(), Instance: servertest.Instance("pay", "pay-1"), UpdateMask: mask("weight"),
		})
		wantReason(t, err, "FENCED")
		next := servertest.Register(15*time.Second, servertest.Instance("pay", "pay-1"))
		next.Claim = &musterv1.RegisterRequest_Previous{Previous: &musterv1.PreviousLease{
			LeaseId: b.GetLease().GetLeaseId(), Epoch: b.GetLease().GetEpoch(), Incarnation: b.GetLease().GetIncarnation(),
		}}
		if _, err = c.Register(t.Context(), next); err != nil {
			t.Errorf("replace own lease: %v", err)
		}
	})
}

func TestKeepAliveRenewsAndTellsOfLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		const ttl = 15 * time.Second
		time.Sleep(ttl)
		reg, err := c.Register(t.Context(), servertest.Register(ttl, servertest.Instance("pay", "pay-1")))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ka, err := c.KeepAlive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		renew := func(seq uint64) *musterv1.KeepAliveResponse {
			t.Helper()
			if err := ka.Send(&musterv1.KeepAliveRequest{Sequence: seq, LeaseIds: []string{reg.GetLease().GetLeaseId()}}); err != nil {
				t.Fatal(err)
			}
			res, err := ka.Recv()
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		for seq := range uint64(10) {
			time.Sleep(ttl - 100*time.Millisecond)
			if res := renew(seq + 1); len(res.GetExceptions()) != 0 {
				t.Fatalf("renewal %d: %v", seq, res)
			}
		}
		time.Sleep(ttl + 100*time.Millisecond)
		res := renew(100)
		if len(res.GetExceptions()) != 1 || res.GetExceptions()[0].GetLost().GetReason() != musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN {
			t.Errorf("after a missed TTL: %v, want LEASE_UNKNOWN", res)
		}
	})
}

func TestShutdownIsRetryable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		w, err := c.Watch(t.Context(), &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{{SubscriptionId: 1, Selector: servertest.Services("pay")}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Recv(); err != nil {
			t.Fatal(err)
		}
		s.Stop()
		for err == nil {
			_, err = w.Recv()
		}
		wantReason(t, err, "SHUTTING_DOWN")
		if status.Code(err) != codes.Unavailable {
			t.Errorf("code = %v, want Unavailable", status.Code(err))
		}
	})
}
