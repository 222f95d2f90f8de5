package rpc

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/validate"
)

// stages says how far each feature is in this server.
var stages = map[string]musterv1.FeatureStage{
	validate.FeatureAck:                 musterv1.FeatureStage_FEATURE_STAGE_STABLE,
	validate.FeatureDrainBarrier:        musterv1.FeatureStage_FEATURE_STAGE_STABLE,
	validate.FeatureLinearizable:        musterv1.FeatureStage_FEATURE_STAGE_STABLE,
	validate.FeatureLookupUnchanged:     musterv1.FeatureStage_FEATURE_STAGE_STABLE,
	validate.FeatureServerSideSelectors: musterv1.FeatureStage_FEATURE_STAGE_STABLE,
	validate.FeatureSuspect:             musterv1.FeatureStage_FEATURE_STAGE_EXPERIMENTAL,
}

// servedFeatures lists the features that this server serves.
func servedFeatures() []string {
	var names []string
	for n := range stages {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func notServed(feature string) error {
	return toStatus(fault.New(musterv1.ErrorReason_ERROR_REASON_FEATURE_NOT_SERVED,
		"this needs the feature %q, which this server does not serve; GetServerInfo lists what it does", feature).
		With("feature", feature))
}

type info struct {
	*Service
	musterv1.UnimplementedServerServiceServer
}

// GetServerInfo describes this server.
func (s info) GetServerInfo(context.Context, *musterv1.GetServerInfoRequest) (*musterv1.GetServerInfoResponse, error) {
	v := s.registry.View()
	res := &musterv1.GetServerInfoResponse{
		ServerVersion: s.version, ServerId: s.serverID, ClusterId: s.registry.ClusterID(),
		Position:       &musterv1.Position{Epoch: v.Epoch, Revision: v.Revision},
		OldestProtocol: OldestProtocol, NewestProtocol: NewestProtocol, Limits: s.limits,
		Uptime: durationpb.New(time.Since(s.registry.Started())),
	}
	for _, name := range validate.AllFeatures() {
		stage, ok := stages[name]
		if !ok {
			stage = musterv1.FeatureStage_FEATURE_STAGE_NOT_SERVED
		}
		res.Features = append(res.Features, &musterv1.Feature{Name: name, Stage: stage})
	}
	return res, nil
}

type admin struct {
	*Service
	musterv1.UnimplementedAdminServiceServer
}

// SetOverride is not served yet.
func (admin) SetOverride(context.Context, *musterv1.SetOverrideRequest) (*musterv1.SetOverrideResponse, error) {
	return nil, notServed(validate.FeatureOverrides)
}

// DeleteOverride is not served yet.
func (admin) DeleteOverride(context.Context, *musterv1.DeleteOverrideRequest) (*musterv1.DeleteOverrideResponse, error) {
	return nil, notServed(validate.FeatureOverrides)
}

// ListOverrides is not served yet.
func (admin) ListOverrides(context.Context, *musterv1.ListOverridesRequest) (*musterv1.ListOverridesResponse, error) {
	return nil, notServed(validate.FeatureOverrides)
}

// SetTrafficPolicy is not served yet.
func (admin) SetTrafficPolicy(context.Context, *musterv1.SetTrafficPolicyRequest) (*musterv1.SetTrafficPolicyResponse, error) {
	return nil, notServed(validate.FeatureTrafficPolicy)
}

// SetHold is not served yet.
func (admin) SetHold(context.Context, *musterv1.SetHoldRequest) (*musterv1.SetHoldResponse, error) {
	return nil, notServed(validate.FeatureMassExpiryGuard)
}
