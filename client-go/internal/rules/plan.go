package rules

import (
	"math/bits"
	"slices"
)

// Candidate is an instance of the service as a plan needs it. Names are those
// of the contract, without prefix.
type Candidate struct {
	// Key of the endpoint to dial; without address there is none.
	Key SlotKey
	// Weight is the share of new calls relative to others; 0 takes none, and
	// above 1,000,000 it counts as that.
	Weight uint32
	// Lifecycle takes calls if it is SERVING or empty; DRAINING takes none any
	// more, and everything else none yet.
	Lifecycle string
	// Health is HEALTHY, DEGRADED or UNHEALTHY; everything else is HEALTHY.
	Health string
	// Version, Region and Zone of the instance; empty if unknown.
	Version, Region, Zone string
	// Generation rises when the instance is registered anew.
	Generation uint64
	// Ejected tells whether this client's own experience speaks against its slot.
	Ejected bool
}

func (c *Candidate) healthy() bool { return c.Health != "UNHEALTHY" && !c.Ejected }

// Policy is what operators set for the service.
type Policy struct {
	// VersionShares split calls between versions; empty: they do not matter.
	VersionShares []VersionShare
	// LocalityRule is ANY, PREFER_ZONE, PREFER_REGION or REQUIRE_REGION;
	// everything else is PREFER_ZONE.
	LocalityRule string
	// SubsetSize is how many slots of each version group one client uses; 0 is
	// [DefaultSubsetSize].
	SubsetSize uint32
	// PanicThreshold is the share of healthy instances below which health is
	// ignored, in basis points; nil is [DefaultPanicThreshold].
	PanicThreshold *uint32
}

const (
	// DefaultSubsetSize is how many slots a client uses unless told otherwise.
	DefaultSubsetSize = 100
	// DefaultPanicThreshold is half of the instances, in basis points.
	DefaultPanicThreshold = 5000
	// maxWeight is the contract's greatest weight; with it no sum of weights
	// overflows.
	maxWeight = 1_000_000
	// wholeShare is everything, in basis points.
	wholeShare = 10000
)

// Self is the client that plans.
type Self struct {
	// Region and Zone where it runs; empty if unknown.
	Region, Zone string
	// ClientID is a random number that spreads clients over subsets.
	ClientID uint64
}

// Why is the step of a plan that decided on an instance.
type Why string

// The steps, in their order.
const (
	// WhyStarting: it takes no calls yet.
	WhyStarting Why = "STARTING"
	// WhyNoEndpoint: it has no endpoint that can be dialled.
	WhyNoEndpoint Why = "NO_ENDPOINT"
	// WhyDraining: it takes no new calls any more.
	WhyDraining Why = "DRAINING"
	// WhyWeightless: its weight is 0.
	WhyWeightless Why = "WEIGHTLESS"
	// WhyVersionShare: the policy gives its version no share.
	WhyVersionShare Why = "VERSION_SHARE"
	// WhyLocality: there are enough nearer ones.
	WhyLocality Why = "LOCALITY"
	// WhySubset: this client uses others.
	WhySubset Why = "SUBSET"
	// WhyUnhealthy: the registry says that it is unhealthy.
	WhyUnhealthy Why = "UNHEALTHY"
	// WhyEjected: this client's own calls to it failed.
	WhyEjected Why = "EJECTED"
	// WhyPanic: it is picked although unhealthy or ejected, as too few are not.
	WhyPanic Why = "PANIC"
	// WhyPicked: it is picked.
	WhyPicked Why = "PICKED"

	undecided Why = ""
)

// Plan is which slots a client uses. It is immutable.
type Plan struct {
	// Slots are sorted by key.
	Slots []PlanSlot
	// Why has the deciding step of each candidate, in their order.
	Why []Why
	// Panicking tells whether health is ignored.
	Panicking bool
	// Healthy of Total instances were so when panic was decided.
	Healthy, Total int
}

// PlanSlot is one connection of a plan.
type PlanSlot struct {
	// Key of the slot.
	Key SlotKey
	// Weight is its share of new calls; 0 takes none. An instance of weight 1
	// counts 2^16, unless versions have shares.
	Weight uint64
	// Connect tells whether to have a connection. Without it one that is there
	// is kept, for its instance may take calls again.
	Connect bool
	// Generation is the greatest of its instances'.
	Generation uint64
}

// PlanOf decides which slots a client uses, and why it does not use the others.
// The order of the candidates decides nothing but that of Why.
func PlanOf(candidates []Candidate, policy Policy, self Self) Plan {
	p := Plan{Why: make([]Why, len(candidates))}
	threshold := policy.panicThreshold()
	var admitted []int
	for i := range candidates {
		p.Why[i] = admit(&candidates[i])
		if p.Why[i] == undecided {
			admitted = append(admitted, i)
		}
	}
	groups := splitByVersion(candidates, admitted, policy.VersionShares, p.Why)
	for _, g := range groups {
		g.members = nearest(candidates, g.members, policy.LocalityRule, threshold, self, p.Why)
		g.members = subsetOf(candidates, g.members, policy.subsetSize(), self.ClientID, p.Why)
		for _, i := range g.members {
			p.Total++
			if candidates[i].healthy() {
				p.Healthy++
			}
		}
	}
	p.Panicking = tooFew(p.Healthy, p.Total, threshold)
	weights := make([]uint64, len(candidates))
	for _, g := range groups {
		p.pick(candidates, g, weights)
	}
	p.Slots = mergeSlots(candidates, p.Why, weights)
	return p
}

func (p Policy) panicThreshold() uint32 {
	if p.PanicThreshold == nil {
		return DefaultPanicThreshold
	}
	return min(*p.PanicThreshold, wholeShare)
}

func (p Policy) subsetSize() int {
	if p.SubsetSize == 0 {
		return DefaultSubsetSize
	}
	return int(p.SubsetSize)
}

// admit decides whether an instance can take calls at all.
func admit(c *Candidate) Why {
	serving := c.Lifecycle == "SERVING" || c.Lifecycle == ""
	switch {
	case !serving && c.Lifecycle != "DRAINING":
		return WhyStarting
	case c.Key.Address == "":
		return WhyNoEndpoint
	case !serving:
		return WhyDraining
	case c.Weight == 0:
		return WhyWeightless
	default:
		return undecided
	}
}

// tooFew tells whether the healthy are less than a share, in basis points.
func tooFew(healthy, total int, threshold uint32) bool {
	return uint64(healthy)*wholeShare < uint64(threshold)*uint64(total)
}

// pick gives weights to the members of a group that can be picked.
func (p *Plan) pick(candidates []Candidate, g *versionGroup, weights []uint64) {
	var sum uint64
	for _, i := range g.members {
		c := &candidates[i]
		switch {
		case c.healthy():
			p.Why[i] = WhyPicked
		case p.Panicking:
			p.Why[i] = WhyPanic
		case c.Health == "UNHEALTHY":
			p.Why[i] = WhyUnhealthy
			continue
		default:
			p.Why[i] = WhyEjected
			continue
		}
		weights[i] = uint64(min(c.Weight, maxWeight)) << 16
		if c.Health == "DEGRADED" && !p.Panicking {
			weights[i] /= 4
		}
		sum += weights[i]
	}
	if !g.shared {
		return
	}
	for _, i := range g.members {
		if weights[i] > 0 {
			high, low := bits.Mul64(g.share<<24, weights[i])
			weights[i], _ = bits.Div64(high, low, sum)
			weights[i] = max(weights[i], 1)
		}
	}
}

// mergeSlots joins candidates with equal keys. Those that were left out by
// policy have no slot; those that can take no calls now keep theirs.
func mergeSlots(candidates []Candidate, why []Why, weights []uint64) []PlanSlot {
	slots := make([]PlanSlot, 0, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		s := PlanSlot{Key: c.Key, Weight: weights[i], Generation: c.Generation}
		switch why[i] {
		case WhyPicked, WhyPanic, WhyUnhealthy, WhyEjected:
			s.Connect = true
		case WhyDraining, WhyWeightless:
		default:
			continue
		}
		slots = append(slots, s)
	}
	slices.SortFunc(slots, func(a, b PlanSlot) int { return CompareSlotKeys(a.Key, b.Key) })
	merged := slots[:0]
	for _, s := range slots {
		if last := len(merged) - 1; last >= 0 && merged[last].Key == s.Key {
			m := &merged[last]
			m.Weight += s.Weight
			m.Connect = m.Connect || s.Connect
			m.Generation = max(m.Generation, s.Generation)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}
