package mustertest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// clusterID is the cluster of every test registry.
const clusterID = "mustertest"

// protocol is the one version of the protocol that is served.
const protocol = 1

func (r *Registry) newServer() *grpc.Server {
	s := grpc.NewServer(
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, call *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := checkProtocol(ctx, call.FullMethod); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, call *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := checkProtocol(stream.Context(), call.FullMethod); err != nil {
				return err
			}
			return handle(srv, stream)
		}),
	)
	musterv1.RegisterRegistrationServiceServer(s, registrations{Registry: r})
	musterv1.RegisterDiscoveryServiceServer(s, discovery{Registry: r})
	musterv1.RegisterServerServiceServer(s, info{Registry: r})
	return s
}

// checkProtocol refuses clients of another version; GetServerInfo is answered
// to all.
func checkProtocol(ctx context.Context, method string) error {
	version := header(ctx, "muster-protocol")
	if version == "" || version == strconv.Itoa(protocol) || method == musterv1.ServerService_GetServerInfo_FullMethodName {
		return nil
	}
	return refuse(musterv1.ErrorReason_ERROR_REASON_PROTOCOL_NOT_SERVED,
		fmt.Sprintf("protocol version %q is not served, only %d is", version, protocol),
		"oldest", strconv.Itoa(protocol), "newest", strconv.Itoa(protocol))
}

func header(ctx context.Context, key string) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(md.Get(key), ",")
}

// caller is what is known of a client.
type caller struct {
	name, address string
	// acks tells whether it acknowledges drains.
	acks bool
}

func callerOf(ctx context.Context) caller {
	c := caller{name: header(ctx, "muster-client-name")}
	if p, ok := peer.FromContext(ctx); ok {
		c.address = p.Addr.String()
	}
	for feature := range strings.SplitSeq(header(ctx, "muster-features"), ",") {
		c.acks = c.acks || strings.TrimSpace(feature) == "ack"
	}
	return c
}

// info is ServerService.
type info struct {
	musterv1.UnimplementedServerServiceServer
	*Registry
}

// features are all of docs/protocol.md, section 9, sorted, and whether they are
// served here.
var features = []struct {
	name   string
	served bool
}{
	{"ack", true},
	{"authorization", false},
	{"checks", false},
	{"drain_barrier", true},
	{"federation", false},
	{"linearizable", true},
	{"lookup_unchanged", true},
	{"mass_expiry_guard", false},
	{"overrides", false},
	{"recovery", true},
	{"report_outcomes", false},
	{"server_side_selectors", true},
	{"suspect", false},
	{"traffic_policy", false},
}

// GetServerInfo implements the contract.
func (r info) GetServerInfo(context.Context, *musterv1.GetServerInfoRequest) (*musterv1.GetServerInfoResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := &musterv1.GetServerInfoResponse{
		ServerVersion: muster.Version + "-mustertest", ServerId: r.serverID, ClusterId: clusterID,
		Position:       &musterv1.Position{Epoch: r.state.epoch, Revision: r.state.revision},
		OldestProtocol: protocol, NewestProtocol: protocol, Limits: limits(),
		Uptime: durationpb.New(time.Since(r.began)),
	}
	for _, f := range features {
		stage := musterv1.FeatureStage_FEATURE_STAGE_NOT_SERVED
		if f.served {
			stage = musterv1.FeatureStage_FEATURE_STAGE_STABLE
		}
		res.Features = append(res.Features, &musterv1.Feature{Name: f.name, Stage: stage})
	}
	return res, nil
}
