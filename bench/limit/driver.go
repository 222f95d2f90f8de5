package limit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/proc"
	"github.com/muster-registry/muster/bench/raw"
)

// Target starts the limit's server.
type Target struct{}

// Name is "limit".
func (Target) Name() string { return "limit" }

// Start starts it.
func (Target) Start(ctx context.Context, c drive.Config) (drive.Server, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the benchmark's own program: %w", err)
	}
	address, err := proc.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	conns, err := raw.Dial(address, c.Conns)
	if err != nil {
		return nil, err
	}
	p, err := proc.Start(proc.Command{Path: program, Args: append([]string{Role, "-listen", address}, c.Args...)})
	if err != nil {
		return nil, errors.Join(err, conns.Close())
	}
	s := &Server{process: p, Conns: conns}
	if !c.Unready {
		if err := conns.Ready(ctx, p.Exited(), s.unary(minRequest, 2).call); err != nil {
			return nil, errors.Join(fmt.Errorf("the limit's server: %w", err), p.Err(), s.Close())
		}
	}
	s.ready = time.Since(p.Started())
	return s, nil
}

// Server is a running limit server.
type Server struct {
	// Conns are the clients' connections.
	Conns   *raw.Conns
	process *proc.Process
	ready   time.Duration
}

var (
	_ drive.Target         = Target{}
	_ drive.Registrar      = (*Server)(nil)
	_ drive.BatchRegistrar = (*Server)(nil)
	_ drive.Renewer        = (*Server)(nil)
	_ drive.Looker         = (*Server)(nil)
)

// Process is the child.
func (s *Server) Process() *proc.Process { return s.process }

// Ready is the time from exec to the first answer.
func (s *Server) Ready() time.Duration { return s.ready }

// Close ends it.
func (s *Server) Close() error { return errors.Join(s.Conns.Close(), s.process.Stop()) }

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
