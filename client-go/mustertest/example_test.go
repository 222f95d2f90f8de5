package mustertest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/mustertest"
)

// payments is the test of a program that calls a service: it sees an instance
// come, and go by a missed TTL, without waiting in real time.
func payments(t *testing.T) {
	registry := mustertest.NewRegistry(t)
	registry.Register(muster.InstanceSpec{Namespace: "shop", Service: "pay", ID: "a"})
	client := registry.Client()

	pay, err := client.Subscribe(muster.Service("shop", "pay"))
	if err != nil {
		t.Fatal(err)
	}
	view, err := pay.Wait(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	registry.Expire("shop/pay/a")
	<-view.Superseded()
	if why := pay.View().Intent(); why != muster.AllExpired {
		t.Errorf("the view is empty because of %v", why)
	}
}

func ExampleNewRegistry() {
	inTest := func(t *testing.T) { synctest.Test(t, payments) }
	fmt.Println(inTest != nil)
	// Output: true
}

func TestExample(t *testing.T) { synctest.Test(t, payments) }

// A registry that is cut off: leases expire meanwhile, and the client registers
// again by itself.
func TestExampleCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := mustertest.NewRegistry(t)
		_, err := registry.Client().Register(t.Context(), muster.InstanceSpec{Namespace: "shop", Service: "pay", ID: "a"})
		if err != nil {
			t.Fatal(err)
		}
		registry.Cut()
		time.Sleep(16 * time.Second) // in the bubble's time
		if n := len(registry.Instances("shop/pay")); n != 0 {
			t.Errorf("%d instances after a missed TTL", n)
		}
		registry.Heal()
		time.Sleep(10 * time.Second)
		if n := len(registry.Instances("shop/pay")); n != 1 {
			t.Errorf("%d instances after the registry came back", n)
		}
	})
}
