package rpc

import (
	"context"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/validate"
)

// registration serves RegistrationService. Register reads its request by itself
// and is not among the methods that the generated code knows (see register.go).
type registration struct {
	*Service
	musterv1.UnimplementedRegistrationServiceServer
}

// Update changes an instance.
func (s registration) Update(ctx context.Context, req *musterv1.UpdateRequest) (*musterv1.UpdateResponse, error) {
	if err := s.check.Update(req); err != nil {
		return nil, toStatus(err)
	}
	epoch, revision, err := s.registry.Update(ctx, req, s.check.Merged)
	if err != nil {
		return nil, toStatus(err)
	}
	return &musterv1.UpdateResponse{Epoch: epoch, Revision: revision}, nil
}

// Deregister ends instances.
func (s registration) Deregister(ctx context.Context, req *musterv1.DeregisterRequest) (*musterv1.DeregisterResponse, error) {
	if err := s.check.Deregister(req); err != nil {
		return nil, toStatus(err)
	}
	epoch, revision, err := s.registry.Deregister(ctx, req, callerOf(ctx))
	if err != nil {
		return nil, toStatus(err)
	}
	return &musterv1.DeregisterResponse{Epoch: epoch, Revision: revision}, nil
}

// Drain drains instances and waits for their watchers.
func (s registration) Drain(ctx context.Context, req *musterv1.DrainRequest) (*musterv1.DrainResponse, error) {
	if err := s.check.Drain(req); err != nil {
		return nil, toStatus(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer onStop(s.Service, func() { cancel(shuttingDown()) })()
	res, err := s.registry.Drain(ctx, req, validate.DrainTimeout(req.GetTimeout()))
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return res, toStatus(err)
}

// onStop calls f when the service stops, until the returned function is called.
func onStop(s *Service, f func()) (end func()) {
	done := make(chan struct{})
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		select {
		case <-s.stopping:
			f()
		case <-done:
		}
	}()
	return func() { close(done); <-joined }
}

func isStopping(s *Service) bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}
