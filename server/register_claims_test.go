package server_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

func previous(l *musterv1.Lease) *musterv1.RegisterRequest_Previous {
	return &musterv1.RegisterRequest_Previous{Previous: &musterv1.PreviousLease{
		LeaseId: l.GetLeaseId(), Epoch: l.GetEpoch(), Incarnation: l.GetIncarnation(),
	}}
}

func takeOver(incarnations ...uint64) *musterv1.RegisterRequest_TakeOver {
	return &musterv1.RegisterRequest_TakeOver{TakeOver: &musterv1.TakeOver{Incarnations: incarnations}}
}

// TestRetryOfRegisterPromisesAFullTTL is M6.9d for a retry: it is answered with
// the lease of the first attempt, which lives for a TTL from then on.
func TestRetryOfRegisterPromisesAFullTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		const ttl = 15 * time.Second
		time.Sleep(ttl)
		req := servertest.Register(ttl, servertest.Instance("pay", "pay-1"))
		if _, err := c.Register(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl - time.Second) // the answer was lost; the client tries again
		if _, err := c.Register(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl - time.Millisecond)
		synctest.Wait()
		if n := len(lookup(t, c, "pay").GetInstances()); n != 1 {
			t.Error("the lease expired within the TTL that the retry's answer promised")
		}
	})
}

// TestRegisterIsAllOrNothing is M6.9a: one instance that may not be registered
// keeps all others out.
func TestRegisterIsAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		other := mustRegister(t, c, servertest.Instance("pay", "pay-2"))
		all := []*musterv1.Instance{
			servertest.Instance("pay", "pay-1"), servertest.Instance("pay", "pay-2"), servertest.Instance("cart", "cart-1"),
		}
		_, err := c.Register(t.Context(), servertest.Register(time.Hour, all...))
		wantReason(t, err, "INSTANCE_EXISTS")
		if n := len(lookup(t, c, "pay").GetInstances()) + len(lookup(t, c, "cart").GetInstances()); n != 1 {
			t.Errorf("%d instances, want only the one from before", n)
		}
		req := servertest.Register(time.Hour, all...)
		req.Claim = takeOver(other.GetIncarnation())
		res, err := c.Register(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		got := append(lookup(t, c, "pay").GetInstances(), lookup(t, c, "cart").GetInstances()...)
		if len(got) != 3 {
			t.Fatalf("%d instances, want 3", len(got))
		}
		for _, in := range got {
			if in.GetIncarnation() != res.GetLease().GetIncarnation() || in.GetModifyRevision() != res.GetRevision() {
				t.Errorf("%s is of incarnation %d at %d, want all of one commit", in.GetInstanceId(), in.GetIncarnation(), in.GetModifyRevision())
			}
		}
	})
}

// TestRetryIsSeenWhateverTheOrder: a retry is one though another instance of
// its request was taken over since, and wherever in the request that is.
func TestRetryIsSeenWhateverTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		a, b := servertest.Instance("pay", "a"), servertest.Instance("pay", "b")
		req := servertest.Register(time.Hour, a, b)
		req.Claim = previous(mustRegister(t, c, a, b))
		res, err := c.Register(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		over := servertest.Register(time.Hour, servertest.Instance("pay", "b"))
		over.Claim = takeOver(res.GetLease().GetIncarnation())
		if _, err := c.Register(t.Context(), over); err != nil {
			t.Fatal(err)
		}
		for _, order := range [][]*musterv1.Instance{{a, b}, {b, a}} {
			again := proto.CloneOf(req)
			again.Instances = order
			got, err := c.Register(t.Context(), again)
			if err != nil || got.GetLease().GetLeaseId() != res.GetLease().GetLeaseId() {
				t.Errorf("retry with %s first = %v, %v; want the first lease", order[0].GetInstanceId(), got, err)
			}
		}
	})
}

// TestReplacementIsAChangeNotARemoval is M6.9c.
func TestReplacementIsAChangeNotARemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		old := mustRegister(t, c, servertest.Instance("pay", "a"), servertest.Instance("pay", "b"))
		before := lookup(t, c, "pay").GetInstances()[0]
		time.Sleep(time.Minute)
		next := watch(t, c, nil, "pay")
		next()
		req := servertest.Register(time.Hour, servertest.Instance("pay", "a"))
		req.Claim = previous(old)
		res, err := c.Register(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		d := next().GetDelta()
		if len(d.GetRemovals()) != 0 || len(d.GetInstances()) != 1 {
			t.Fatalf("delta = %v, want one change and no removal", d)
		}
		a := d.GetInstances()[0]
		if a.GetCreateRevision() != before.GetCreateRevision() || a.GetIncarnation() != res.GetLease().GetIncarnation() || !proto.Equal(a.GetCreateTime(), before.GetCreateTime()) {
			t.Errorf("instance = %v, want the old create revision and time, and the new incarnation", a)
		}
		// The old lease lives on with b, and ends with it.
		if _, err := c.Deregister(t.Context(), &musterv1.DeregisterRequest{LeaseId: old.GetLeaseId()}); err != nil {
			t.Fatal(err)
		}
		if in := lookup(t, c, "pay").GetInstances(); len(in) != 1 || in[0].GetInstanceId() != "a" {
			t.Errorf("instances = %v, want only a", in)
		}
		_, err = c.Deregister(t.Context(), &musterv1.DeregisterRequest{LeaseId: old.GetLeaseId()})
		wantReason(t, err, "LEASE_UNKNOWN")
	})
}

// TestOneNewcomerWins: of two that take over the same incarnation at once, one
// has it and the other is told of the winner (M6.9b rule 5).
func TestOneNewcomerWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		old := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		s.Store().Hold()
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			req := servertest.Register(time.Hour, servertest.Instance("pay", "pay-1"))
			req.Claim = takeOver(old.GetIncarnation())
			wg.Go(func() { _, errs[i] = c.Register(context.Background(), req) })
		}
		synctest.Wait()
		s.Store().Release()
		wg.Wait()
		if errs[0] == nil {
			errs[0], errs[1] = errs[1], errs[0]
		}
		wantReason(t, errs[0], "INSTANCE_EXISTS")
		if errs[1] != nil {
			t.Errorf("nobody won: %v", errs[1])
		}
	})
}

// TestDelayedDuplicateIsFenced: a duplicate of Register that arrives after its
// client registered anew changes nothing.
func TestDelayedDuplicateIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		first := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		second := servertest.Register(time.Hour, servertest.Instance("pay", "pay-1"))
		second.Claim = previous(first)
		res, err := c.Register(t.Context(), second)
		if err != nil {
			t.Fatal(err)
		}
		third := servertest.Register(time.Hour, servertest.Instance("pay", "pay-1"))
		third.Claim = previous(res.GetLease())
		if res, err = c.Register(t.Context(), third); err != nil {
			t.Fatal(err)
		}
		_, err = c.Register(t.Context(), second)
		wantReason(t, err, "FENCED")
		if got := lookup(t, c, "pay").GetInstances()[0].GetIncarnation(); got != res.GetLease().GetIncarnation() {
			t.Errorf("incarnation %d, want %d", got, res.GetLease().GetIncarnation())
		}
	})
}

// TestClaimsThatAreRefused is M6.9e: which reason Update, Deregister and Drain
// give for what they may not touch.
func TestClaimsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		mine := mustRegister(t, c, servertest.Instance("pay", "mine"))
		mustRegister(t, c, servertest.Instance("pay", "others"))
		for _, x := range []struct{ lease, instance, want string }{
			{mine.GetLeaseId(), "others", "FENCED"},
			{"gone", "others", "FENCED"},
			{"gone", "nobody", "LEASE_UNKNOWN"},
			{mine.GetLeaseId(), "nobody", "INSTANCE_UNKNOWN"},
		} {
			in := servertest.Instance("pay", x.instance)
			keys := []*musterv1.InstanceKey{servertest.Key("pay", x.instance)}
			_, err := c.Update(t.Context(), &musterv1.UpdateRequest{LeaseId: x.lease, Instance: in, UpdateMask: mask("weight")})
			wantReason(t, err, x.want)
			_, err = c.Deregister(t.Context(), &musterv1.DeregisterRequest{LeaseId: x.lease, Instances: keys})
			wantReason(t, err, x.want)
			_, err = c.Drain(t.Context(), &musterv1.DrainRequest{LeaseId: x.lease, Instances: keys})
			wantReason(t, err, x.want)
		}
		_, err := c.Deregister(t.Context(), &musterv1.DeregisterRequest{LeaseId: "gone"})
		wantReason(t, err, "LEASE_UNKNOWN")
		if n := len(lookup(t, c, "pay").GetInstances()); n != 2 {
			t.Errorf("%d instances, want 2", n)
		}
	})
}

// TestDeregisterPartly: what is named goes, the rest stays under its lease, and
// the lease ends with the last one.
func TestDeregisterPartly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		l := mustRegister(t, c, servertest.Instance("pay", "a"), servertest.Instance("pay", "b"))
		end := func(id string) error {
			_, err := c.Deregister(t.Context(), &musterv1.DeregisterRequest{
				LeaseId: l.GetLeaseId(), Instances: []*musterv1.InstanceKey{servertest.Key("pay", id), servertest.Key("pay", id)},
			})
			return err
		}
		if err := end("a"); err != nil {
			t.Fatal(err)
		}
		if in := lookup(t, c, "pay").GetInstances(); len(in) != 1 || in[0].GetInstanceId() != "b" || in[0].GetIncarnation() != l.GetIncarnation() {
			t.Fatalf("instances = %v, want b with its incarnation", in)
		}
		wantReason(t, end("a"), "INSTANCE_UNKNOWN")
		if err := end("b"); err != nil {
			t.Fatal(err)
		}
		wantReason(t, end("b"), "LEASE_UNKNOWN")
	})
}

// TestUpdateThatChangesNothingCommitsNothing is M1.3a.
func TestUpdateThatChangesNothingCommitsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		in := servertest.Instance("pay", "pay-1")
		in.SelfHealth = &musterv1.SelfHealth{Health: musterv1.Health_HEALTH_DEGRADED, Reason: "slow"}
		l := mustRegister(t, c, in)
		at := lookup(t, c, "pay").GetHeader().GetRevision()
		for _, path := range []string{
			"version", "endpoints", "locality", "weight", "lifecycle", "shard", "metadata", "capabilities", "schema_version", "checks", "self_health",
		} {
			time.Sleep(time.Second)
			res, err := c.Update(t.Context(), &musterv1.UpdateRequest{LeaseId: l.GetLeaseId(), Instance: proto.CloneOf(in), UpdateMask: mask(path)})
			if err != nil || res.GetRevision() != at {
				t.Errorf("update of %s to what it is = %v, %v; want revision %d", path, res, err, at)
			}
		}
	})
}
