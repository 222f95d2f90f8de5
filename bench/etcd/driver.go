package etcd

import (
	"context"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/muster-registry/muster/bench/child"
	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
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
	running, err := child.StartOwn(ctx, c.Conns, func(address string) []string {
		return []string{Role, "-listen", address, "-dir", c.Dir}
	})
	if err != nil {
		return nil, err
	}
	s := &Server{Server: running, ttl: seconds(c.TTL), instances: payload.InstanceTemplate()}
	s.leases.Store(firstLease)
	if err := s.Answered(ctx, c.Unready, "etcd", s.ask); err != nil {
		return nil, err
	}
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
	*child.Server
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

// ask reads linearizably, which needs a leader.
func (s *Server) ask(ctx context.Context, conn int) error {
	return s.Conns.Call(ctx, conn, etcdserverpb.KV_Range_FullMethodName, countRequest(keyPrefix), &raw.Reply{})
}

// check tells whether to decode the next answer: every raw.CheckEvery-th is.
func (s *Server) check() bool { return s.checks.Add(1)%raw.CheckEvery == 1 }
