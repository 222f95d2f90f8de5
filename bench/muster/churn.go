package muster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

var _ drive.Churner = (*Server)(nil)

// Join registers an instance in the service that holds the key.
func (s *Server) Join(ctx context.Context, conn int, key, id uint64) (string, error) {
	request := payload.RegisterRequest(id, s.ttl, payload.Instance(payload.Service(key), id))
	answer := &musterv1.RegisterResponse{}
	err := s.Conns.Call(ctx, conn, musterv1.RegistrationService_Register_FullMethodName, payload.Encode(request), &raw.Reply{Into: answer})
	return answer.GetLease().GetLeaseId(), err
}

// Leave ends a lease and its instance.
func (s *Server) Leave(ctx context.Context, conn int, lease string) error {
	request := payload.Encode(&musterv1.DeregisterRequest{LeaseId: lease})
	return s.Conns.Call(ctx, conn, musterv1.RegistrationService_Deregister_FullMethodName, request, &raw.Reply{})
}

// Update changes the weight of an instance that Grow registered.
func (s *Server) Update(ctx context.Context, conn int, key uint64, weight uint32) error {
	request := payload.Encode(&musterv1.UpdateRequest{
		LeaseId: s.leases[key],
		Instance: &musterv1.Instance{
			Namespace: payload.Namespace, Service: payload.Service(key), InstanceId: payload.InstanceID(key), Weight: proto.Uint32(weight),
		},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"weight"}},
	})
	return s.Conns.Call(ctx, conn, musterv1.RegistrationService_Update_FullMethodName, request, &raw.Reply{})
}

// Fetch looks up the service that holds the key. Its answer must be as long as
// that many instances are, at least.
func (s *Server) Fetch(ctx context.Context, conn int, key uint64) error {
	var reply raw.Reply
	request := payload.Encode(&musterv1.LookupRequest{Selector: services(payload.Service(key))})
	if err := s.Conns.Call(ctx, conn, musterv1.DiscoveryService_Lookup_FullMethodName, request, &reply); err != nil {
		return err
	}
	if least := payload.ServiceInstances * leastInstance; reply.Size < least {
		return fmt.Errorf("service %s was answered with %s bytes, fewer than %d", payload.Service(key), strconv.Itoa(reply.Size), least)
	}
	return nil
}

// leastInstance is fewer bytes than any instance of the benchmark has.
const leastInstance = 200

// Follow watches the service that holds the key.
func (s *Server) Follow(ctx context.Context, conn int, key uint64, changed func()) error {
	stream, err := s.watch(ctx, conn, &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{
		{SubscriptionId: 1, Selector: services(payload.Service(key))},
	}})
	if err != nil {
		return err
	}
	if err := began(stream.RecvMsg); err != nil {
		return fmt.Errorf("begin to watch %s: %w", payload.Service(key), err)
	}
	go func() {
		for stream.RecvMsg(&raw.Reply{}) == nil {
			changed()
		}
	}()
	return nil
}

// watch opens a watch stream.
func (s *Server) watch(ctx context.Context, conn int, request *musterv1.WatchRequest) (grpc.ClientStream, error) {
	stream, err := s.Conns.Stream(ctx, conn, musterv1.DiscoveryService_Watch_FullMethodName)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(raw.Request(payload.Encode(request))); err != nil {
		return nil, err
	}
	// The server answers once it knows that there is no second request.
	return stream, stream.CloseSend()
}

// began receives frames until the first snapshot is complete.
func began(receive func(any) error) error {
	var kinds []string
	for {
		frame := &musterv1.WatchResponse{}
		if err := receive(&raw.Reply{Into: frame}); err != nil {
			return fmt.Errorf("after [%s]: %w", strings.Join(kinds, " "), err)
		}
		kinds = append(kinds, fmt.Sprintf("%T", frame.GetFrame()))
		if frame.GetSnapshot().GetChunk().GetPosition() == musterv1.ChunkPosition_CHUNK_POSITION_FINAL {
			return nil
		}
	}
}
