package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	greeterv1 "github.com/muster-registry/muster/examples/go/gen/greeter/v1"
)

// maxGreetings is how many greetings one stream gives at most.
const maxGreetings = 1000

// greeter implements greeter.v1.GreeterService.
type greeter struct {
	greeterv1.UnimplementedGreeterServiceServer
	id, version string
}

// Greet greets once.
func (g *greeter) Greet(_ context.Context, r *greeterv1.GreetRequest) (*greeterv1.GreetResponse, error) {
	return &greeterv1.GreetResponse{Text: text(r.GetName()), InstanceId: g.id, Version: g.version}, nil
}

// GreetMany greets several times on one stream.
func (g *greeter) GreetMany(
	r *greeterv1.GreetManyRequest, stream grpc.ServerStreamingServer[greeterv1.GreetManyResponse],
) error {
	if r.GetCount() > maxGreetings {
		return status.Errorf(codes.InvalidArgument, "count %d is more than %d", r.GetCount(), maxGreetings)
	}
	for number := uint32(1); number <= r.GetCount(); number++ {
		answer := &greeterv1.GreetManyResponse{Text: text(r.GetName()), InstanceId: g.id, Number: number}
		if err := stream.Send(answer); err != nil {
			return fmt.Errorf("greeting %d: %w", number, err)
		}
	}
	return nil
}

func text(name string) string {
	if name == "" {
		name = "world"
	}
	return "hello, " + name
}
