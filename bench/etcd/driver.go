package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/proc"
	"github.com/muster-registry/muster/bench/raw"
)

// Role is the command of the benchmark's program that runs etcd's server.
const Role = "serve-etcd"

// Target starts etcd.
type Target struct{}

// Name is "etcd".
func (Target) Name() string { return "etcd" }

// Start starts it. Flags and arguments are for others and ignored.
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
	p, err := proc.Start(proc.Command{Path: program, Args: []string{Role, "-listen", address, "-dir", c.Dir}})
	if err != nil {
		return nil, errors.Join(err, conns.Close())
	}
	s := &Server{Conns: conns, process: p, ttl: seconds(c.TTL), instances: payload.InstanceTemplate()}
	s.leases.Store(firstLease)
	if !c.Unready {
		if err := conns.Ready(ctx, p.Exited(), s.ask); err != nil {
			return nil, errors.Join(fmt.Errorf("etcd's server: %w", err), p.Err(), s.Close())
		}
	}
	s.ready = time.Since(p.Started())
	return s, nil
}

// seconds is a TTL as etcd counts it, rounded up.
func seconds(ttl time.Duration) int64 {
	if ttl == 0 {
		ttl = payload.DefaultTTL
	}
	return int64((ttl + time.Second - 1) / time.Second)
}

// firstLease is where the driver's own lease ids begin.
const firstLease = 1 << 32

// Server is a running etcd.
type Server struct {
	// Conns are the clients' connections.
	Conns     *raw.Conns
	process   *proc.Process
	ready     time.Duration
	ttl       int64
	instances *payload.Template
	leases    atomic.Int64
	checks    atomic.Uint64
	held      []int64
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

// ask reads linearizably, which needs a leader.
func (s *Server) ask(ctx context.Context, conn int) error {
	return s.Conns.Call(ctx, conn, etcdserverpb.KV_Range_FullMethodName, countRequest(keyPrefix), &raw.Reply{})
}

// check tells whether to decode the next answer: every raw.CheckEvery-th is.
func (s *Server) check() bool { return s.checks.Add(1)%raw.CheckEvery == 1 }
