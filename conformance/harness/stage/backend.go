package stage

import (
	"context"
	"net"

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

	server *grpc.Server
	done   chan struct{}
}

func startBackend(address, name string) (*Backend, error) {
	listener, err := net.Listen("tcp", address) //nolint:noctx // does not block
	if err != nil {
		return nil, err
	}
	b := &Backend{Address: address, server: grpc.NewServer(), done: make(chan struct{})}
	b.server.RegisterService(echo(name), nil)
	go func() {
		defer close(b.done)
		_ = b.server.Serve(listener)
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
	answer := func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var asked wrapperspb.StringValue
		if err := decode(&asked); err != nil {
			return nil, err
		}
		return wrapperspb.String(name), nil
	}
	return &grpc.ServiceDesc{
		ServiceName: "conformance.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Name", Handler: answer}},
	}
}
