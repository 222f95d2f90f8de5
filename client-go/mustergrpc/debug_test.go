package mustergrpc

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestDebugPageTellsOfEverything(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		w.put("pay-2", "10.0.0.2:80", being(musterv1.Lifecycle_LIFECYCLE_STARTING))
		_, err := w.client.Register(t.Context(), muster.InstanceSpec{
			Namespace: "shop", Service: "cart", ID: "cart-1", Lifecycle: muster.Starting,
		})
		if err != nil {
			t.Fatal(err)
		}
		conn := w.conn(t)
		other, err := muster.NewStatic(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		settle()
		time.Sleep(time.Second)
		synctest.Wait()
		response := httptest.NewRecorder()
		DebugHandler(w.client).ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), "GET", "/debug/muster", nil))
		const want = `client orders-3: server a:1, cluster c1
registration shop/cart/cart-1: ACTIVE, lease LEASE
view shop/pay: PRESENT, 2 instances, FRESH, 1s old, from REGISTRY, epoch 7, revision 103
channel shop/pay, epoch 7, revision 103: 1 of 1 healthy
pay-1 10.0.0.1:80 PICKED weight=6553600 in_flight=0 READY
pay-2 10.0.0.2:80 STARTING weight=0 in_flight=0
`
		lease := regexp.MustCompile("lease [0-9a-f]{4}\n")
		if got := lease.ReplaceAllString(response.Body.String(), "lease LEASE\n"); got != want {
			t.Errorf("page:\n%s", got)
		}
		if got := DebugPage(other); got != "client: no registry\n" {
			t.Errorf("page of another client:\n%s", got)
		}
		w.server.Stop()
		time.Sleep(5 * time.Second)
		_ = conn.Close()
		got := DebugPage(w.client)
		if !strings.Contains(got, "\noutage: no registry server reachable: a:1 (connection refused); ") || strings.Contains(got, "channel") {
			t.Errorf("page in an outage:\n%s", got)
		}
	}, muster.WithName("orders-3"))
}
