// Command greeter offers the service demo/greeter: it listens, registers, greets
// whoever calls, and on SIGTERM or Ctrl-C drains before it stops.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"

	muster "github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/mustergrpc"
	greeterv1 "github.com/muster-registry/muster/examples/go/gen/greeter/v1"
	"github.com/muster-registry/muster/examples/go/internal/jsonl"
)

type config struct {
	servers, service, id, version, zone, host, advertise string
	port                                                 uint
	ttl                                                  time.Duration
}

func flags() config {
	var c config
	flag.StringVar(&c.servers, "servers", "127.0.0.1:7070", "registry servers, separated by commas")
	flag.StringVar(&c.service, "service", "demo/greeter", "namespace/service to register as")
	flag.StringVar(&c.id, "id", "", "instance id; empty draws one at random")
	flag.StringVar(&c.version, "version", "1.0.0", "version to register")
	flag.StringVar(&c.zone, "zone", "", "zone to register")
	flag.StringVar(&c.host, "host", "127.0.0.1", "address to listen on")
	flag.UintVar(&c.port, "port", 0, "port to listen on; 0 takes a free one")
	flag.StringVar(&c.advertise, "advertise", "", "address to register; empty is that of the listener")
	flag.DurationVar(&c.ttl, "ttl", 15*time.Second, "how long the registry waits for a silent process")
	flag.Parse()
	return c
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, flags()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(c.host, strconv.FormatUint(uint64(c.port), 10)))
	if err != nil {
		return err
	}
	if c.advertise == "" {
		if c.advertise, err = muster.AdvertiseFrom(listener); err != nil {
			return err
		}
	}
	client, err := muster.New(strings.Split(c.servers, ","),
		muster.WithName(c.id), muster.WithTTL(c.ttl),
		muster.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	if err != nil {
		return err
	}
	defer client.Close()

	namespace, service, _ := strings.Cut(c.service, "/")
	registration, err := client.Register(ctx, muster.InstanceSpec{
		Namespace: namespace, Service: service, ID: c.id, Version: c.version,
		Endpoints: []muster.EndpointSpec{{Address: c.advertise}},
		Locality:  muster.Locality{Zone: c.zone},
		Lifecycle: muster.Starting, // Serve says SERVING once it listens
	})
	if err != nil {
		return err
	}
	told := make(chan struct{})
	go tell(registration, c.advertise, told)

	server := grpc.NewServer()
	greeterv1.RegisterGreeterServiceServer(server, &greeter{id: registration.Keys()[0].ID, version: c.version})
	err = mustergrpc.Serve(ctx, server, listener, registration)
	_ = client.Close() // ends what tell waits for
	<-told
	return err
}

// tell writes where the greeter listens, and each state of its registration.
func tell(registration *muster.Registration, address string, done chan<- struct{}) {
	defer close(done)
	jsonl.Write(struct {
		jsonl.Header
		Address string `json:"address"`
	}{jsonl.Now("listening"), address})
	for {
		status := registration.Status()
		jsonl.Write(struct {
			jsonl.Header
			State       string `json:"state"`
			Incarnation uint64 `json:"incarnation"`
			Message     string `json:"message"`
		}{jsonl.Now("registration"), status.State.String(), status.Incarnation, status.Reason})
		if status.State.Final() {
			return
		}
		<-status.Superseded()
	}
}
