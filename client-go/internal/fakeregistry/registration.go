package fakeregistry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

type registrations struct {
	musterv1.UnimplementedRegistrationServiceServer
	server *Server
}

// Register implements the contract.
func (s registrations) Register(_ context.Context, req *musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
	r := s.server.registry
	r.record(s.server.Address, req)
	if r.OnRegister != nil {
		if resp, err := r.OnRegister(req); resp != nil || err != nil {
			return resp, err
		}
	}
	return r.Grant(req)
}

// Grant registers by the rules of the contract, for hooks.
func (r *Registry) Grant(req *musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.leases {
		if l.requestID == req.GetRequestId() {
			return r.grantedLocked(l), nil
		}
	}
	for _, i := range req.GetInstances() {
		if err := r.decideLocked(req, r.instances[keyOf(i)]); err != nil {
			return nil, err
		}
	}
	l := &lease{
		id: fmt.Sprintf("%04x-secret-%d", r.revision+1, r.epoch), incarnation: r.revision + 1,
		requestID: req.GetRequestId(), ttl: req.GetTtl().AsDuration(),
	}
	for _, i := range req.GetInstances() {
		i = proto.CloneOf(i)
		i.Incarnation = l.incarnation
		r.putLocked(i, l.incarnation)
	}
	for id, old := range r.leases {
		if !r.holdsLocked(old) {
			old.expiry.Stop()
			delete(r.leases, id)
		}
	}
	r.leases[l.id] = l
	l.expiry = time.AfterFunc(l.ttl, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.leases[l.id] == l {
			r.endLeaseLocked(l.id, musterv1.RemovalReason_REMOVAL_REASON_EXPIRED)
			r.commitLocked()
		}
	})
	r.commitLocked()
	return r.grantedLocked(l), nil
}

func (r *Registry) decideLocked(req *musterv1.RegisterRequest, present *musterv1.Instance) error {
	if present == nil {
		return nil
	}
	holder := strconv.FormatUint(present.GetIncarnation(), 10)
	metadata := map[string]string{"instance": keyOf(present), "incarnation": holder, "incarnations": holder}
	fenced := Fault(codes.FailedPrecondition, musterv1.ErrorReason_ERROR_REASON_FENCED, "a newer lease holds it", metadata)
	switch claim := req.GetClaim().(type) {
	case *musterv1.RegisterRequest_Previous:
		if claim.Previous.GetIncarnation() >= present.GetIncarnation() || claim.Previous.GetEpoch() > r.epoch {
			return nil
		}
		return fenced
	case *musterv1.RegisterRequest_TakeOver:
		for _, named := range claim.TakeOver.GetIncarnations() {
			if named == present.GetIncarnation() {
				return nil
			}
		}
	}
	return Fault(codes.AlreadyExists, musterv1.ErrorReason_ERROR_REASON_INSTANCE_EXISTS, "another lease holds it", metadata)
}

func (r *Registry) holdsLocked(l *lease) bool {
	for _, i := range r.instances {
		if i.GetIncarnation() == l.incarnation {
			return true
		}
	}
	return false
}

func (r *Registry) grantedLocked(l *lease) *musterv1.RegisterResponse {
	return &musterv1.RegisterResponse{
		Lease:     &musterv1.Lease{LeaseId: l.id, Incarnation: l.incarnation, Epoch: r.epoch, Ttl: durationpb.New(l.ttl)},
		ClusterId: r.ClusterID, Epoch: r.epoch, Revision: r.revision,
	}
}

// held checks that a lease holds an instance.
func (r *Registry) heldLocked(id string, key *musterv1.InstanceKey) (*musterv1.Instance, error) {
	l := r.leases[id]
	if l == nil {
		return nil, Fault(codes.NotFound, musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN, "no such lease", nil)
	}
	if key == nil {
		return nil, nil
	}
	i := r.instances[key.GetNamespace()+"/"+key.GetService()+"/"+key.GetInstanceId()]
	if i.GetIncarnation() != l.incarnation {
		return nil, Fault(codes.FailedPrecondition, musterv1.ErrorReason_ERROR_REASON_FENCED, "a newer lease holds it", nil)
	}
	return i, nil
}

// Update implements the contract.
func (s registrations) Update(_ context.Context, req *musterv1.UpdateRequest) (*musterv1.UpdateResponse, error) {
	r := s.server.registry
	r.record(s.server.Address, req)
	if r.OnUpdate != nil {
		if resp, err := r.OnUpdate(req); resp != nil || err != nil {
			return resp, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	in := req.GetInstance()
	key := &musterv1.InstanceKey{Namespace: in.GetNamespace(), Service: in.GetService(), InstanceId: in.GetInstanceId()}
	present, err := r.heldLocked(req.GetLeaseId(), key)
	if err != nil {
		return nil, err
	}
	next := proto.CloneOf(present)
	for _, field := range req.GetUpdateMask().GetPaths() {
		switch field {
		case "weight":
			next.Weight = in.Weight
		case "lifecycle":
			next.Lifecycle = in.GetLifecycle()
		case "metadata":
			next.Metadata = in.GetMetadata()
		case "self_health":
			next.SelfHealth, next.Health = in.GetSelfHealth(), in.GetSelfHealth().GetHealth()
		}
	}
	r.putLocked(next, r.revision+1)
	r.commitLocked()
	return &musterv1.UpdateResponse{Epoch: r.epoch, Revision: r.revision}, nil
}

// Deregister implements the contract.
func (s registrations) Deregister(_ context.Context, req *musterv1.DeregisterRequest) (*musterv1.DeregisterResponse, error) {
	r := s.server.registry
	r.record(s.server.Address, req)
	if r.OnDeregister != nil {
		if resp, err := r.OnDeregister(req); resp != nil || err != nil {
			return resp, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.heldLocked(req.GetLeaseId(), nil); err != nil {
		return nil, err
	}
	r.endLeaseLocked(req.GetLeaseId(), musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED)
	r.commitLocked()
	return &musterv1.DeregisterResponse{Epoch: r.epoch, Revision: r.revision}, nil
}

// Drain sets DRAINING and reports one watcher, confirmed.
func (s registrations) Drain(_ context.Context, req *musterv1.DrainRequest) (*musterv1.DrainResponse, error) {
	r := s.server.registry
	r.record(s.server.Address, req)
	if r.OnDrain != nil {
		if resp, err := r.OnDrain(req); resp != nil || err != nil {
			return resp, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.heldLocked(req.GetLeaseId(), nil); err != nil {
		return nil, err
	}
	r.ackNext = true
	for _, i := range r.instances {
		if i.GetIncarnation() == r.leases[req.GetLeaseId()].incarnation {
			next := proto.CloneOf(i)
			next.Lifecycle = musterv1.Lifecycle_LIFECYCLE_DRAINING
			r.putLocked(next, r.revision+1)
		}
	}
	r.commitLocked()
	return &musterv1.DrainResponse{
		Epoch: r.epoch, Revision: r.revision, Result: musterv1.DrainResult_DRAIN_RESULT_COMPLETE, Confirmed: 1,
	}, nil
}

// KeepAlive implements the contract.
func (s registrations) KeepAlive(stream musterv1.RegistrationService_KeepAliveServer) error {
	r := s.server.registry
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			r.record(s.server.Address, &musterv1.KeepAliveRequest{}) // a half-close
			return nil
		}
		if err != nil {
			return err
		}
		r.record(s.server.Address, req)
		resp := r.Renew(req)
		if r.OnKeepAlive != nil {
			scripted, err := r.OnKeepAlive(req)
			if err != nil {
				return err
			}
			if scripted != nil {
				resp = scripted
			}
		}
		if resp.GetSequence() == 0 {
			continue // a script that leaves it unanswered
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

// Renew renews leases by the rules of the contract.
func (r *Registry) Renew(req *musterv1.KeepAliveRequest) *musterv1.KeepAliveResponse {
	r.mu.Lock()
	defer r.mu.Unlock()
	resp := &musterv1.KeepAliveResponse{Sequence: req.GetSequence()}
	for index, id := range req.GetLeaseIds() {
		if l := r.leases[id]; l != nil {
			l.expiry.Reset(l.ttl)
			continue
		}
		resp.Exceptions = append(resp.Exceptions, &musterv1.KeepAliveException{
			LeaseIndex: uint32(index),
			Kind: &musterv1.KeepAliveException_Lost{Lost: &musterv1.LeaseLost{
				Reason: musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN, Message: "no such lease",
			}},
		})
	}
	return resp
}
