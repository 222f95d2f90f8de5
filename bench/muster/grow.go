package muster

import (
	"context"
	"fmt"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/load"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

var (
	_ drive.Grower = (*Server)(nil)
	_ drive.Reader = (*Server)(nil)
)

// Grow registers instances until n are held.
func (s *Server) Grow(ctx context.Context, n int) error {
	held := len(s.leases)
	s.leases = append(s.leases, make([]string, max(n-held, 0))...)
	template := payload.RegisterTemplate(1, s.ttl)
	return load.Each(ctx, fillWorkers, n-held, func(ctx context.Context, worker, i int) error {
		var answer musterv1.RegisterResponse
		err := s.Conns.Call(ctx, worker, musterv1.RegistrationService_Register_FullMethodName,
			template.Make(uint64(held+i)), &raw.Reply{Into: &answer})
		s.leases[held+i] = answer.GetLease().GetLeaseId()
		return err
	})
}

// Leases are those that Grow or Hold registered, in the order of their keys.
func (s *Server) Leases() []string { return s.leases }

// Adopt takes over the leases of a server that was killed.
func (s *Server) Adopt(leases []string) { s.leases = leases }

// Complete looks up the service that holds the key, and fails unless it has so
// many instances.
func (s *Server) Complete(ctx context.Context, conn int, key uint64, instances int) error {
	answer := &musterv1.LookupResponse{}
	request := payload.Encode(&musterv1.LookupRequest{Selector: services(payload.Service(key))})
	err := s.Conns.Call(ctx, conn, musterv1.DiscoveryService_Lookup_FullMethodName, request, &raw.Reply{Into: answer})
	if err == nil && len(answer.GetInstances()) != instances {
		return fmt.Errorf("service %s has %d instances of %d", payload.Service(key), len(answer.GetInstances()), instances)
	}
	return err
}

// services selects services by name.
func services(names ...string) *musterv1.Selector {
	list := &musterv1.ServiceNames{}
	for _, name := range names {
		list.Names = append(list.Names, &musterv1.ServiceName{Namespace: payload.Namespace, Service: name})
	}
	return &musterv1.Selector{Names: &musterv1.Selector_Services{Services: list}}
}
