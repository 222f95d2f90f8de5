package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/registry"
	"github.com/muster-registry/muster/server/validate"
)

// register registers instances. What is plain is read without decoding it; all
// else goes the long way, which also says what is wrong with a request.
func (s registration) register(ctx context.Context, r *request) (*message, error) {
	if p := s.check.Plain(r.bytes()); p != nil {
		defer p.Release()
		return s.grant(ctx, plainRegistration(p))
	}
	req := &musterv1.RegisterRequest{}
	if err := r.decode(req); err != nil {
		return nil, err
	}
	if err := s.check.Register(req); err != nil {
		return nil, toStatus(err)
	}
	reg, err := registrationOf(req)
	if err != nil {
		return nil, toStatus(err)
	}
	return s.grant(ctx, reg)
}

// grant registers. Nobody is named as the caller: only removals tell of one.
func (s registration) grant(ctx context.Context, reg *registry.Registration) (*message, error) {
	g, err := s.registry.Register(ctx, reg, registry.Caller{})
	if err != nil {
		return nil, toStatus(err)
	}
	return encodedIn(appendGranted(nil, &g, s.registry.ClusterID())), nil
}

func plainRegistration(p *validate.Plain) *registry.Registration {
	one := &struct {
		registry.Registration
		instances [1]registry.Registrant
	}{}
	reg := &one.Registration
	reg.Instances, reg.TTL, reg.RequestID = one.instances[:], p.TTL, p.RequestID
	if n := len(p.Instances); n > 1 {
		reg.Instances = make([]registry.Registrant, n)
	}
	for i := range p.Instances {
		in := &p.Instances[i]
		reg.Instances[i] = registry.Registrant{Body: in.Body, Name: record.InstanceName{
			ServiceName: record.ServiceName{Namespace: in.Namespace, Service: in.Service}, ID: in.ID,
		}}
	}
	return reg
}

// registrationOf takes a request that was found valid, and changes it.
func registrationOf(req *musterv1.RegisterRequest) (*registry.Registration, error) {
	reg := &registry.Registration{TTL: validate.TTL(req.GetTtl()), RequestID: req.GetRequestId()}
	if req.GetClaim() != nil {
		reg.Claim = req
	}
	for _, in := range req.GetInstances() {
		validate.Normalise(in)
		x := registry.Registrant{SelfHealth: in.GetSelfHealth(), Name: record.InstanceName{
			ServiceName: record.ServiceName{Namespace: in.GetNamespace(), Service: in.GetService()}, ID: in.GetInstanceId(),
		}}
		in.SelfHealth = nil // it lives on as a slot
		var err error
		if x.Body, err = proto.Marshal(in); err != nil {
			return nil, err
		}
		reg.Instances = append(reg.Instances, x)
	}
	return reg, nil
}

// Fields of RegisterResponse and of the Lease in it. A test compares what is
// made of them with what the generated code makes.
const (
	fieldLease     = 1
	fieldClusterID = 2
	fieldEpoch     = 3
	fieldRevision  = 4

	fieldLeaseID          = 1
	fieldLeaseIncarnation = 2
	fieldLeaseEpoch       = 3
	fieldLeaseTTL         = 4
	// usualGrant is room for a response as they are.
	usualGrant = 112
)

// appendGranted appends a RegisterResponse.
func appendGranted(dst []byte, g *registry.Granted, clusterID string) []byte {
	var room, duration [96]byte
	ttl := appendUint(duration[:0], 1, uint64(g.TTL/time.Second))
	ttl = appendUint(ttl, 2, uint64(g.TTL%time.Second))
	lease := appendString(room[:0], fieldLeaseID, g.LeaseID)
	lease = appendUint(lease, fieldLeaseIncarnation, g.Incarnation)
	lease = appendUint(lease, fieldLeaseEpoch, g.Epoch)
	lease = protowire.AppendBytes(protowire.AppendTag(lease, fieldLeaseTTL, protowire.BytesType), ttl)
	if dst == nil {
		dst = make([]byte, 0, usualGrant)
	}
	dst = protowire.AppendBytes(protowire.AppendTag(dst, fieldLease, protowire.BytesType), lease)
	dst = appendString(dst, fieldClusterID, clusterID)
	dst = appendUint(dst, fieldEpoch, g.Epoch)
	return appendUint(dst, fieldRevision, g.Incarnation)
}

// appendString appends a field, but not if it is empty, as encoders do.
func appendString(dst []byte, number protowire.Number, text string) []byte {
	if text == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, number, protowire.BytesType), text)
}
