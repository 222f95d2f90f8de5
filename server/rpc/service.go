// Package rpc is the registry's edge: it checks each request, calls the
// registry, and says in the contract's words what came of it. Handlers are
// thin; what they need to know of a connection comes from the context.
package rpc

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/registry"
	"github.com/muster-registry/muster/server/validate"
)

// Protocol versions that this server serves.
const (
	OldestProtocol = 1
	NewestProtocol = 1
)

// Service implements the contract's services.
type Service struct {
	registry *registry.Registry
	check    *validate.Validator
	limits   *musterv1.Limits
	log      *slog.Logger
	version  string
	serverID string
	answers  *answers

	stopOnce sync.Once
	stopping chan struct{}
}

// Options are what a Service needs.
type Options struct {
	Registry *registry.Registry
	Limits   validate.Limits
	Log      *slog.Logger
	// Version is the release, for GetServerInfo.
	Version string
	// ServerID is random, new at each start.
	ServerID string
}

// New makes a Service.
func New(o Options) *Service {
	return &Service{
		registry: o.Registry, check: validate.New(o.Limits, servedFeatures()...), limits: o.Limits.Proto(),
		log: o.Log, version: o.Version, serverID: o.ServerID, stopping: make(chan struct{}),
		answers: newAnswers(answersBytes),
	}
}

// RegisterOn registers the services with a gRPC server.
func (s *Service) RegisterOn(g *grpc.Server) {
	r := registration{Service: s}
	g.RegisterService(withHandlers(musterv1.RegistrationService_ServiceDesc, map[string]grpc.MethodHandler{
		"Register": handlerOf(musterv1.RegistrationService_Register_FullMethodName, r.register),
	}), r)
	d := discovery{Service: s}
	g.RegisterService(withHandlers(musterv1.DiscoveryService_ServiceDesc, map[string]grpc.MethodHandler{
		"Lookup": handlerOf(musterv1.DiscoveryService_Lookup_FullMethodName, d.lookup),
	}), d)
	musterv1.RegisterServerServiceServer(g, info{Service: s})
	musterv1.RegisterAdminServiceServer(g, admin{Service: s})
}

// Stop begins to refuse calls and ends all streams, with an error that sends
// clients elsewhere. It is idempotent and does not wait.
func (s *Service) Stop() { s.stopOnce.Do(func() { close(s.stopping) }) }

func shuttingDown() error {
	return fault.New(musterv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN, "this server is stopping; use another one, or try again")
}

// toStatus turns any error into one that a client understands. Every handler
// returns through it.
func toStatus(err error) error {
	var invalid *validate.Error
	var f *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		f = invalidFault(invalid)
	case errors.As(err, &f):
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the call was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the call's deadline passed; its outcome is unknown")
	default:
		f = fault.New(musterv1.ErrorReason_ERROR_REASON_INTERNAL, "%v", err)
	}
	return f.GRPCStatus().Err()
}

func invalidFault(e *validate.Error) *fault.Error {
	f := fault.New(e.Reason(), "%s", e.Error())
	f.Metadata = e.Metadata()
	for _, v := range e.Violations {
		d := v.Problem
		if v.Value != "" {
			d = `"` + v.Value + `" ` + d
		}
		f.Violations = append(f.Violations, fault.Violation{Field: v.Field, Description: d})
	}
	return f
}
