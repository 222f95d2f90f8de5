package mustergrpc

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestRefusedCallGoesToAnotherInstance(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		refuser := w.fleet.startRefuser(t, "10.0.0.1:80")
		w.fleet.start("10.0.0.2:80")
		// However heavy the refuser is: it is not chosen twice for one call. Few
		// enough calls that it is not ejected.
		w.put("pay-1", "10.0.0.1:80", weighing(1_000_000))
		w.put("pay-2", "10.0.0.2:80", weighing(1))
		c := w.channel(t)
		settle()
		for range 4 {
			if endpoint, err := call(t, c); err != nil || endpoint != "10.0.0.2:80" {
				t.Errorf("%s, %v", endpoint, err)
			}
		}
		if n := refuser.requests.Load(); n != 4 {
			t.Errorf("the refuser was asked %d times, want once for each call", n)
		}
	})
}

func TestInstanceThatRefusesCallsIsEjected(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		refuser := w.fleet.startRefuser(t, "10.0.0.1:80")
		w.fleet.start("10.0.0.2:80")
		w.put("pay-1", "10.0.0.1:80", weighing(1_000_000))
		w.put("pay-2", "10.0.0.2:80", weighing(1))
		c := w.channel(t)
		settle()
		spread(t, c, 20)
		if n := refuser.requests.Load(); n != 5 {
			t.Errorf("the refuser was asked %d times, want 5 until it was ejected", n)
		}
	})
}

func TestTwoRefusalsAreEnough(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		one, two := w.fleet.startRefuser(t, "10.0.0.1:80"), w.fleet.startRefuser(t, "10.0.0.2:80")
		w.put("pay-1", "10.0.0.1:80")
		w.put("pay-2", "10.0.0.2:80")
		c := w.channel(t)
		settle()
		_, err := call(t, c)
		if status.Code(err) != codes.Unavailable {
			t.Errorf("error %v", err)
		}
		if a, b := one.requests.Load(), two.requests.Load(); a != 1 || b != 1 {
			t.Errorf("asked %d and %d times, want each once", a, b)
		}
	})
}

// A channel cannot tell a refusal by the only instance from a connection that
// was lost before the call was sent, so it asks once more.
func TestOnlyInstanceIsAskedOnceMore(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		refuser := w.fleet.startRefuser(t, "10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		_, err := call(t, w.channel(t))
		if status.Code(err) != codes.Unavailable {
			t.Errorf("error %v", err)
		}
		if n := refuser.requests.Load(); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
	})
}

func TestProcessedCallsAreNeverSentAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
			w.fleet.fail("10.0.0."+a+":80", codes.Unavailable)
		}
		c := w.channel(t)
		settle()
		_, err := call(t, c)
		if status.Code(err) != codes.Unavailable {
			t.Errorf("error %v", err)
		}
		if n := w.client.Stats().RPCs; n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
}
