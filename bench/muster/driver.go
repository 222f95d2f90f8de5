// Package muster is the driver of the registry itself: the real program, with
// its embedded store and its default durability.
package muster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/muster-registry/muster/bench/child"
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
	settings := maps.Clone(t.Flags)
	if settings == nil {
		settings = map[string]string{}
	}
	maps.Copy(settings, c.Flags)
	var flags []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		flags = append(flags, "--"+flagName(name), settings[name])
	}
	running, err := child.Start(ctx, c.Conns, func(address string) proc.Command {
		args := []string{"server", "--listen", address, "--data-dir", c.Dir, "--log-level", "warn"}
		return proc.Command{Path: t.Program, Args: append(args, flags...)}
	})
	if err != nil {
		return nil, err
	}
	s := &Server{Server: running, ttl: c.TTL}
	if err := s.Answered(ctx, c.Unready, "muster", s.info); err != nil {
		return nil, err
	}
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
	*child.Server
	ttl    time.Duration
	leases []string
}

var (
	_ drive.Target         = Target{}
	_ drive.Registrar      = (*Server)(nil)
	_ drive.BatchRegistrar = (*Server)(nil)
	_ drive.Renewer        = (*Server)(nil)
	_ drive.Looker         = (*Server)(nil)
)

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
