package muster

import (
	"context"
	"fmt"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/load"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
)

// fillBatch is how many instances one call registers when a service is filled;
// every server allows as many.
const fillBatch = 40

func lookupService(n int) string { return fmt.Sprintf("lookup-%d", n) }

// Fill registers n instances in one service, some of them under one lease.
func (s *Server) Fill(ctx context.Context, n int) error {
	calls := (n + fillBatch - 1) / fillBatch
	return load.Each(ctx, fillWorkers, calls, func(ctx context.Context, worker, i int) error {
		var instances []*musterv1.Instance
		for j := i * fillBatch; j < min(n, (i+1)*fillBatch); j++ {
			instances = append(instances, payload.Instance(lookupService(n), uint64(j)))
		}
		request := payload.RegisterRequest(heldKeys+uint64(n)*1000+uint64(i), s.ttl, instances...)
		return s.Conns.Call(ctx, worker, musterv1.RegistrationService_Register_FullMethodName,
			payload.Encode(request), &raw.Reply{})
	})
}

// Lookup prepares a lookup of a service that Fill filled.
func (s *Server) Lookup(ctx context.Context, spec drive.LookupSpec) (*drive.Lookup, error) {
	request := &musterv1.LookupRequest{Selector: &musterv1.Selector{Names: &musterv1.Selector_Services{
		Services: &musterv1.ServiceNames{Names: []*musterv1.ServiceName{{Namespace: payload.Namespace, Service: lookupService(spec.Instances)}}},
	}}}
	l := &lookup{conns: s.Conns, instances: spec.Instances, result: musterv1.LookupResult_LOOKUP_RESULT_FULL, request: payload.Encode(request)}
	answer, _, err := l.decoded(ctx, 0)
	if err != nil {
		return nil, err
	}
	if spec.Unchanged {
		h := answer.GetHeader()
		request.Known = &musterv1.KnownView{Epoch: h.GetEpoch(), Revision: h.GetRevision(), ViewId: h.GetViewId(), Digest: h.GetDigest(), Count: h.GetCount()}
		l.request, l.instances, l.result = payload.Encode(request), 0, musterv1.LookupResult_LOOKUP_RESULT_UNCHANGED
	}
	_, size, err := l.decoded(ctx, 0)
	if err != nil {
		return nil, err
	}
	l.size = size
	return &drive.Lookup{Do: l.do, RequestBytes: len(l.request), ResponseBytes: size}, nil
}

// lookup is one request that is sent again and again.
type lookup struct {
	conns     *raw.Conns
	request   raw.Request
	instances int
	result    musterv1.LookupResult
	size      int
}

func (l *lookup) do(ctx context.Context, conn int, key uint64) error {
	if key%raw.CheckEvery == 0 {
		_, _, err := l.decoded(ctx, conn)
		return err
	}
	var reply raw.Reply
	if err := l.conns.Call(ctx, conn, musterv1.DiscoveryService_Lookup_FullMethodName, l.request, &reply); err != nil {
		return err
	}
	if reply.Size < l.size-sizeSlack || reply.Size > l.size+sizeSlack {
		return fmt.Errorf("a lookup was answered with %d bytes, before with %d", reply.Size, l.size)
	}
	return nil
}

// decoded does the lookup and checks what is answered.
func (l *lookup) decoded(ctx context.Context, conn int) (*musterv1.LookupResponse, int, error) {
	answer := &musterv1.LookupResponse{}
	reply := raw.Reply{Into: answer}
	if err := l.conns.Call(ctx, conn, musterv1.DiscoveryService_Lookup_FullMethodName, l.request, &reply); err != nil {
		return nil, 0, err
	}
	if answer.GetResult() != l.result || len(answer.GetInstances()) != l.instances {
		return nil, 0, fmt.Errorf("a lookup was answered %v with %d instances, expected %v with %d",
			answer.GetResult(), len(answer.GetInstances()), l.result, l.instances)
	}
	return answer, reply.Size, nil
}
