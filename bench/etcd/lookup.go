package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/load"
	"github.com/muster-registry/muster/bench/raw"
)

// lookupFrom is where the keys of instances for lookups begin.
const lookupFrom = 7_000_000_000

// lookupService is the service that holds n instances for lookups.
func lookupService(n int) string { return fmt.Sprintf("lookup-%07d", n) }

// Fill puts n instances into one service, under one lease.
func (s *Server) Fill(ctx context.Context, n int) error {
	lease := s.leases.Add(1)
	if err := s.grant(ctx, 0, lease); err != nil {
		return err
	}
	return load.Each(ctx, fillWorkers, n, func(ctx context.Context, worker, i int) error {
		key := lookupFrom + uint64(i)
		return s.put(ctx, worker, instanceKey(lookupService(n), key), s.instances.Make(key), lease)
	})
}

// Lookup reads all keys of the service, linearizably, as etcd does by default.
func (s *Server) Lookup(ctx context.Context, spec drive.LookupSpec) (*drive.Lookup, error) {
	if spec.Unchanged {
		return nil, errors.New("etcd cannot say that a range is unchanged")
	}
	l := &drive.Lookup{Do: s.reading(lookupService(spec.Instances), spec.Instances)}
	request := rangeRequest(keyPrefix + lookupService(spec.Instances) + "/")
	var reply raw.Reply
	if err := s.Conns.Call(ctx, 0, etcdserverpb.KV_Range_FullMethodName, request, &reply); err != nil {
		return nil, fmt.Errorf("look up %d instances: %w", spec.Instances, err)
	}
	l.RequestBytes, l.ResponseBytes = len(request), reply.Size
	return l, nil
}

// reading is a lookup of a service with so many instances.
func (s *Server) reading(service string, instances int) drive.Op {
	request := rangeRequest(keyPrefix + service + "/")
	return func(ctx context.Context, conn int, _ uint64) error {
		answer := &etcdserverpb.RangeResponse{}
		checked, err := s.call(ctx, conn, etcdserverpb.KV_Range_FullMethodName, request, answer)
		if checked && len(answer.GetKvs()) != instances {
			return fmt.Errorf("etcd answered %d instances of %d", len(answer.GetKvs()), instances)
		}
		return err
	}
}
