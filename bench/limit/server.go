package limit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	// Role is the argument that makes the benchmark's program the limit's server.
	Role = "serve-limit"

	serviceName  = "muster.bench.v1.LimitService"
	methodUnary  = "/" + serviceName + "/Unary"
	methodStream = "/" + serviceName + "/Stream"
	maxPayload   = 64 << 20
)

// Serve is the server's role: it serves until the context ends.
func Serve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(Role, flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", *listen, err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(maxPayload))
	s := &server{ready: make([]byte, maxPayload)}
	g.RegisterService(&description, s)
	stop := context.AfterFunc(ctx, g.Stop)
	defer stop()
	return g.Serve(lis)
}

// server answers with as many bytes as it is asked for.
type server struct {
	// ready is never written: its pages cost no memory until they are read, and
	// then are all the kernel's one page of zeros.
	ready []byte
}

func (s *server) answer(in *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	n, ok := wanted(in.GetValue())
	if !ok || n > maxPayload {
		return nil, status.Errorf(codes.InvalidArgument, "the payload of %d bytes asks for no answer up to %d", len(in.GetValue()), maxPayload)
	}
	return &wrapperspb.BytesValue{Value: s.ready[:n]}, nil
}

// description is what protoc-gen-go-grpc would have written for the service.
var description = grpc.ServiceDesc{
	ServiceName: serviceName,
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
	Streams: []grpc.StreamDesc{
		{StreamName: "Stream", Handler: stream, ServerStreams: true, ClientStreams: true},
	},
}

//nolint:revive // the order of the parameters is grpc's
func unary(srv any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.BytesValue)
	if err := decode(in); err != nil {
		return nil, err
	}
	return srv.(*server).answer(in)
}

// stream answers each message with one.
func stream(srv any, s grpc.ServerStream) error {
	for {
		in := new(wrapperspb.BytesValue)
		if err := s.RecvMsg(in); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		out, err := srv.(*server).answer(in)
		if err != nil {
			return err
		}
		if err := s.SendMsg(out); err != nil {
			return err
		}
	}
}
