package mustergrpc

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc/balancer"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// picker chooses by one table. It is immutable; what it meets afterwards are
// the loads of its slots.
type picker struct {
	balancer *viewBalancer
	service  muster.ServiceName
	mode     rules.Mode
	// err is why no call can be sent, in the modes that fail.
	err   *muster.Error
	table rules.Table
	// plan is nil before the first view. slots and states are those of its
	// slots, in their order.
	plan   *plan
	slots  []*slot
	states []slotNow
	load   func(position int) uint64
}

// slotNow is a slot's connection when a table was made.
type slotNow struct {
	reach rules.Reach
	conn  balancer.SubConn
	// failure is why the last attempt failed; nil if none did.
	failure error
}

// Pick implements balancer.Picker.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	c := rpcOf(info.Ctx)
	if c.instance != "" && p.plan != nil {
		return p.pickInstance(c)
	}
	switch p.mode {
	case rules.ModeServe:
	case rules.ModeWait:
		return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
	default:
		return p.fail(c, p.err)
	}
	var ring rules.Ring
	if c.hashed {
		ring = p.plan.ring.get()
	}
	r0, r1 := rand.Uint64(), rand.Uint64()
	position, ok := rules.Pick(&p.table, r0, r1, ring, c.hash, p.positionOf(c.refused.Load()), p.load)
	if !ok { // the only one is the one that refused; perhaps it has room now
		position = 0
	}
	return p.send(c, p.table.Slots[position]), nil
}

// loadAt is the number of calls in flight at a position of the table.
func (p *picker) loadAt(position int) uint64 {
	return p.slots[p.table.Slots[position]].inFlight.Load()
}

// positionOf is where a slot is in the table.
func (p *picker) positionOf(s *slot) int {
	if s == nil {
		return rules.Nobody
	}
	return slices.IndexFunc(p.table.Slots, func(index int) bool { return p.slots[index] == s })
}

// pickInstance picks the slot of one instance, if only its health can speak
// against it.
func (p *picker) pickInstance(c *rpc) (balancer.PickResult, error) {
	n, ok := p.plan.instance(c.instance)
	if !ok {
		return p.fail(c, unavailable(muster.ReasonInstanceUnknown, p.service, textNoInstance(p.service, c.instance, p.plan.view.Position())))
	}
	switch why := p.plan.Why[n]; why {
	case rules.WhyPicked, rules.WhyPanic, rules.WhyUnhealthy, rules.WhyEjected:
	default:
		return p.fail(c, unavailable(muster.ReasonNoInstances, p.service, textNotCalled(p.service, c.instance, why)))
	}
	index, _ := p.plan.slot(p.plan.candidates[n].Key)
	switch now := p.states[index]; now.reach {
	case rules.ReachReady:
		return p.send(c, index), nil
	case rules.ReachComing:
		return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
	default:
		address := p.plan.Slots[index].Key.Address
		return p.fail(c, unavailable(muster.ReasonNoReadyEndpoint, p.service,
			textInstanceAway(p.service, c.instance, address, causeOf(now.failure))))
	}
}

// send sends an RPC to a slot of the plan and counts it until it ends.
func (p *picker) send(c *rpc, index int) balancer.PickResult {
	s := p.slots[index]
	s.inFlight.Add(1)
	began := time.Now()
	return balancer.PickResult{SubConn: p.states[index].conn, Done: func(info balancer.DoneInfo) {
		s.inFlight.Add(^uint64(0))
		p.balancer.ended(s, c, time.Since(began), info)
	}}
}

// fail fails a call at once, unless it waits for readiness. An error with a
// status would end calls that wait as well; a plain one lets them wait.
func (p *picker) fail(c *rpc, err *muster.Error) (balancer.PickResult, error) {
	if c.waits {
		return balancer.PickResult{}, errors.New(err.Error())
	}
	p.balancer.observe(muster.PickFailed{Service: p.service.String(), Result: string(err.Reason)})
	return balancer.PickResult{}, err
}

// waiting lets calls wait for the first table.
type waiting struct{}

// Pick implements balancer.Picker.
func (waiting) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

// asUnavailable is an error of the client as a pick reports it.
func asUnavailable(err error, service muster.ServiceName) *muster.Error {
	var e *muster.Error
	if !errors.As(err, &e) {
		return unavailable(muster.ReasonNoInstances, service, service.String()+" has no instances")
	}
	return unavailable(e.Reason, service, e.Message)
}
