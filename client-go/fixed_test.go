package muster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func specAt(service, address string) InstanceSpec {
	return InstanceSpec{Namespace: "shop", Service: service, Endpoints: []EndpointSpec{{Address: address}}}
}

func TestStaticClientNeedsNoRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := NewStatic([]InstanceSpec{specAt("pay", "localhost:9001"), specAt("pay", "localhost:9000"), specAt("cart", "localhost:80")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeClient(t, c) })
		if err := c.Ready(t.Context()); err != nil || c.Status().Server != "" {
			t.Errorf("Ready: %v, %+v", err, c.Status())
		}
		sub := mustSubscribe(t, c, "pay")
		time.Sleep(24 * time.Hour)
		v := mustWait(t, sub, 2)
		if diff := cmp.Diff([]string{"static-1", "static-2"}, ids(v)); diff != "" || v.Source() != SourceStatic || v.Freshness() != Fresh || v.Age() != 0 {
			t.Errorf("%s %v %v %v", diff, v.Source(), v.Freshness(), v.Age())
		}
		if got := v.Instances()[0].Endpoints[0]; got.Address != "localhost:9001" || got.Name != "grpc" {
			t.Errorf("endpoint %+v", got)
		}
		all, err := c.Lookup(t.Context(), Selector{Prefix: &ServicePrefix{}})
		if err != nil || len(all.Instances()) != 3 || len(all.Services()) != 2 || all.Intent() != Present {
			t.Errorf("everything: %v %v", ids(all), err)
		}
		for _, u := range updatesBetween(newView(v.selector, v.config, v.clock), v, new(Freshness)) {
			if s, ok := u.(Snapshot); !ok || len(s.Upserted) != 2 {
				t.Errorf("update %+v", u)
			}
		}
		_, err = sub.Wait(t.Context(), 3)
		expectError(t, err, "muster: shop/pay has 2 of 3 wanted instances; they were given to this client and do not change [NO_INSTANCES]")
		_, err = mustSubscribe(t, c, "other").Wait(t.Context(), 1)
		expectError(t, err, `muster: service "shop/other" is not among those that this client was given [SERVICE_UNKNOWN]`)
		_, err = c.Register(t.Context(), spec("pay-1"))
		expectError(t, err, "muster: register shop/pay/pay-1: this client was given its instances and has no registry; make one by New [FEATURE_NOT_SERVED]")
		closeClient(t, c)
		if !errors.Is(sub.Err(), ErrClosed) {
			t.Errorf("after Close: %v", sub.Err())
		}
	})
}

func expectError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestOverrideReplacesOneService(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("cart", "cart-1"))
		log := &logLines{}
		c, err := New([]string{"a:1"}, WithDial(r.Dial), WithLogger(log.logger()), WithCacheDir(t.TempDir()), WithOverride(specAt("pay", "localhost:9000")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeClient(t, c) })
		if v := mustSubscribe(t, c, "pay").View(); v.Source() != SourceStatic || len(v.Instances()) != 1 {
			t.Errorf("%v %v", v.Source(), ids(v))
		}
		mustLookup(t, c)
		if n := len(r.Log()); n != 0 {
			t.Errorf("the registry was asked %d times", n)
		}
		both := mustSubscribe(t, c, "pay", "cart")
		if diff := cmp.Diff([]string{"cart-1", "static-1"}, ids(mustWait(t, both, 2))); diff != "" {
			t.Error(diff)
		}
		asked := fakeregistry.Calls[*musterv1.WatchRequest](r)[0].GetSubscriptions()[0].GetSelector().GetServices().GetNames()
		if len(asked) != 1 || asked[0].GetService() != "cart" {
			t.Errorf("asked for %v", asked)
		}
		prefix := Selector{Prefix: &ServicePrefix{Namespace: "shop"}}
		all, err := c.Subscribe(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"cart-1", "static-1"}, ids(mustWait(t, all, 2))); diff != "" {
			t.Error(diff)
		}
		looked, err := c.Lookup(t.Context(), prefix)
		if err != nil || len(looked.Instances()) != 2 || len(looked.Services()) != 2 || looked.Source() != SourceRegistry {
			t.Errorf("%v %v", ids(looked), err)
		}
		r.Put(instance("pay", "pay-2"))
		r.Put(instance("cart", "cart-2"))
		synctest.Wait()
		if diff := cmp.Diff([]string{"cart-1", "cart-2", "static-1"}, ids(all.View())); diff != "" {
			t.Error(diff)
		}
		want := []string{"shop/pay is overridden by localhost:9000; the registry is not asked for it"}
		if diff := cmp.Diff(want, log.lines()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestOverridesAreChecked(t *testing.T) {
	one := specAt("pay", "localhost:1")
	one.ID = "a"
	for want, specs := range map[string][]InstanceSpec{
		`muster: endpoint "grpc" of shop/pay: address 0.0.0.0:1 cannot be dialled by others; pass a reachable address or use AdvertiseFrom(listener) [INVALID_ENDPOINT]`: {specAt("pay", "0.0.0.0:1")},
		`muster: shop/pay: instance_id "a" is not allowed: each once [INVALID_ARGUMENT]`:                                                                                 {one, one},
	} {
		_, err := NewStatic(specs)
		expectError(t, err, want)
	}
}
