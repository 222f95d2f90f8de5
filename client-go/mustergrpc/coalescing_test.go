package mustergrpc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/client-go/internal/defaults"
)

// When calls learn that connections have come or gone.

func TestGainedConnectionsWaitForOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
		}
		w.put("pay-1", "10.0.0.1:80")
		c := w.channel(t)
		synctest.Wait()
		w.put("pay-2", "10.0.0.2:80")
		synctest.Wait()
		if n := w.fleet.connections("10.0.0.2:80"); n != 1 {
			t.Fatalf("%d connections to the new endpoint, want 1", n)
		}
		began := time.Now()
		if diff := cmp.Diff(map[string]int{"10.0.0.1:80": 50}, spread(t, c, 50)); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("the calls took %v", d)
		}
		time.Sleep(defaults.Coalesce) // virtual
		synctest.Wait()
		if got := spread(t, c, 50); len(got) != 2 {
			t.Errorf("only %v answer", got)
		}
	})
}

func TestTheFirstConnectionAndLostOnesWaitForNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		c := w.channel(t)
		began := time.Now()
		spread(t, c, 50)
		if d := time.Since(began); d != 0 {
			t.Errorf("the first calls took %v", d)
		}
		settle()
		if got := spread(t, c, 50); len(got) != 2 {
			t.Errorf("only %v answer", got)
		}
		w.fleet.stop("10.0.0.1:80")
		synctest.Wait()
		began = time.Now()
		if diff := cmp.Diff(map[string]int{"10.0.0.2:80": 50}, spread(t, c, 50)); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("calls after the loss took %v", d)
		}
	})
}
