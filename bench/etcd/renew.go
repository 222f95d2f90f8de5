package etcd

import (
	"bytes"
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/muster-registry/muster/bench/load"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
)

const (
	// fillWorkers is how many calls are under way while data is prepared.
	fillWorkers = 64
	// heldFrom is where the keys of held instances begin, far from others.
	heldFrom = 5_000_000_000
)

// Hold registers n instances, each with its own lease.
func (s *Server) Hold(ctx context.Context, n int) error {
	first := s.leases.Add(int64(n)) - int64(n) + 1
	s.held = make([]int64, n)
	return load.Each(ctx, fillWorkers, n, func(ctx context.Context, worker, i int) error {
		lease, key := first+int64(i), heldFrom+uint64(i)
		s.held[i] = lease
		if err := s.grant(ctx, worker, lease); err != nil {
			return err
		}
		return s.put(ctx, worker, instanceKey(payload.Service(key), key), s.instances.Make(key), lease)
	})
}

// Renew opens a stream that renews a share of the held leases in turn. Etcd
// takes one lease in a message.
func (s *Server) Renew(ctx context.Context, stream, streams, each int) (load.Stream, error) {
	if each != 1 {
		return nil, fmt.Errorf("etcd renews one lease with each message, not %d", each)
	}
	r := &renewStream{ttl: s.ttl}
	for i := stream; i < len(s.held); i += streams {
		r.requests = append(r.requests, keepAliveRequest(s.held[i]))
	}
	if len(r.requests) == 0 {
		return nil, fmt.Errorf("%d leases are too few for %d streams", len(s.held), streams)
	}
	ctx, r.cancel = context.WithCancel(ctx)
	var err error
	if r.stream, err = s.Conns.Stream(ctx, stream, etcdserverpb.Lease_LeaseKeepAlive_FullMethodName); err != nil {
		r.cancel()
		return nil, fmt.Errorf("open a keepalive stream: %w", err)
	}
	return r, nil
}

type renewStream struct {
	stream         grpc.ClientStream
	cancel         context.CancelFunc
	requests       [][]byte
	ttl            int64
	sent, received int
}

// Send implements load.Stream. It sends a copy, since grpc may still read a message of the round before.
func (r *renewStream) Send() error {
	request := bytes.Clone(r.requests[r.sent%len(r.requests)])
	r.sent++
	return r.stream.SendMsg(raw.Request(request))
}

// Recv implements load.Stream.
func (r *renewStream) Recv() error {
	var reply raw.Reply
	var answer etcdserverpb.LeaseKeepAliveResponse
	if r.received%raw.CheckEvery == 0 {
		reply.Into = &answer
	}
	r.received++
	if err := r.stream.RecvMsg(&reply); err != nil {
		return err
	}
	if reply.Into != nil && answer.GetTTL() != r.ttl {
		return fmt.Errorf("etcd renewed lease %d for %d s, expected %d s", answer.GetID(), answer.GetTTL(), r.ttl)
	}
	return nil
}

// Close implements load.Stream.
func (r *renewStream) Close() { r.cancel() }
