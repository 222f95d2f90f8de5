package mustergrpc

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// whoAnswers is the endpoint of each key.
func whoAnswers(t *testing.T, c healthpb.HealthClient, keys int) map[string]string {
	t.Helper()
	answers := map[string]string{}
	for n := range keys {
		key := fmt.Sprint("user-", n)
		for range 2 {
			endpoint, err := callIn(WithHashKey(t.Context(), key), c)
			if err != nil {
				t.Fatal(err)
			}
			if before, ok := answers[key]; ok && before != endpoint {
				t.Errorf("%s went to %s, then to %s", key, before, endpoint)
			}
			answers[key] = endpoint
		}
	}
	return answers
}

func TestEqualHashKeysGoToTheSameInstance(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2", "3"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		c := w.channel(t)
		settle()
		before := whoAnswers(t, c, 30)
		w.fleet.stop("10.0.0.2:80")
		settle()
		counts := map[string]int{}
		for key, after := range whoAnswers(t, c, 30) {
			counts[before[key]]++
			if before[key] != "10.0.0.2:80" && before[key] != after {
				t.Errorf("%s moved from %s to %s, although that is still there", key, before[key], after)
			}
		}
		if len(counts) != 3 {
			t.Errorf("keys by endpoint: %v, want all three", counts)
		}
		w.fleet.start("10.0.0.2:80")
		w.remove(expired, "pay-2")
		w.put("pay-2", "10.0.0.2:80") // anew, so it is tried at once
		settle()
		if diff := cmp.Diff(before, whoAnswers(t, c, 30)); diff != "" {
			t.Errorf("after it came back (-before +after):\n%s", diff)
		}
	})
}

func TestPinnedCallsGoToTheirInstance(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2", "3"} {
			w.fleet.start("10.0.0." + a + ":80")
		}
		w.put("pay-1", "10.0.0.1:80")
		w.put("pay-2", "10.0.0.2:80", feeling(musterv1.Health_HEALTH_UNHEALTHY))
		w.put("pay-3", "10.0.0.3:80", being(musterv1.Lifecycle_LIFECYCLE_DRAINING))
		w.put("pay-4", "10.0.0.4:80")
		w.put("pay-5", "10.0.0.1:80", weighing(0)) // at the address of one that takes calls
		w.put("pay-6", "10.0.0.1:80", being(musterv1.Lifecycle_LIFECYCLE_DRAINING))
		c := w.channel(t)
		for _, a := range []string{"1", "2"} {
			for range 10 {
				endpoint, err := callIn(WithInstance(t.Context(), "pay-"+a), c)
				if err != nil || endpoint != "10.0.0."+a+":80" {
					t.Fatalf("pay-%s: %s, %v", a, endpoint, err)
				}
			}
		}
		settle()
		for id, want := range map[string]struct {
			reason muster.Reason
			text   string
		}{
			"pay-3": {muster.ReasonNoInstances, `instance "pay-3" of shop/pay takes no requests: it is draining [NO_INSTANCES]`},
			"pay-4": {muster.ReasonNoReadyEndpoint, `instance "pay-4" of shop/pay cannot be reached: 10.0.0.4:80: connection refused; still retrying [NO_READY_ENDPOINT]`},
			"pay-5": {muster.ReasonNoInstances, `instance "pay-5" of shop/pay takes no requests: it is of weight 0 [NO_INSTANCES]`},
			"pay-6": {muster.ReasonNoInstances, `instance "pay-6" of shop/pay takes no requests: it is draining [NO_INSTANCES]`},
			"pay-9": {muster.ReasonInstanceUnknown, `shop/pay has no instance "pay-9" (epoch 7, revision 106) [INSTANCE_UNKNOWN]`},
		} {
			_, err := callIn(WithInstance(t.Context(), id), c)
			if got := failure(t, err, want.reason); got != want.text {
				t.Errorf("text\n%s\nwant\n%s", got, want.text)
			}
		}
		if n := w.client.Stats().PickFailures; n != 5 {
			t.Errorf("%d picks failed, want 5", n)
		}
		_, err := callIn(WithInstance(t.Context(), "pay-9"), c, grpc.WaitForReady(true))
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("a pinned call that waits for readiness: %v", err)
		}
	})
}

func TestPinnedCallWaitsForTheFirstView(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		endpoint, err := callIn(WithInstance(t.Context(), "pay-1"), w.channel(t))
		if err != nil || endpoint != "10.0.0.1:80" {
			t.Errorf("%s, %v", endpoint, err)
		}
	})
}
