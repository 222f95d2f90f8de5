package mustergrpc_test

import (
	"context"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/mustergrpc"
)

// A caller dials a service by its name.
func ExampleNewClient() {
	client, err := muster.New([]string{"127.0.0.1:7070"})
	if err != nil {
		log.Fatal(err)
	}
	conn, err := mustergrpc.NewClient(client, "muster:///shop/pay")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answer, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	log.Println(answer, err)
}

// A server registers, serves, and drains on SIGTERM.
func ExampleServe() {
	client, err := muster.New([]string{"127.0.0.1:7070"})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", ":8080")
	if err != nil {
		log.Fatal(err)
	}
	address, err := muster.AdvertiseFrom(listener)
	if err != nil {
		log.Fatal(err)
	}
	registration, err := client.Register(context.Background(), muster.InstanceSpec{
		Namespace: "shop", Service: "pay", Lifecycle: muster.Starting,
		Endpoints: []muster.EndpointSpec{{Address: address}},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	if err := mustergrpc.Serve(context.Background(), server, listener, registration); err != nil {
		log.Print(err)
	}
	if err := client.Close(); err != nil {
		log.Print(err)
	}
}
