package mustergrpc

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"

	"google.golang.org/grpc/balancer"

	"github.com/muster-registry/muster/client-go"
)

// roundRobin spreads calls evenly over ready connections. The list is immutable.
type roundRobin struct {
	ready []balancer.SubConn
	next  atomic.Uint64
}

func newRoundRobin(ready []balancer.SubConn) *roundRobin {
	p := &roundRobin{ready: ready}
	p.next.Store(uint64(rand.Uint32())) // so that many clients do not begin at one instance
	return p
}

// Pick implements balancer.Picker.
func (p *roundRobin) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	return balancer.PickResult{SubConn: p.ready[p.next.Add(1)%uint64(len(p.ready))]}, nil
}

// waiting lets calls wait for the next table.
type waiting struct{}

// Pick implements balancer.Picker.
func (waiting) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

// failing fails calls at once, but for those that wait for readiness.
type failing struct{ err *muster.Error }

// Pick implements balancer.Picker. An error with a status would end calls that
// wait as well; a plain one lets them wait.
func (p failing) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	if waits, _ := info.Ctx.Value(waitsForReady{}).(bool); waits {
		return balancer.PickResult{}, errors.New(p.err.Error())
	}
	return balancer.PickResult{}, p.err
}

// asUnavailable is an error of the client as a pick reports it.
func asUnavailable(err error, service muster.ServiceName) *muster.Error {
	var e *muster.Error
	if !errors.As(err, &e) {
		return unavailable(muster.ReasonNoInstances, service, service.String()+" has no instances")
	}
	return unavailable(e.Reason, service, e.Message)
}
