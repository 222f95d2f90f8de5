package mustergrpc

import (
	"cmp"
	"maps"
	"slices"

	"github.com/muster-registry/muster/client-go"
)

// slotKey is what a connection is for: instances with equal keys share one.
type slotKey struct {
	protocol   muster.Protocol
	address    string
	serverName string
	security   muster.Security
	authority  string
}

func compareSlots(a, b slotKey) int {
	return cmp.Or(
		cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.address, b.address), cmp.Compare(a.serverName, b.serverName),
		cmp.Compare(a.security, b.security), cmp.Compare(a.authority, b.authority),
	)
}

// planned is one connection that a plan needs.
type planned struct {
	key slotKey
	// pick tells whether new calls may go there; other connections are kept
	// because their instances may take calls again.
	pick bool
	// generation rises when an instance behind the slot was registered anew.
	generation uint64
}

// plan is what a view means for a channel. It is pure and immutable.
type plan struct {
	// slots are sorted by key.
	slots []planned
	// reason is why no slot may be picked; nil if one may.
	reason *muster.Error
	// panicking tells whether health is ignored, because fewer than half of
	// the instances are healthy; healthy and total are how many.
	panicking      bool
	healthy, total int
}

// makePlan decides which endpoints to connect to, and which of them to pick.
func makePlan(v *muster.View, service muster.ServiceName) plan {
	var p plan
	var draining, starting, weightless, undialable int
	instances := v.InstancesOf(service)
	bySlot := map[slotKey]planned{}
	p.healthy, p.total = countHealthy(instances)
	p.panicking = p.healthy*2 < p.total
	for _, i := range instances {
		key, ok := slotOf(i)
		pick := false
		switch {
		case i.Lifecycle == muster.Starting:
			starting++
			continue
		case !ok:
			undialable++
			continue
		case i.Lifecycle == muster.Draining:
			draining++
		case i.Weight == 0:
			weightless++
		default:
			pick = p.panicking || i.Health != muster.Unhealthy
		}
		s := bySlot[key]
		bySlot[key] = planned{key, s.pick || pick, max(s.generation, i.CreateRevision, i.Incarnation)}
	}
	p.slots = slices.SortedFunc(maps.Values(bySlot), func(a, b planned) int { return compareSlots(a.key, b.key) })
	if !slices.ContainsFunc(p.slots, func(s planned) bool { return s.pick }) {
		p.reason = whyNone(v, service, textNoneServes(service, len(instances), draining, starting, weightless, undialable))
	}
	return p
}

// countHealthy counts the instances that take calls, and the healthy of them.
func countHealthy(instances []*muster.Instance) (healthy, total int) {
	for _, i := range instances {
		if i.Lifecycle == muster.Serving && i.Weight > 0 {
			total++
			if i.Health != muster.Unhealthy {
				healthy++
			}
		}
	}
	return healthy, total
}

// whyNone is the error of a view without an instance to pick.
func whyNone(v *muster.View, service muster.ServiceName, none string) *muster.Error {
	if len(v.InstancesOf(service)) > 0 {
		return unavailable(muster.ReasonNoInstances, service, none)
	}
	return asUnavailable(v.Why(service), service)
}

// slotOf is the connection of an instance: its gRPC endpoint named "grpc", else
// the first by name.
func slotOf(i *muster.Instance) (slotKey, bool) {
	var chosen *muster.Endpoint
	for n := range i.Endpoints {
		e := &i.Endpoints[n]
		if e.Protocol != muster.ProtocolGRPC {
			continue
		}
		if chosen == nil || chosen.Name != "grpc" && (e.Name == "grpc" || e.Name < chosen.Name) {
			chosen = e
		}
	}
	if chosen == nil {
		return slotKey{}, false
	}
	serverName := cmp.Or(chosen.ServerName, authorityOf(i.ServiceName()))
	return slotKey{
		protocol: chosen.Protocol, address: chosen.Address, security: chosen.Security,
		serverName: serverName, authority: cmp.Or(chosen.Authority, serverName),
	}, true
}

// equal tells whether two plans make the same connections and picks.
func (p plan) equal(other plan) bool {
	sameReason := p.reason == other.reason ||
		p.reason != nil && other.reason != nil && p.reason.Message == other.reason.Message
	return sameReason && slices.Equal(p.slots, other.slots)
}
