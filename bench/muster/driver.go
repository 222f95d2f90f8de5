// Package muster is the driver of the registry itself: the real program, with
// its embedded store and its default durability.
package muster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/proc"
	"github.com/muster-registry/muster/bench/raw"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Target starts Muster's server.
type Target struct {
	// Program is the path of the muster program.
	Program string
	// Flags are settings of every server, such as "pprof"; those of a section
	// go before them.
	Flags map[string]string
}

// Name is "muster".
func (Target) Name() string { return "muster" }

// Start starts it.
func (t Target) Start(ctx context.Context, c drive.Config) (drive.Server, error) {
	address, err := proc.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	conns, err := raw.Dial(address, c.Conns)
	if err != nil {
		return nil, err
	}
	args := []string{"server", "--listen", address, "--data-dir", c.Dir, "--log-level", "warn"}
	settings := maps.Clone(t.Flags)
	if settings == nil {
		settings = map[string]string{}
	}
	maps.Copy(settings, c.Flags)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "--"+flagName(name), settings[name])
	}
	p, err := proc.Start(proc.Command{Path: t.Program, Args: args})
	if err != nil {
		return nil, errors.Join(err, conns.Close())
	}
	s := &Server{process: p, Conns: conns, ttl: c.TTL}
	if !c.Unready {
		if err := conns.Ready(ctx, p.Exited(), s.info); err != nil {
			return nil, errors.Join(fmt.Errorf("muster's server: %w", err), p.Err(), s.Close())
		}
	}
	s.ready = time.Since(p.Started())
	return s, nil
}

// flagName turns limits.instances-per-lease into limits-instances-per-lease.
func flagName(setting string) string {
	b := []byte(setting)
	for i := range b {
		if b[i] == '.' {
			b[i] = '-'
		}
	}
	return string(b)
}

// Server is a running registry.
type Server struct {
	// Conns are the clients' connections.
	Conns   *raw.Conns
	process *proc.Process
	ready   time.Duration
	ttl     time.Duration
	leases  []string
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

func (s *Server) info(ctx context.Context, conn int) error {
	return s.Conns.Call(ctx, conn, musterv1.ServerService_GetServerInfo_FullMethodName, nil, &raw.Reply{})
}

// sizeSlack is how far lengths may be from what the limit is told: numbers are
// written in as many bytes as they need.
const sizeSlack = 8

func sizeIs(what string, size, expected int) error {
	if size < expected-sizeSlack || size > expected+sizeSlack {
		return fmt.Errorf("%s has %s bytes; the limit answers %d: correct the sizes in bench/payload", what, strconv.Itoa(size), expected)
	}
	return nil
}

// Register registers instances, each under its own lease.
func (s *Server) Register() drive.Op { return s.register(1) }

// RegisterBatch registers n instances in a call.
func (s *Server) RegisterBatch(n int) drive.Op { return s.register(n) }

func (s *Server) register(n int) drive.Op {
	template := payload.RegisterTemplate(n, s.ttl)
	return func(ctx context.Context, conn int, key uint64) error {
		var reply raw.Reply
		var answer musterv1.RegisterResponse
		checked := key%raw.CheckEvery == 0
		if checked {
			reply.Into = &answer
		}
		err := s.Conns.Call(ctx, conn, musterv1.RegistrationService_Register_FullMethodName, template.Make(key), &reply)
		if err != nil || !checked {
			return err
		}
		if answer.GetRevision() == 0 || answer.GetLease().GetLeaseId() == "" {
			return fmt.Errorf("the registration of key %d was answered without a lease or a revision", key)
		}
		return sizeIs("the answer to Register", reply.Size, payload.RegisterResponseBytes)
	}
}
