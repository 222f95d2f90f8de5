package rpc

import (
	"context"
	"runtime/debug"
	"strconv"
	"strings"

	"google.golang.org/grpc"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
)

// admit decides whether a call is served at all.
func (s *Service) admit(ctx context.Context, method string) error {
	if isStopping(s) {
		return shuttingDown()
	}
	// Calls of others' services (health, reflection) know no protocol version,
	// and anyone may ask what is served.
	if !strings.HasPrefix(method, "/muster.v1.") || method == musterv1.ServerService_GetServerInfo_FullMethodName {
		return nil
	}
	p := first(ctx, keyProtocol)
	if p == "" {
		return nil
	}
	if n, err := strconv.Atoi(p); err != nil || n < OldestProtocol || n > NewestProtocol {
		return fault.New(musterv1.ErrorReason_ERROR_REASON_PROTOCOL_NOT_SERVED,
			"protocol version %q is not served; this server serves %d to %d", p, OldestProtocol, NewestProtocol).
			With("oldest", strconv.Itoa(OldestProtocol)).With("newest", strconv.Itoa(NewestProtocol))
	}
	return nil
}

// AdmitUnary refuses calls while the server stops, and those of protocols that
// it does not speak.
func (s *Service) AdmitUnary(ctx context.Context, req any, i *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
	if err := s.admit(ctx, i.FullMethod); err != nil {
		return nil, toStatus(err)
	}
	return h(ctx, req)
}

// AdmitStream is AdmitUnary for streams.
func (s *Service) AdmitStream(srv any, ss grpc.ServerStream, i *grpc.StreamServerInfo, h grpc.StreamHandler) error {
	if err := s.admit(ss.Context(), i.FullMethod); err != nil {
		return toStatus(err)
	}
	return h(srv, ss)
}

// Recovered turns a panic of a handler into an error of that call. The
// registry's state is not at risk: handlers only propose.
func (s *Service) Recovered(p any) error {
	s.log.Error("a call made the server panic; please report this", "panic", p, "stack", string(debug.Stack()))
	return toStatus(fault.New(musterv1.ErrorReason_ERROR_REASON_INTERNAL, "a defect of the server; its log says more"))
}
