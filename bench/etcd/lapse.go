package etcd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
)

var (
	_ drive.Lapser = (*Server)(nil)
	_ drive.Reader = (*Server)(nil)
)

// Lapse registers an instance under a lease that nobody renews.
func (s *Server) Lapse(ctx context.Context, conn int, key uint64, ttl time.Duration) (time.Duration, error) {
	lease := s.leases.Add(1)
	answer := &etcdserverpb.LeaseGrantResponse{}
	reply := raw.Reply{Into: answer}
	if err := s.Conns.Call(ctx, conn, etcdserverpb.Lease_LeaseGrant_FullMethodName, grantRequest(lease, seconds(ttl)), &reply); err != nil {
		return 0, err
	}
	// The lease's time began with the grant; counting from the put, as the
	// caller does, gives etcd the time between the two.
	granted := time.Duration(answer.GetTTL()) * time.Second
	return granted, s.put(ctx, conn, instanceKey(payload.Service(key), key), s.instances.Make(key), lease)
}

// Removals watches the keys of n instances by one stream, and tells of each
// that is deleted.
func (s *Server) Removals(ctx context.Context, _ uint64, n int, seen func(uint64, time.Time)) (<-chan struct{}, error) {
	stream, err := s.Conns.Stream(ctx, 0, etcdserverpb.Watch_Watch_FullMethodName)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(raw.Request(watchRequest(keyPrefix))); err != nil {
		return nil, err
	}
	answer := &etcdserverpb.WatchResponse{}
	if err := stream.RecvMsg(&raw.Reply{Into: answer}); err != nil || !answer.GetCreated() {
		return nil, fmt.Errorf("begin to watch (created: %v): %w", answer.GetCreated(), err)
	}
	done := make(chan struct{})
	go func() {
		for left := n; left > 0; {
			answer.Reset()
			if stream.RecvMsg(&raw.Reply{Into: answer}) != nil {
				return // the caller's context ends its waiting
			}
			at := time.Now()
			for _, e := range answer.GetEvents() {
				if key, ok := keyOf(e.GetKv().GetKey()); ok && e.GetType() == mvccpb.Event_DELETE {
					seen(key, at)
					left--
				}
			}
		}
		close(done)
	}()
	return done, nil
}

// keyOf is the number of the instance that lies at a key of etcd.
func keyOf(key []byte) (uint64, bool) {
	digits := string(key[strings.LastIndexByte(string(key), '-')+1:])
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// Complete reads the service that holds the key, linearizably, and fails unless
// it has so many instances.
func (s *Server) Complete(ctx context.Context, conn int, key uint64, instances int) error {
	answer := &etcdserverpb.RangeResponse{}
	request := rangeRequest(keyPrefix + payload.Service(key) + "/")
	err := s.Conns.Call(ctx, conn, etcdserverpb.KV_Range_FullMethodName, request, &raw.Reply{Into: answer})
	if err == nil && len(answer.GetKvs()) != instances {
		return fmt.Errorf("service %s has %d instances of %d", payload.Service(key), len(answer.GetKvs()), instances)
	}
	return err
}
