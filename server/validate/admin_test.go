package validate_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/validate"
)

func adminKey() *musterv1.InstanceKey {
	return &musterv1.InstanceKey{Namespace: "shop", Service: "pay", InstanceId: "p1@eu"}
}

func goodOverride() *musterv1.SetOverrideRequest {
	return &musterv1.SetOverrideRequest{Override: &musterv1.Override{Key: adminKey(), Health: musterv1.Health_HEALTH_DEGRADED.Enum()}}
}

func TestSetOverride(t *testing.T) {
	type m = *musterv1.SetOverrideRequest
	check(t, goodOverride, everything.SetOverride, []bound[m]{
		refused("nothing overridden", "override", func(r m) { r.Override.Health = nil }),
		accepted("greatest weight", func(r m) { r.Override.Weight = proto.Uint32(1_000_000) }),
		refused("weight", "override.weight", func(r m) { r.Override.Weight = proto.Uint32(1_000_001) }),
		accepted("weight alone", func(r m) { r.Override.Health, r.Override.Weight = nil, proto.Uint32(0) }),
		refused("unspecified health", "override.health", func(r m) { r.Override.Health = musterv1.Health(0).Enum() }),
		refused("unknown health", "override.health", func(r m) { r.Override.Health = musterv1.Health(4).Enum() }),
		accepted("lifecycle alone", func(r m) { r.Override.Health, r.Override.Lifecycle = nil, musterv1.Lifecycle(3).Enum() }),
		refused("unspecified lifecycle", "override.lifecycle", func(r m) { r.Override.Lifecycle = musterv1.Lifecycle(0).Enum() }),
		refused("unknown lifecycle", "override.lifecycle", func(r m) { r.Override.Lifecycle = musterv1.Lifecycle(4).Enum() }),
		accepted("longest reason", func(r m) { r.Override.Reason = strings.Repeat("r", 256) }),
		refused("long reason", "override.reason", func(r m) { r.Override.Reason = strings.Repeat("r", 257) }),
		refused("bad key", "override.key.service", func(r m) { r.Override.Key.Service = "" }),
		accepted("expiry", func(r m) { r.Override.ExpireTime = &timestamppb.Timestamp{Seconds: 1} }),
		refused("bad expiry", "override.expire_time", func(r m) { r.Override.ExpireTime = &timestamppb.Timestamp{Nanos: -1} }),
	})
}

func TestDeleteAndListOverrides(t *testing.T) {
	type d = *musterv1.DeleteOverrideRequest
	check(t, func() d { return &musterv1.DeleteOverrideRequest{Key: adminKey()} }, everything.DeleteOverride, []bound[d]{
		refused("no namespace", "key.namespace", func(r d) { r.Key.Namespace = "" }),
	})
	type l = *musterv1.ListOverridesRequest
	check(t, func() l { return &musterv1.ListOverridesRequest{} }, everything.ListOverrides, []bound[l]{
		accepted("namespace", func(r l) { r.Namespace = "shop" }),
		refused("bad namespace", "namespace", func(r l) { r.Namespace = "a.b" }),
		accepted("1000", func(r l) { r.PageSize = 1000 }),
		refused("1001", "page_size", func(r l) { r.PageSize = 1001 }),
	})
}

func TestSetTrafficPolicy(t *testing.T) {
	type m = *musterv1.SetTrafficPolicyRequest
	share := func(text string, n uint32) *musterv1.VersionShare {
		return &musterv1.VersionShare{VersionRange: text, Share: n}
	}
	good := func() m {
		return &musterv1.SetTrafficPolicyRequest{
			Service: &musterv1.ServiceName{Namespace: "shop", Service: "pay"},
			Policy:  &musterv1.TrafficPolicy{VersionShares: []*musterv1.VersionShare{share("=2.0.0", 500)}},
		}
	}
	check(t, good, everything.SetTrafficPolicy, []bound[m]{
		accepted("removal", func(r m) { r.Policy = nil }),
		refused("no service", "service.service", func(r m) { r.Service.Service = "" }),
		accepted("all of it", func(r m) { r.Policy.VersionShares[0].Share = 10_000 }),
		refused("more than all", "policy.version_shares", func(r m) { r.Policy.VersionShares[0].Share = 10_001 }),
		refused("a sum that wraps", "policy.version_shares", func(r m) {
			r.Policy.VersionShares = []*musterv1.VersionShare{share("=1.0.0", 1<<31), share("=2.0.0", 1<<31)}
		}),
		refused("bad range", "policy.version_shares[0].version_range", func(r m) { r.Policy.VersionShares[0].VersionRange = "2" }),
		refused("empty range", "policy.version_shares[0].version_range", func(r m) { r.Policy.VersionShares[0].VersionRange = "" }),
		accepted("64 shares", func(r m) { r.Policy.VersionShares = slices.Repeat([]*musterv1.VersionShare{share("1.0.0", 1)}, 64) }),
		refused("65 shares", "policy.version_shares", func(r m) {
			r.Policy.VersionShares = slices.Repeat([]*musterv1.VersionShare{share("1.0.0", 1)}, 65)
		}),
		accepted("last rule", func(r m) { r.Policy.LocalityRule = 4 }),
		refused("unknown rule", "policy.locality_rule", func(r m) { r.Policy.LocalityRule = 5 }),
		accepted("greatest subset", func(r m) { r.Policy.SubsetSize = 100_000 }),
		refused("subset", "policy.subset_size", func(r m) { r.Policy.SubsetSize = 100_001 }),
		accepted("greatest threshold", func(r m) { r.Policy.PanicThreshold = proto.Uint32(10_000) }),
		refused("threshold", "policy.panic_threshold", func(r m) { r.Policy.PanicThreshold = proto.Uint32(10_001) }),
	})
}

func TestSetHold(t *testing.T) {
	type m = *musterv1.SetHoldRequest
	good := func() m {
		return &musterv1.SetHoldRequest{
			Service: &musterv1.ServiceName{Namespace: "shop", Service: "pay"}, Action: musterv1.HoldAction_HOLD_ACTION_HOLD,
		}
	}
	check(t, good, everything.SetHold, []bound[m]{
		accepted("release", func(r m) { r.Action = musterv1.HoldAction_HOLD_ACTION_RELEASE }),
		refused("no action", "action", func(r m) { r.Action = 0 }),
		refused("unknown action", "action", func(r m) { r.Action = 3 }),
		refused("zone", "zone", func(r m) { r.Zone = strings.Repeat("z", 64) }),
		refused("no namespace", "service.namespace", func(r m) { r.Service.Namespace = "" }),
	})
}

func TestAdminNeedsItsFeatures(t *testing.T) {
	v := validate.New(validate.DefaultLimits())
	for name, err := range map[string]error{
		"SetOverride":      v.SetOverride(goodOverride()),
		"DeleteOverride":   v.DeleteOverride(&musterv1.DeleteOverrideRequest{Key: adminKey()}),
		"ListOverrides":    v.ListOverrides(&musterv1.ListOverridesRequest{}),
		"SetTrafficPolicy": v.SetTrafficPolicy(&musterv1.SetTrafficPolicyRequest{}),
		"SetHold":          v.SetHold(&musterv1.SetHoldRequest{}),
	} {
		if reasonOf(err) != featureNotServed {
			t.Errorf("%s: %v", name, err)
		}
	}
}
