package registry

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
)

// register registers one instance for an hour.
func register(t *testing.T, r *Registry, service, id, request string) *musterv1.Lease {
	t.Helper()
	return registerFor(t, r, time.Hour, service, id, request)
}

func registerFor(t *testing.T, r *Registry, ttl time.Duration, service, id, request string) *musterv1.Lease {
	t.Helper()
	in := &musterv1.Instance{Namespace: "shop", Service: service, InstanceId: id, Lifecycle: musterv1.Lifecycle_LIFECYCLE_SERVING}
	body, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	g, err := r.Register(t.Context(), &Registration{
		Instances: []Registrant{{Name: nameOf(in), Body: body}}, TTL: ttl, RequestID: request,
	}, Caller{})
	if err != nil {
		t.Fatalf("register %s: %v", id, err)
	}
	return &musterv1.Lease{LeaseId: g.LeaseID, Incarnation: g.Incarnation, Epoch: g.Epoch}
}

// TestServicesAreForgottenAfterSevenEmptyDays, no sooner, and not while they
// have instances.
func TestServicesAreForgottenAfterSevenEmptyDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRegistry(t)
		pay, cart := record.ServiceName{Namespace: "shop", Service: "pay"}, record.ServiceName{Namespace: "shop", Service: "cart"}
		register(t, r, "cart", "cart-1", "request-0000000000000001")
		l := register(t, r, "pay", "pay-1", "request-0000000000000002")
		if _, _, err := r.Deregister(t.Context(), &musterv1.DeregisterRequest{LeaseId: l.GetLeaseId()}, Caller{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.collect(t.Context(), time.Now().Add(7*24*time.Hour))
		if r.View().Service(pay) == nil {
			t.Fatal("forgotten too early")
		}
		r.collect(t.Context(), time.Now().Add(7*24*time.Hour+time.Second))
		if r.View().Service(pay) != nil {
			t.Error("not forgotten after seven days")
		}
		if r.View().Service(cart) == nil {
			t.Error("a service with an instance was forgotten")
		}
	})
}
