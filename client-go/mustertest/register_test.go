package mustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestLeaseExpiresAtItsTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		req := registration(firstRequest, "a")
		req.Ttl = durationpb.New(2 * time.Second)
		c.register(req)
		time.Sleep(2*time.Second - time.Millisecond)
		synctest.Wait()
		if n := len(r.Instances("shop/pay")); n != 1 {
			t.Fatalf("%d instances just before the TTL", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if n := len(r.Instances("shop/pay")); n != 0 {
			t.Errorf("%d instances after the TTL", n)
		}
	})
}

func TestKeepalivesKeepALease(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		client := r.Client()
		reg := register(t, client, spec("a"))
		time.Sleep(10 * time.Minute)
		if state := reg.Status().State; state != muster.Active || len(r.Instances("")) != 1 {
			t.Errorf("%v with %v", state, r.Instances(""))
		}
		r.Expire("shop/pay/a")
		time.Sleep(time.Minute)
		if state := reg.Status().State; state != muster.Active || len(r.Instances("")) != 1 {
			t.Errorf("%v with %v after the lease expired", state, r.Instances(""))
		}
		if s := client.Stats(); s.Reregistrations != 1 || s.LostLeases != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestNewcomerTakesOverAndFencesTheOld(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		old := register(t, r.Client(), spec("a"))
		register(t, r.Client(), spec("a"))
		time.Sleep(10 * time.Second)
		if status := old.Status(); status.State != muster.Fenced {
			t.Errorf("the old one is %v", status.State)
		}
		if n := len(r.Instances("shop/pay")); n != 1 {
			t.Errorf("%d instances", n)
		}
	})
}

func TestRegisterRetryAnswersTheFirstLease(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		first := c.register(registration(firstRequest, "a", "b"))
		again := c.register(registration(firstRequest, "a", "b"))
		if first.GetLease().GetLeaseId() != again.GetLease().GetLeaseId() || first.GetRevision() != again.GetRevision() {
			t.Errorf("%v, then %v", first, again)
		}
		_, err := c.Register(t.Context(), registration(secondRequest, "b", "c"))
		mustReason(t, err, "INSTANCE_EXISTS")
		if n := len(r.Instances("")); n != 2 {
			t.Errorf("%d instances after a call that was refused", n)
		}
	})
}

func TestReplacementEndsALeaseThatHeldNothingElse(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		first := c.register(registration(firstRequest, "a", "b")).GetLease()
		req := registration(secondRequest, "a")
		req.Claim = &musterv1.RegisterRequest_TakeOver{TakeOver: &musterv1.TakeOver{Incarnations: []uint64{first.GetIncarnation()}}}
		second := c.register(req).GetLease()
		drop := func(lease string, id string) error {
			_, err := c.Deregister(t.Context(), &musterv1.DeregisterRequest{
				LeaseId: lease, Instances: []*musterv1.InstanceKey{{Namespace: "shop", Service: "pay", InstanceId: id}},
			})
			return err
		}
		mustReason(t, drop(first.GetLeaseId(), "a"), "FENCED")
		mustReason(t, drop(second.GetLeaseId(), "zzz"), "INSTANCE_UNKNOWN")
		mustReason(t, drop(first.GetLeaseId(), "b"), "")
		mustReason(t, drop(first.GetLeaseId(), "b"), "LEASE_UNKNOWN")
		req = registration(thirdRequest, "a")
		req.Claim = &musterv1.RegisterRequest_Previous{Previous: &musterv1.PreviousLease{
			LeaseId: first.GetLeaseId(), Epoch: 1, Incarnation: first.GetIncarnation(),
		}}
		_, err := c.Register(t.Context(), req)
		mustReason(t, err, "FENCED")
	})
}

func TestUpdateThatChangesNothingCommitsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		granted := c.register(registration(firstRequest, "a"))
		update := func(i *musterv1.Instance, fields ...string) (uint64, error) {
			i.Namespace, i.Service, i.InstanceId = "shop", "pay", "a"
			res, err := c.Update(t.Context(), &musterv1.UpdateRequest{
				LeaseId: granted.GetLease().GetLeaseId(), Instance: i, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields},
			})
			return res.GetRevision(), err
		}
		same, err := update(&musterv1.Instance{}, "weight", "self_health", "lifecycle", "metadata")
		if err != nil || same != granted.GetRevision() {
			t.Errorf("revision %d, %v, want %d", same, err, granted.GetRevision())
		}
		next, err := update(&musterv1.Instance{Version: "1.2.0", Metadata: map[string]string{"k": "v"}}, "version", "metadata")
		if err != nil || next != same+1 {
			t.Errorf("revision %d, %v", next, err)
		}
		if i := r.Instances("shop/pay")[0]; i.Version != "1.2.0" || i.Metadata["k"] != "v" || len(i.Endpoints) != 1 || i.Weight != 100 {
			t.Errorf("%+v", i)
		}
		for field, i := range map[string]*musterv1.Instance{
			"version": {Version: "latest"}, "lifecycle": {Lifecycle: musterv1.Lifecycle_LIFECYCLE_DRAINING}, "incarnation": {},
		} {
			_, err := update(i, field)
			mustReason(t, err, "INVALID_ARGUMENT")
		}
	})
}

func TestHealthReportsBecomeVerdicts(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		client := r.Client()
		sub := subscribe(t, client)
		reg := register(t, r.Client(), spec("a"))
		reg.SetHealth(muster.Degraded, "slow")
		if err := reg.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		i := r.Instances("shop/pay")[0]
		if i.Health != muster.Degraded || len(i.HealthSlots) != 1 || i.HealthSlots[0].Reason != "slow" {
			t.Errorf("%+v", i)
		}
		synctest.Wait()
		if seen := sub.View().Instances()[0]; seen.Health != muster.Degraded {
			t.Errorf("watchers see %v", seen.Health)
		}
		reg.SetHealth(muster.Healthy, "")
		if err := reg.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i := r.Instances("shop/pay")[0]; i.Health != muster.Healthy || len(i.HealthSlots) != 0 {
			t.Errorf("%+v", i)
		}
		unharmed(t, client)
	})
}

func TestWrongRequestsAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		for _, w := range []struct {
			name, want string
			edit       func(*musterv1.RegisterRequest)
		}{
			{"no instance", "INVALID_ARGUMENT", func(q *musterv1.RegisterRequest) { q.Instances = nil }},
			{"twice", "INVALID_ARGUMENT", func(q *musterv1.RegisterRequest) { q.Instances = append(q.Instances, instance("a")) }},
			{"no id", "INVALID_ARGUMENT", func(q *musterv1.RegisterRequest) { q.Instances[0].InstanceId = "" }},
			{"name", "INVALID_ARGUMENT", func(q *musterv1.RegisterRequest) { q.Instances[0].Namespace = "Shop" }},
			{"version", "INVALID_ARGUMENT", func(q *musterv1.RegisterRequest) { q.Instances[0].Version = "v1" }},
			{"draining", "INVALID_ARGUMENT", func(q *musterv1.RegisterRequest) {
				q.Instances[0].Lifecycle = musterv1.Lifecycle_LIFECYCLE_DRAINING
			}},
			{"endpoint", "INVALID_ENDPOINT", func(q *musterv1.RegisterRequest) { q.Instances[0].Endpoints[0].Address = "0.0.0.0:1" }},
			{"ttl", "INVALID_ARGUMENT", func(q *musterv1.RegisterRequest) { q.Ttl = durationpb.New(time.Millisecond) }},
			{"request_id", "INVALID_ARGUMENT", func(q *musterv1.RegisterRequest) { q.RequestId = "short" }},
			{"checks", "FEATURE_NOT_SERVED", func(q *musterv1.RegisterRequest) { q.Instances[0].Checks = []*musterv1.HealthCheck{{}} }},
			{"too many", "LIMIT_EXCEEDED", func(q *musterv1.RegisterRequest) {
				for len(q.Instances) <= maxInstancesPerLease {
					q.Instances = append(q.Instances, instance("a"))
				}
			}},
		} {
			req := registration(firstRequest, "a")
			w.edit(req)
			_, err := c.Register(t.Context(), req)
			if got := reasonOf(err); got != w.want {
				t.Errorf("%s: %v, want %s", w.name, err, w.want)
			}
		}
		if n := len(r.Instances("")); n != 0 {
			t.Errorf("%d instances", n)
		}
	})
}
