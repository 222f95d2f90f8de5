package main

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc"

	muster "github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/mustergrpc"
	"github.com/muster-registry/muster/conformance/echo"
)

// serve runs a gRPC server from listening to drained: serve NAME KEY, with the
// options of register. It answers calls with its id.
func (t *testee) serve(ctx context.Context, c command) (answer, error) { //nolint:contextcheck // it goes on after the command
	cl, err := t.client(c)
	if err != nil {
		return nil, err
	}
	if len(c.Args) != 2 {
		return nil, errors.New("serve wants: serve NAME KEY")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s, err := spec(c, c.Args[1])
	if err == nil {
		s.Lifecycle = muster.Starting // Serve says SERVING once it listens
		s.Endpoints[0].Address, err = muster.AdvertiseFrom(listener)
	}
	if err != nil {
		return nil, err
	}
	r, err := cl.Register(ctx, s)
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer()
	server.RegisterService(echo.Service(s.ID), nil)
	running, stop := context.WithCancel(context.Background())
	kept := &registration{Registration: r, stop: stop, served: make(chan error, 1)}
	t.keep(c.name(), kept)
	t.tasks.Go(func() { kept.served <- mustergrpc.Serve(running, server, listener, r) })
	return nil, nil
}

// stop ends serve, which drains first: stop NAME.
func (t *testee) stop(_ context.Context, c command) (answer, error) {
	r, err := t.registration(c)
	if err != nil {
		return nil, err
	}
	if r.stop == nil {
		return nil, missing(c, "server")
	}
	r.stop()
	return nil, <-r.served
}
