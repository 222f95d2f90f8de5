package muster_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/muster-registry/muster/client-go"
)

// A process registers itself and watches its own service.
func Example() {
	client, err := muster.New([]string{"127.0.0.1:7070"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }() // deregisters

	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		log.Fatal(err)
	}
	address, err := muster.AdvertiseFrom(listener)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if _, err = client.Register(ctx, muster.InstanceSpec{
		Namespace: "shop", Service: "pay", Endpoints: []muster.EndpointSpec{{Address: address}},
	}); err != nil {
		log.Fatal(err)
	}
	pay, err := client.Subscribe(muster.Service("shop", "pay"))
	if err != nil {
		log.Fatal(err)
	}
	for update, err := range pay.Updates(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(update.View().Instances()), "instances")
	}
}

// Setters say what is wanted; the client brings the registry there.
func ExampleRegistration() {
	client, err := muster.New([]string{"127.0.0.1:7070"})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	registration, err := client.Register(ctx, muster.InstanceSpec{
		Namespace: "shop", Service: "pay", ID: "pay-7", Version: "1.4.2",
		Endpoints: []muster.EndpointSpec{{Address: "10.0.0.7:8080"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	registration.SetHealth(muster.Degraded, "the database answers slowly")
	registration.SetWeight(50)
	if err := registration.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	report, err := registration.Drain(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report) // drained: 14/14 watchers confirmed in 38ms
}

// A select loop follows a subscription by its views.
func ExampleSubscription_View() {
	client, err := muster.New([]string{"127.0.0.1:7070"})
	if err != nil {
		log.Fatal(err)
	}
	pay, err := client.Subscribe(muster.Service("shop", "pay"))
	if err != nil {
		log.Fatal(err)
	}
	defer pay.Close()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for pay.Err() == nil {
		view := pay.View()
		fmt.Println(view.Intent(), view.Freshness(), len(view.Instances()))
		select {
		case <-view.Superseded():
		case <-tick.C:
		}
	}
}
