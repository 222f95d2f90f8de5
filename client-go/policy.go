package muster

import (
	"strings"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// TrafficPolicy is what operators set for a service. Shares are in basis
// points, 1/10,000. The channels of mustergrpc hold to it.
type TrafficPolicy struct {
	// VersionShares split calls between versions. What they leave goes to the
	// versions that none of them matches.
	VersionShares []VersionShare
	// LocalityRule is how strongly near instances are preferred.
	LocalityRule LocalityRule
	// SubsetSize is how many endpoints of each version one client uses; 0 is
	// 100.
	SubsetSize uint32
	// PanicThreshold is the share of healthy instances below which health is
	// ignored; nil is 5,000.
	PanicThreshold *uint32
}

// VersionShare gives a share of new calls to a range of versions.
type VersionShare struct {
	// VersionRange is as in Filter.VersionRange.
	VersionRange string
	// Share in basis points.
	Share uint32
}

// LocalityRule is how strongly near instances are preferred.
type LocalityRule int32

// How strongly near instances are preferred. The zero value is PREFER_ZONE.
const (
	// LocalityAny ignores distance.
	LocalityAny = LocalityRule(musterv1.LocalityRule_LOCALITY_RULE_ANY)
	// LocalityPreferZone is the own zone, then the own region, then the rest.
	LocalityPreferZone = LocalityRule(musterv1.LocalityRule_LOCALITY_RULE_PREFER_ZONE)
	// LocalityPreferRegion is the own region, then the rest.
	LocalityPreferRegion = LocalityRule(musterv1.LocalityRule_LOCALITY_RULE_PREFER_REGION)
	// LocalityRequireRegion is the own region and nothing else.
	LocalityRequireRegion = LocalityRule(musterv1.LocalityRule_LOCALITY_RULE_REQUIRE_REGION)
)

// String is the name in the contract, such as "PREFER_ZONE".
func (r LocalityRule) String() string {
	return strings.TrimPrefix(musterv1.LocalityRule(r).String(), "LOCALITY_RULE_")
}

func policyFrom(p *musterv1.TrafficPolicy) *TrafficPolicy {
	if p == nil {
		return nil
	}
	policy := &TrafficPolicy{
		LocalityRule: LocalityRule(p.GetLocalityRule()), SubsetSize: p.GetSubsetSize(), PanicThreshold: p.PanicThreshold,
	}
	for _, s := range p.GetVersionShares() {
		policy.VersionShares = append(policy.VersionShares, VersionShare{s.GetVersionRange(), s.GetShare()})
	}
	return policy
}

func (p *TrafficPolicy) proto() *musterv1.TrafficPolicy {
	if p == nil {
		return nil
	}
	policy := &musterv1.TrafficPolicy{
		LocalityRule: musterv1.LocalityRule(p.LocalityRule), SubsetSize: p.SubsetSize, PanicThreshold: p.PanicThreshold,
	}
	for _, s := range p.VersionShares {
		policy.VersionShares = append(policy.VersionShares, &musterv1.VersionShare{VersionRange: s.VersionRange, Share: s.Share})
	}
	return policy
}
