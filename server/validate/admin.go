package validate

import (
	"strconv"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector/semver"
)

// The contract's bounds of a traffic policy.
const (
	// WholeShare is all of the traffic, in basis points.
	WholeShare = 10_000
	// MaxVersionShares bounds the shares of one policy.
	MaxVersionShares = 64
	// MaxSubsetSize is the greatest subset.
	MaxSubsetSize = 100_000
)

// SetOverride checks a SetOverrideRequest.
func (v *Validator) SetOverride(request *musterv1.SetOverrideRequest) error {
	var r report
	if !v.served[FeatureOverrides] {
		r.notServed(nil, "override", FeatureOverrides)
		return r.err()
	}
	at := field(nil, "override")
	o := request.GetOverride()
	if o == nil {
		r.refuse(nil, "override", "", "must be set")
		return r.err()
	}
	checkOverrideKey(&r, &at, o.GetKey())
	if o.GetHealth() == 0 && o.Health != nil {
		r.refuse(&at, "health", o.GetHealth().String(), "must be HEALTHY, DEGRADED or UNHEALTHY; or unset")
	}
	checkHealth(&r, &at, "health", o.GetHealth())
	if o.GetWeight() > MaxWeight {
		r.refuse(&at, "weight", strconv.FormatUint(uint64(o.GetWeight()), 10), "must be at most 1000000")
	}
	if l := o.GetLifecycle(); o.Lifecycle != nil && (l <= 0 || l > musterv1.Lifecycle_LIFECYCLE_DRAINING) {
		r.refuse(&at, "lifecycle", l.String(), "must be STARTING, SERVING or DRAINING; or unset")
	}
	if o.Health == nil && o.Weight == nil && o.Lifecycle == nil {
		r.refuse(&at, "", "", "must set health, weight or lifecycle; to take it back call DeleteOverride")
	}
	if len(o.GetReason()) > MaxReasonBytes {
		r.refuse(&at, "reason", o.GetReason(), "must be at most 256 bytes")
	}
	if o.GetExpireTime() != nil && !o.GetExpireTime().IsValid() {
		r.refuse(&at, "expire_time", "", "must be a valid time, or unset")
	}
	return r.err()
}

func checkOverrideKey(r *report, at *path, k *musterv1.InstanceKey) {
	in := field(at, "key")
	checkKey(r, &in, k.GetNamespace(), k.GetService(), k.GetInstanceId(), true)
}

// DeleteOverride checks a DeleteOverrideRequest.
func (v *Validator) DeleteOverride(request *musterv1.DeleteOverrideRequest) error {
	var r report
	if !v.served[FeatureOverrides] {
		r.notServed(nil, "key", FeatureOverrides)
		return r.err()
	}
	checkOverrideKey(&r, nil, request.GetKey())
	return r.err()
}

// ListOverrides checks a ListOverridesRequest but for what its page_token means.
func (v *Validator) ListOverrides(request *musterv1.ListOverridesRequest) error {
	var r report
	if !v.served[FeatureOverrides] {
		r.notServed(nil, "namespace", FeatureOverrides)
		return r.err()
	}
	if n := request.GetNamespace(); n != "" {
		r.checkSyntax(nil, "namespace", n, &namespaceSyntax)
	}
	checkPage(&r, request.GetPageSize(), request.GetPageToken())
	return r.err()
}

// SetTrafficPolicy checks a SetTrafficPolicyRequest.
func (v *Validator) SetTrafficPolicy(request *musterv1.SetTrafficPolicyRequest) error {
	var r report
	if !v.served[FeatureTrafficPolicy] {
		r.notServed(nil, "policy", FeatureTrafficPolicy)
		return r.err()
	}
	at := field(nil, "service")
	checkServiceName(&r, &at, request.GetService())
	if p := request.GetPolicy(); p != nil {
		at := field(nil, "policy")
		checkPolicy(&r, &at, p)
	}
	return r.err()
}

func checkPolicy(r *report, at *path, p *musterv1.TrafficPolicy) {
	shares := p.GetVersionShares()
	if len(shares) > MaxVersionShares {
		r.refuse(at, "version_shares", strconv.Itoa(len(shares)), "is their number, which must be at most 64")
		shares = nil
	}
	sum := uint64(0)
	for i, s := range shares {
		in := element(at, "version_shares", i)
		if rng, err := semver.ParseRange(s.GetVersionRange()); err != nil {
			r.refuse(&in, "version_range", s.GetVersionRange(), err.Error())
		} else if rng.Empty() {
			r.refuse(&in, "version_range", "", "must name versions; what no share matches gets the rest by itself")
		}
		sum += uint64(s.GetShare())
	}
	if sum > WholeShare {
		r.refuse(at, "version_shares", strconv.FormatUint(sum, 10), "is the sum of the shares in basis points, which must be at most 10000")
	}
	if l := p.GetLocalityRule(); l < 0 || l > musterv1.LocalityRule_LOCALITY_RULE_REQUIRE_REGION {
		r.refuse(at, "locality_rule", l.String(), "must be ANY, PREFER_ZONE, PREFER_REGION or REQUIRE_REGION")
	}
	if n := p.GetSubsetSize(); n > MaxSubsetSize {
		r.refuse(at, "subset_size", strconv.FormatUint(uint64(n), 10), "must be at most 100000; 0 leaves it to the client")
	}
	if n := p.GetPanicThreshold(); n > WholeShare {
		r.refuse(at, "panic_threshold", strconv.FormatUint(uint64(n), 10), "must be at most 10000 basis points")
	}
}

// SetHold checks a SetHoldRequest.
func (v *Validator) SetHold(request *musterv1.SetHoldRequest) error {
	var r report
	if !v.served[FeatureMassExpiryGuard] {
		r.notServed(nil, "action", FeatureMassExpiryGuard)
		return r.err()
	}
	at := field(nil, "service")
	checkServiceName(&r, &at, request.GetService())
	checkPlace(&r, nil, "zone", request.GetZone())
	if a := request.GetAction(); a <= 0 || a > musterv1.HoldAction_HOLD_ACTION_RELEASE {
		r.refuse(nil, "action", a.String(), "must be HOLD or RELEASE")
	}
	return r.err()
}
