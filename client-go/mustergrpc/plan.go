package mustergrpc

import (
	"slices"
	"sync"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// plan is what a view means for a channel. It is immutable.
type plan struct {
	rules.Plan
	view *muster.View
	// instances are those of the service, sorted by id; candidates and Why are
	// in their order.
	instances  []*muster.Instance
	candidates []rules.Candidate
	// reason is why no slot takes calls; nil if one does.
	reason *muster.Error
	ring   *ring
}

// ring is a ring of a plan's slots, made when a call first needs it.
type ring struct {
	slots []rules.PlanSlot
	get   func() rules.Ring
}

// makePlan decides which endpoints to connect to, and with which weights to
// pick them. before is the plan that it replaces.
func makePlan(r *resolved, ejected func(rules.SlotKey) bool, before *plan) *plan {
	p := &plan{view: r.view, instances: r.view.InstancesOf(r.service)}
	p.candidates = candidatesOf(p.instances, r.endpoint, ejected)
	p.Plan = rules.PlanOf(p.candidates, policyOf(r.view.Service(r.service)), r.self)
	if !slices.ContainsFunc(p.Slots, func(s rules.PlanSlot) bool { return s.Weight > 0 }) {
		p.reason = p.whyNone(r.service)
	}
	if p.ring = before.ring; !slices.Equal(p.ring.slots, p.Slots) {
		p.ring = newRing(p.Slots)
	}
	return p
}

func newRing(slots []rules.PlanSlot) *ring {
	return &ring{slots, sync.OnceValue(func() rules.Ring {
		places := make([]rules.RingSlot, len(slots))
		for i, s := range slots {
			places[i] = rules.RingSlot{Key: s.Key, Weight: s.Weight}
		}
		return rules.NewRing(places)
	})}
}

// whyNone is the error of a plan without a slot to pick.
func (p *plan) whyNone(service muster.ServiceName) *muster.Error {
	if len(p.instances) > 0 {
		return unavailable(muster.ReasonNoInstances, service, textNoneServes(service, p.Why))
	}
	return asUnavailable(p.view.Why(service), service)
}

// equal tells whether two plans make the same connections and picks, of the
// same instances and for the same reasons.
func (p *plan) equal(other *plan) bool {
	sameReason := p.reason == other.reason ||
		p.reason != nil && other.reason != nil && p.reason.Message == other.reason.Message
	return sameReason && p.Panicking == other.Panicking && slices.Equal(p.Slots, other.Slots) && slices.Equal(p.Why, other.Why) &&
		slices.EqualFunc(p.instances, other.instances, func(a, b *muster.Instance) bool { return a.Key == b.Key })
}

// slot is the index of a key in the plan's slots; false if it has none.
func (p *plan) slot(key rules.SlotKey) (int, bool) {
	return slices.BinarySearchFunc(p.Slots, key, func(s rules.PlanSlot, k rules.SlotKey) int {
		return rules.CompareSlotKeys(s.Key, k)
	})
}

// instance is the index of an instance; false if the view has none of that id.
func (p *plan) instance(id string) (int, bool) {
	return slices.BinarySearchFunc(p.instances, id, func(i *muster.Instance, id string) int {
		switch {
		case i.ID < id:
			return -1
		case i.ID > id:
			return 1
		default:
			return 0
		}
	})
}
