package limit

import (
	"context"

	"github.com/muster-registry/muster/bench/child"
	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
)

// Target starts the limit's server.
type Target struct{}

// Name is "limit".
func (Target) Name() string { return "limit" }

// Start starts it.
func (Target) Start(ctx context.Context, c drive.Config) (drive.Server, error) {
	running, err := child.StartOwn(ctx, c.Conns, func(address string) []string {
		return append([]string{Role, "-listen", address}, c.Args...)
	})
	if err != nil {
		return nil, err
	}
	s := &Server{Server: running}
	if err := s.Answered(ctx, c.Unready, "the limit", s.unary(minRequest, 2).call); err != nil {
		return nil, err
	}
	return s, nil
}

// Server is a running limit server.
type Server struct {
	*child.Server
}

var (
	_ drive.Target         = Target{}
	_ drive.Registrar      = (*Server)(nil)
	_ drive.BatchRegistrar = (*Server)(nil)
	_ drive.Renewer        = (*Server)(nil)
	_ drive.Looker         = (*Server)(nil)
)

// Register is an echo with the sizes of Muster's messages.
func (s *Server) Register() drive.Op {
	return s.unary(payload.RegisterTemplate(1, 0).Size(), payload.RegisterResponseBytes).op
}

// RegisterBatch is an echo with the sizes of Muster's messages.
func (s *Server) RegisterBatch(n int) drive.Op {
	return s.unary(payload.RegisterTemplate(n, 0).Size(), payload.RegisterResponseBytes).op
}

// Fill does nothing.
func (s *Server) Fill(context.Context, int) error { return nil }

// Lookup is an echo of the wanted sizes.
func (s *Server) Lookup(_ context.Context, spec drive.LookupSpec) (*drive.Lookup, error) {
	e := s.unary(spec.RequestBytes, spec.ResponseBytes)
	return &drive.Lookup{Do: e.op, RequestBytes: len(e.request), ResponseBytes: spec.ResponseBytes}, nil
}

// Smallest is the smallest unary call there is: nothing to say and nothing to answer.
func (s *Server) Smallest() drive.Op { return s.unary(minRequest, 0).op }
