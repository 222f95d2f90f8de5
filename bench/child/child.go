// Package child is what the drivers of all servers have in common: a child
// process, the connections to it, and when it was ready.
package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/muster-registry/muster/bench/proc"
	"github.com/muster-registry/muster/bench/raw"
)

// Server is a running server. Drivers embed it.
type Server struct {
	// Conns are the clients' connections.
	Conns   *raw.Conns
	process *proc.Process
	ready   time.Duration
}

// Start starts the program that command makes of an address to listen on, with
// so many connections to it. Close must follow.
func Start(ctx context.Context, conns int, command func(address string) proc.Command) (*Server, error) {
	address, err := proc.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	c, err := raw.Dial(address, conns)
	if err != nil {
		return nil, err
	}
	p, err := proc.Start(command(address))
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &Server{Conns: c, process: p}, nil
}

// StartOwn is Start with a role of the benchmark's own program, whose
// arguments args makes.
func StartOwn(ctx context.Context, conns int, args func(address string) []string) (*Server, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the benchmark's own program: %w", err)
	}
	return Start(ctx, conns, func(address string) proc.Command {
		return proc.Command{Path: program, Args: args(address)}
	})
}

// Answered waits until a call succeeds, and notes how long that took from the
// start, unless unready says that nobody cares. After an error the server is
// closed; name says in it whose server it was.
func (s *Server) Answered(ctx context.Context, unready bool, name string, call func(ctx context.Context, conn int) error) error {
	if !unready {
		if err := s.Conns.Ready(ctx, s.process.Exited(), call); err != nil {
			return errors.Join(fmt.Errorf("%s's server: %w", name, err), s.process.Err(), s.Close())
		}
	}
	s.ready = time.Since(s.process.Started())
	return nil
}

// Process is the child.
func (s *Server) Process() *proc.Process { return s.process }

// Ready is the time from exec to the first answer.
func (s *Server) Ready() time.Duration { return s.ready }

// Await returns as soon as the server takes connections.
func (s *Server) Await(ctx context.Context) error { return s.Conns.Await(ctx, s.process.Exited()) }

// Close ends it.
func (s *Server) Close() error { return errors.Join(s.Conns.Close(), s.process.Stop()) }
