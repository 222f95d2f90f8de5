// Package echo is the gRPC service that backends of scenarios serve: it answers
// with the name of the backend.
package echo

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Service answers /conformance.Echo/Name with a name. What is asked is after how
// long to answer, such as "20ms"; anything else is at once.
func Service(name string) *grpc.ServiceDesc {
	answer := func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var asked wrapperspb.StringValue
		if err := decode(&asked); err != nil {
			return nil, err
		}
		if delay, err := time.ParseDuration(asked.GetValue()); err == nil {
			select {
			case <-time.After(delay):
			case <-ctx.Done():
				// No answer: it could overtake the deadline of who asked.
				return nil, status.FromContextError(ctx.Err()).Err()
			}
		}
		return wrapperspb.String(name), nil
	}
	return &grpc.ServiceDesc{
		ServiceName: "conformance.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Name", Handler: answer}},
	}
}
