package mustergrpc

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func of(version string) func(*musterv1.Instance) {
	return func(i *musterv1.Instance) { i.Version = version }
}

func in(region, zone string) func(*musterv1.Instance) {
	return func(i *musterv1.Instance) { i.Locality = &musterv1.Locality{Region: region, Zone: zone} }
}

func TestCallsFollowTheWeights(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n, weight := range []uint32{1, 1, 8} {
			address := "10.0.0." + string(rune('1'+n)) + ":80"
			w.fleet.start(address)
			w.put("pay-"+address[7:8], address, weighing(weight))
		}
		c := w.channel(t)
		settle()
		expectSpread(t, spread(t, c, 1000), map[string]int{"10.0.0.1:80": 100, "10.0.0.2:80": 100, "10.0.0.3:80": 800})
	})
}

func TestVersionSharesSplitCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2", "3"} {
			w.fleet.start("10.0.0." + a + ":80")
		}
		w.put("pay-1", "10.0.0.1:80", of("1.0.0"))
		w.put("pay-2", "10.0.0.2:80", of("1.0.0"))
		w.put("pay-3", "10.0.0.3:80", of("2.0.0"))
		w.registry.SetPolicy("shop/pay", &musterv1.TrafficPolicy{
			VersionShares: []*musterv1.VersionShare{{VersionRange: ">=2.0.0", Share: 1000}},
		})
		c := w.channel(t)
		settle()
		expectSpread(t, spread(t, c, 1000), map[string]int{"10.0.0.1:80": 450, "10.0.0.2:80": 450, "10.0.0.3:80": 100})
		w.registry.SetPolicy("shop/pay", &musterv1.TrafficPolicy{
			VersionShares: []*musterv1.VersionShare{{VersionRange: ">=2.0.0", Share: 0}},
		})
		settle()
		expectSpread(t, spread(t, c, 100), map[string]int{"10.0.0.1:80": 50, "10.0.0.2:80": 50})
	})
}

func TestNearInstancesArePreferred(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2", "3"} {
			w.fleet.start("10.0.0." + a + ":80")
		}
		w.put("pay-1", "10.0.0.1:80", in("eu", "eu-a"))
		w.put("pay-2", "10.0.0.2:80", in("eu", "eu-b"))
		w.put("pay-3", "10.0.0.3:80", in("us", "us-a"))
		c := w.channel(t)
		expect := func(want ...string) {
			t.Helper()
			settle()
			got := spread(t, c, 60)
			for _, a := range want {
				if got[a] == 0 {
					t.Errorf("no calls to %s", a)
				}
			}
			if len(got) != len(want) {
				t.Errorf("calls %v, want only %v", got, want)
			}
		}
		expect("10.0.0.1:80")
		if n := w.fleet.dialled("10.0.0.3:80"); n != 0 {
			t.Errorf("%d connections to an endpoint that is not used", n)
		}
		w.registry.SetPolicy("shop/pay", &musterv1.TrafficPolicy{LocalityRule: musterv1.LocalityRule_LOCALITY_RULE_REQUIRE_REGION})
		expect("10.0.0.1:80", "10.0.0.2:80")
		w.registry.SetPolicy("shop/pay", &musterv1.TrafficPolicy{LocalityRule: musterv1.LocalityRule_LOCALITY_RULE_ANY})
		expect("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
		w.registry.SetPolicy("shop/pay", nil)
		w.fleet.stop("10.0.0.1:80")
		time.Sleep(time.Second)
		expect("10.0.0.2:80") // the next attempt was refused, so it is ejected and the next tier is used
	}, muster.WithLocality("eu", "eu-a"))
}

func TestNobodyNearEnoughSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.put("pay-3", "10.0.0.3:80", in("us", "us-a"))
		w.registry.SetPolicy("shop/pay", &musterv1.TrafficPolicy{LocalityRule: musterv1.LocalityRule_LOCALITY_RULE_REQUIRE_REGION})
		c := w.channel(t)
		_, err := call(t, c)
		want := "shop/pay has 1 instance, none takes requests: 1 too far away [NO_INSTANCES]"
		if got := failure(t, err, muster.ReasonNoInstances); got != want {
			t.Errorf("text\n%s\nwant\n%s", got, want)
		}
	}, muster.WithLocality("eu", "eu-a"))
}

func TestSubsetBoundsConnections(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2", "3", "4", "5"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		w.registry.SetPolicy("shop/pay", &musterv1.TrafficPolicy{SubsetSize: 2})
		one, two := w.channel(t), w.channel(t)
		settle()
		first, second := spread(t, one, 60), spread(t, two, 60)
		if len(first) != 2 {
			t.Errorf("calls %v, want two endpoints", first)
		}
		for a := range first {
			if second[a] == 0 {
				t.Errorf("channels of one client use different endpoints: %v, %v", first, second)
			}
		}
	})
}

func TestPanicWarnsOnceAndCounts(t *testing.T) {
	seen := &events{}
	var log bytes.Buffer
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80", feeling(musterv1.Health_HEALTH_UNHEALTHY))
		c := w.channel(t)
		for weight := range uint32(5) {
			spread(t, c, 1)
			w.put("pay-1", "10.0.0.1:80", weighing(weight+1), feeling(musterv1.Health_HEALTH_UNHEALTHY))
			settle()
		}
		w.put("pay-1", "10.0.0.1:80")
		settle()
		want := []muster.PanicChanged{{Service: "shop/pay", Panic: true}, {Service: "shop/pay", Panic: false}}
		if diff := cmp.Diff(want, eventsOf[muster.PanicChanged](seen)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if n := w.client.Stats().Panics; n != 1 {
			t.Errorf("%d panics counted", n)
		}
		const text = "0 of 1 instances of shop/pay are healthy, too few: health is ignored until more are"
		if n := strings.Count(log.String(), text); n != 1 {
			t.Errorf("%d warnings in\n%s", n, log.String())
		}
	}, muster.WithObserver(seen), muster.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
}
