package server_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

// TestLookupsFollowEveryChange: what the server keeps of earlier answers never
// shows. Each answer holds exactly what was registered, whoever watches; the
// same question is answered the same until something changes, and UNCHANGED
// only then.
func TestLookupsFollowEveryChange(t *testing.T) {
	filtered := servertest.Services("pay", "cart")
	filtered.Filter = &musterv1.InstanceFilter{VersionRange: ">=2.0.0"}
	selectors := map[string]*musterv1.Selector{
		"one": servertest.Services("pay"), "two": servertest.Services("cart", "pay"), "filtered": filtered,
		"prefix": {Names: &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{Namespace: "shop"}}},
	}
	shows := func(name, service, version string) bool {
		switch name {
		case "one":
			return service == "pay"
		case "filtered":
			return version == "2.0.0"
		}
		return true
	}
	rapid.Check(t, func(r *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			c := servertest.New(t).Dial()
			if rapid.Bool().Draw(r, "watched") {
				_, err := c.Watch(t.Context(), &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{{SubscriptionId: 1, Selector: filtered}}})
				if err != nil {
					t.Fatal(err)
				}
			}
			type registered struct {
				lease            *musterv1.Lease
				service, version string
			}
			have := map[string]registered{}
			for range rapid.IntRange(1, 8).Draw(r, "steps") {
				id := fmt.Sprint("id-", rapid.IntRange(0, 3).Draw(r, "id"))
				if x, ok := have[id]; ok && rapid.Bool().Draw(r, "update") {
					x.version = rapid.SampledFrom([]string{"1.0.0", "2.0.0"}).Draw(r, "version")
					in := servertest.Instance(x.service, id)
					in.Version = x.version
					_, err := c.Update(t.Context(), &musterv1.UpdateRequest{
						LeaseId: x.lease.GetLeaseId(), Instance: in, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"version"}},
					})
					if err != nil {
						t.Fatal(err)
					}
					have[id] = x
				} else if ok {
					deregister(t, c, x.lease)
					delete(have, id)
				} else {
					x := registered{service: rapid.SampledFrom([]string{"pay", "cart"}).Draw(r, "service"), version: rapid.SampledFrom([]string{"1.0.0", "2.0.0"}).Draw(r, "version")}
					in := servertest.Instance(x.service, id)
					in.Version = x.version
					x.lease = mustRegister(t, c, in)
					have[id] = x
				}
				synctest.Wait() // the note that a service is empty
				for name, sel := range selectors {
					want := map[string]string{}
					for id, x := range have {
						if shows(name, x.service, x.version) {
							want[id] = x.version
						}
					}
					checkLookups(t, c, name, sel, want)
				}
			}
		})
	})
}

func checkLookups(t *testing.T, c servertest.Clients, name string, sel *musterv1.Selector, want map[string]string) {
	t.Helper()
	var first *musterv1.LookupResponse
	for range 2 {
		res, err := c.Lookup(t.Context(), &musterv1.LookupRequest{Selector: sel})
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range res.GetInstances() {
			if want[in.GetInstanceId()] != in.GetVersion() || in.GetIncarnation() == 0 || in.GetModifyRevision() == 0 {
				t.Errorf("%s: %v is among the instances, want %v", name, in, want)
			}
		}
		h := res.GetHeader()
		if len(res.GetInstances()) != len(want) || h.GetCount() != uint64(len(res.GetInstances())+len(res.GetServices())) {
			t.Errorf("%s: %d instances and %d services, count %d, want %v", name, len(res.GetInstances()), len(res.GetServices()), h.GetCount(), want)
		}
		if first != nil && (first.GetHeader().GetDigest() != h.GetDigest() || first.GetHeader().GetViewId() != h.GetViewId()) {
			t.Errorf("%s: asked twice, answered differently: %v, %v", name, first.GetHeader(), h)
		}
		first = res
	}
	res, err := c.Lookup(t.Context(), &musterv1.LookupRequest{Selector: sel, Known: knownOf(first.GetHeader())})
	if err != nil || res.GetResult() != musterv1.LookupResult_LOOKUP_RESULT_UNCHANGED {
		t.Errorf("%s: %v (%v), want UNCHANGED", name, res.GetResult(), err)
	}
}
