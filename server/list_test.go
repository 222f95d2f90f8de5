package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

func registerAs(t *testing.T, c servertest.Clients, namespace, service string) *musterv1.Lease {
	t.Helper()
	in := servertest.Instance(service, "i-1")
	in.Namespace = namespace
	return mustRegister(t, c, in)
}

// list reads all pages, and calls between after each.
func list(t *testing.T, c servertest.Clients, req *musterv1.ListServicesRequest, between func()) (names []string) {
	t.Helper()
	for {
		res, err := c.ListServices(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(res.GetServices()); n > int(req.GetPageSize()) {
			t.Errorf("%d services on a page of %d", n, req.GetPageSize())
		}
		for _, s := range res.GetServices() {
			names = append(names, s.GetState().GetNamespace()+"/"+s.GetState().GetService())
		}
		if req.PageToken = res.GetNextPageToken(); req.GetPageToken() == "" {
			return names
		}
		between()
	}
}

// TestListIsSortedByNamespaceThenService: "shop" and its services come before
// "shop-eu", as bytes of the parts sort, not those of the joined name.
func TestListIsSortedByNamespaceThenService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		want := []string{"shop/a", "shop/a-b", "shop/a.b", "shop/b", "shop-eu/a", "shop1/a"}
		for _, n := range []string{"shop1/a", "shop-eu/a", "shop/b", "shop/a.b", "shop/a-b", "shop/a"} {
			ns, svc, _ := strings.Cut(n, "/")
			registerAs(t, c, ns, svc)
		}
		for size := range int32(7) {
			if got := list(t, c, &musterv1.ListServicesRequest{PageSize: size + 1}, func() {}); !slices.Equal(got, want) {
				t.Errorf("pages of %d: %v, want %v", size+1, got, want)
			}
		}
		if got := list(t, c, &musterv1.ListServicesRequest{PageSize: 1, Namespace: "shop"}, func() {}); !slices.Equal(got, want[:4]) {
			t.Errorf("namespace shop: %v, want %v", got, want[:4])
		}
		if got := list(t, c, &musterv1.ListServicesRequest{PageSize: 1, Namespace: "shop", Prefix: "a"}, func() {}); !slices.Equal(got, want[:3]) {
			t.Errorf("shop/a*: %v, want %v", got, want[:3])
		}
		if got := list(t, c, &musterv1.ListServicesRequest{PageSize: 2, Prefix: "a"}, func() {}); !slices.Equal(got, []string{"shop/a", "shop/a-b", "shop/a.b", "shop-eu/a", "shop1/a"}) {
			t.Errorf("a* of all: %v", got)
		}
	})
}

// TestListWhileServicesComeAndGo is M1.7a: who is there throughout is on
// exactly one page.
func TestListWhileServicesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		var stay []string
		for i := range 20 {
			stay = append(stay, fmt.Sprintf("shop/s%02d", i))
			registerAs(t, c, "shop", fmt.Sprintf("s%02d", i))
		}
		n := 0
		got := list(t, c, &musterv1.ListServicesRequest{PageSize: 3}, func() {
			n++
			// Services that appear before, at and after the place of the list.
			for _, svc := range []string{"a", "s05x", "s10x", "z"} {
				registerAs(t, c, "shop", fmt.Sprintf("%s%d", svc, n))
			}
		})
		for _, name := range stay {
			if k := len(slices.DeleteFunc(slices.Clone(got), func(g string) bool { return g != name })); k != 1 {
				t.Errorf("%s is listed %d times", name, k)
			}
		}
		if !slices.IsSorted(got) {
			t.Errorf("not sorted: %v", got)
		}
	})
}

func TestListRefusesTokensOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		for _, svc := range []string{"pay", "user"} {
			registerAs(t, c, "shop", svc)
		}
		res, err := c.ListServices(t.Context(), &musterv1.ListServicesRequest{PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, req := range []*musterv1.ListServicesRequest{
			{PageToken: "*"},
			{PageToken: "AAAA"},
			{PageToken: res.GetNextPageToken(), Namespace: "sho"},
			{PageToken: res.GetNextPageToken(), Prefix: "pay"},
		} {
			_, err := c.ListServices(t.Context(), req)
			wantReason(t, err, "INVALID_ARGUMENT")
		}
	})
}

// TestSummaryCountsInstancesOnce: by lifecycle first, then by health.
func TestSummaryCountsInstancesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		starting := servertest.Instance("pay", "starting")
		starting.Lifecycle = musterv1.Lifecycle_LIFECYCLE_STARTING
		sick := servertest.Instance("pay", "sick")
		sick.SelfHealth = &musterv1.SelfHealth{Health: musterv1.Health_HEALTH_UNHEALTHY}
		slow := servertest.Instance("pay", "slow")
		slow.SelfHealth = &musterv1.SelfHealth{Health: musterv1.Health_HEALTH_DEGRADED}
		mustRegister(t, c, starting, sick, slow, servertest.Instance("pay", "well"))
		leaving := mustRegister(t, c, servertest.Instance("pay", "leaving"))
		if _, err := c.Drain(t.Context(), &musterv1.DrainRequest{LeaseId: leaving.GetLeaseId()}); err != nil {
			t.Fatal(err)
		}
		res, err := c.ListServices(t.Context(), &musterv1.ListServicesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		s := res.GetServices()[0]
		if s.GetInstances() != 5 || s.GetStarting() != 1 || s.GetDraining() != 1 || s.GetUnhealthy() != 1 || s.GetDegraded() != 1 || s.GetHealthy() != 1 {
			t.Errorf("summary = %v, want one of each of five", s)
		}
	})
}
