package stage

import (
	"net"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/muster-registry/muster/conformance/echo"
	"github.com/muster-registry/muster/conformance/harness/listen"
)

// Backend is a gRPC server that says its name.
type Backend struct {
	// Address where it serves.
	Address string

	server   *grpc.Server
	done     chan struct{}
	accepted *atomic.Int64
}

// counting counts what a listener accepts.
type counting struct {
	net.Listener
	accepted *atomic.Int64
}

// Accept implements net.Listener.
func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.accepted.Add(1)
	}
	return conn, err
}

// Connections is how many it accepted since it started last.
func (b *Backend) Connections() int { return int(b.accepted.Load()) }

func startBackend(address, name string) (*Backend, error) {
	listener, err := listen.On(address)
	if err != nil {
		return nil, err
	}
	b := &Backend{Address: address, server: grpc.NewServer(), done: make(chan struct{}), accepted: &atomic.Int64{}}
	b.server.RegisterService(echo.Service(name), nil)
	go func() {
		defer close(b.done)
		_ = b.server.Serve(counting{listener, b.accepted})
	}()
	return b, nil
}

// Kill ends it and its connections at once.
func (b *Backend) Kill() {
	b.server.Stop()
	<-b.done
}

// Stop ends it gracefully: GOAWAY, and calls under way are answered.
func (b *Backend) Stop() {
	b.server.GracefulStop()
	<-b.done
}
