package stage

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// EchoMethod is the call that testees make through channels: a StringValue for
// a StringValue, the name of the backend that answers.
const EchoMethod = "/conformance.Echo/Name"

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
	listener, err := net.Listen("tcp", address) //nolint:noctx // does not block
	if err != nil {
		return nil, err
	}
	b := &Backend{Address: address, server: grpc.NewServer(), done: make(chan struct{}), accepted: &atomic.Int64{}}
	b.server.RegisterService(echo(name), nil)
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

func echo(name string) *grpc.ServiceDesc {
	answer := func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var asked wrapperspb.StringValue
		if err := decode(&asked); err != nil {
			return nil, err
		}
		// What is asked is after how long to answer.
		if delay, err := time.ParseDuration(asked.GetValue()); err == nil {
			select {
			case <-time.After(delay):
			case <-ctx.Done():
			}
		}
		return wrapperspb.String(name), nil
	}
	return &grpc.ServiceDesc{
		ServiceName: "conformance.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Name", Handler: answer}},
	}
}
