package mustergrpc

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/defaults"
)

func TestEndpointThatFailsCallsIsEjectedForAWhile(t *testing.T) {
	seen := &events{}
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		c := w.channel(t)
		settle()
		w.fleet.fail("10.0.0.1:80", codes.Internal)
		failures := 0
		for range 100 {
			if _, err := call(t, c); err != nil {
				failures++
			}
		}
		if failures != 5 {
			t.Errorf("%d calls failed, want 5 until the endpoint was ejected", failures)
		}
		want := []muster.EndpointEjected{{Service: "shop/pay", Endpoint: "10.0.0.1:80", Duration: 10 * time.Second}}
		if diff := cmp.Diff(want, eventsOf[muster.EndpointEjected](seen)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		w.fleet.fail("10.0.0.1:80", codes.OK)
		time.Sleep(10*time.Second + defaults.Coalesce)
		if got := spread(t, c, 60); len(got) != 2 {
			t.Errorf("after the ejection only %v answer", got)
		}
		if n := w.fleet.dialled("10.0.0.1:80"); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
		stats := w.client.Stats()
		if stats.RPCs != 160 || stats.RPCFailures != 5 || stats.Ejections != 1 {
			t.Errorf("%d RPCs, %d failures, %d ejections", stats.RPCs, stats.RPCFailures, stats.Ejections)
		}
	}, muster.WithObserver(seen))
}

func TestCodesOfTheCallDoNotEject(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		c := w.channel(t)
		settle()
		w.fleet.fail("10.0.0.1:80", codes.NotFound)
		for range 40 {
			_, _ = call(t, c)
		}
		if n := w.client.Stats().Ejections; n != 0 {
			t.Errorf("%d ejections", n)
		}
	})
}

func TestEjectionIsVoidForANewRegistration(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		c := w.channel(t)
		settle()
		w.fleet.fail("10.0.0.1:80", codes.Unavailable)
		for range 40 {
			_, _ = call(t, c)
		}
		w.fleet.fail("10.0.0.1:80", codes.OK)
		if got := spread(t, c, 40); len(got) != 1 {
			t.Fatalf("%v answer, the first is ejected", got)
		}
		w.remove(expired, "pay-1")
		w.put("pay-1", "10.0.0.1:80")
		settle()
		if got := spread(t, c, 60); len(got) != 2 {
			t.Errorf("after the new registration only %v answer", got)
		}
	})
}

func TestLessLoadedInstanceIsPicked(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		conn := w.conn(t)
		c := healthpb.NewHealthClient(conn)
		settle()
		// A stream counts from its pick to its end.
		ctx, cancel := context.WithCancel(WithInstance(t.Context(), "pay-1"))
		defer cancel()
		stream, err := c.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"10.0.0.2:80": 40}, spread(t, c, 40)); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if n := ExplainPick(conn).Instances[0].InFlight; n != 1 {
			t.Errorf("%d calls in flight", n)
		}
		cancel()
		settle()
		if n := ExplainPick(conn).Instances[0].InFlight; n != 0 {
			t.Errorf("%d calls in flight after the end", n)
		}
		if got := spread(t, c, 60); len(got) != 2 {
			t.Errorf("only %v answer", got)
		}
	})
}
