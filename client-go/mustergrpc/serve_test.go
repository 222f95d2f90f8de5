package mustergrpc

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestServeRunsTheWholeLife(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		listener := bufListener(w.fleet, "10.0.0.1:80")
		server := healthServer()
		registration, err := w.client.Register(t.Context(), muster.InstanceSpec{
			Namespace: "shop", Service: "pay", ID: "pay-1", Lifecycle: muster.Starting,
			Endpoints: []muster.EndpointSpec{{Address: "10.0.0.1:80"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		lifecycle := func() musterv1.Lifecycle {
			synctest.Wait()
			return w.registry.Instances()["shop/pay/pay-1"].GetLifecycle()
		}
		if got := lifecycle(); got != musterv1.Lifecycle_LIFECYCLE_STARTING {
			t.Errorf("lifecycle %v before Serve", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, server, listener, registration) }()
		if got := lifecycle(); got != musterv1.Lifecycle_LIFECYCLE_SERVING {
			t.Errorf("lifecycle %v during Serve", got)
		}
		c := w.channel(t)
		stream, err := c.Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if got := lifecycle(); got != musterv1.Lifecycle_LIFECYCLE_DRAINING {
			t.Errorf("lifecycle %v after ctx ended, with a call in flight", got)
		}
		if _, err := stream.Recv(); err != nil {
			t.Errorf("the call in flight: %v", err)
		}
		began := time.Now()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if d := time.Since(began); d != 20*time.Second {
			t.Errorf("a call that does not end held Serve for %v, want 20 s", d)
		}
		if n := len(w.registry.Instances()); n != 0 || registration.Status().State != muster.Deregistered {
			t.Errorf("%d instances, state %v afterwards", n, registration.Status().State)
		}
	})
}

func TestServeKeepsToTheGracePeriod(t *testing.T) {
	// Retries that would come too late are not waited for.
	for period, most := range map[time.Duration]time.Duration{
		6 * time.Second:  2 * time.Second, // one for watchers, one for deregistering
		30 * time.Second: 10 * time.Second,
		time.Hour:        10 * time.Second,
	} {
		inBubble(t, func(t *testing.T, w *world) {
			listener := bufListener(w.fleet, "10.0.0.1:80")
			registration, err := w.client.Register(t.Context(), muster.InstanceSpec{
				Namespace: "shop", Service: "pay", Endpoints: []muster.EndpointSpec{{Address: "10.0.0.1:80"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			w.server.Stop()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			began := time.Now()
			err = Serve(ctx, healthServer(), listener, registration)
			if d := time.Since(began); err == nil || d > most || d < most*2/3 {
				t.Errorf("without a registry, of %v: %v after %v, want an error after %v", period, err, d, most)
			}
		}, muster.WithGracePeriod(period))
	}
}

func TestServeReturnsTheServersError(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		listener := bufListener(w.fleet, "10.0.0.1:80")
		registration, err := w.client.Register(t.Context(), muster.InstanceSpec{
			Namespace: "shop", Service: "pay", Endpoints: []muster.EndpointSpec{{Address: "10.0.0.1:80"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		if err := Serve(t.Context(), healthServer(), listener, registration); err == nil {
			t.Error("no error")
		}
		if n := len(w.registry.Instances()); n != 0 {
			t.Errorf("%d instances stay registered", n)
		}
	})
}
