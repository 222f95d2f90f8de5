package mustergrpc

import (
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// PickExplanation is why a channel picks which instances, at one moment.
type PickExplanation struct {
	// Service that the channel calls.
	Service muster.ServiceName
	// Position of the view that the channel uses; zero before the first.
	Position muster.Position
	// Panicking tells whether health is ignored, because only Healthy of Total
	// instances are so.
	Panicking      bool
	Healthy, Total int
	// Err is what a call would fail with now; nil if one can be sent or waits.
	Err error
	// Instances of the view, sorted by id.
	Instances []InstanceExplanation
}

// InstanceExplanation is why a channel picks an instance, or does not.
type InstanceExplanation struct {
	// ID of the instance.
	ID string
	// Address that is dialled; empty if there is none.
	Address string
	// Step of the plan that decided: PICKED or PANIC if it is picked, else what
	// it was left out for: STARTING, NO_ENDPOINT, DRAINING, WEIGHTLESS,
	// VERSION_SHARE, LOCALITY, SUBSET, UNHEALTHY or EJECTED.
	Step string
	// Weight of its slot, which instances of one address share; 0 is not picked.
	Weight uint64
	// State of the connection: IDLE, CONNECTING, READY or BACKOFF; empty if the
	// channel has none to do with it.
	State string
	// Failure is why there is no connection; empty if nothing failed.
	Failure string
	// InFlight are the RPCs of the slot that have not ended.
	InFlight uint64
}

// String is the whole as a table for people.
func (e PickExplanation) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, epoch %d, revision %d: %d of %d healthy", e.Service, e.Position.Epoch, e.Position.Revision, e.Healthy, e.Total)
	if e.Panicking {
		text.WriteString(", health is ignored")
	}
	if e.Err != nil {
		fmt.Fprintf(&text, "\ncalls fail: %v", e.Err)
	}
	for _, i := range e.Instances {
		fmt.Fprintf(&text, "\n%s %s %s weight=%d in_flight=%d", i.ID, i.Address, i.Step, i.Weight, i.InFlight)
		if i.State != "" {
			text.WriteString(" " + i.State)
		}
		if i.Failure != "" {
			fmt.Fprintf(&text, " (%s)", i.Failure)
		}
	}
	return text.String()
}

// channels are the balancers of open channels, by *grpc.ClientConn.
var channels sync.Map

// ExplainPick tells why a channel of [NewClient] picks which instances now. It
// is nil for other channels, and for one that is closed.
func ExplainPick(conn *grpc.ClientConn) *PickExplanation {
	b, ok := channels.Load(conn)
	if !ok {
		return nil
	}
	return b.(*viewBalancer).explain()
}

// open makes the balancer known by its channel, until Close.
func (b *viewBalancer) open(conn *grpc.ClientConn) {
	b.mu.Lock()
	defer b.unlock()
	if !b.closed {
		b.conn = conn
		channels.Store(conn, b)
	}
}

func (b *viewBalancer) explain() *PickExplanation {
	b.mu.Lock()
	defer b.unlock()
	if b.closed {
		return nil
	}
	now := b.pickerLocked()
	e := &PickExplanation{
		Service: b.service, Panicking: b.plan.Panicking, Healthy: b.plan.Healthy, Total: b.plan.Total,
	}
	if now.err != nil {
		e.Err = now.err
	}
	if b.plan.view != nil {
		e.Position = b.plan.view.Position()
	}
	for n, i := range b.plan.instances {
		e.Instances = append(e.Instances, b.explainLocked(i.ID, b.plan.candidates[n].Key, b.plan.Why[n]))
	}
	return e
}

func (b *viewBalancer) explainLocked(id string, key rules.SlotKey, why rules.Why) InstanceExplanation {
	e := InstanceExplanation{ID: id, Address: key.Address, Step: string(why)}
	index, ok := b.plan.slot(key)
	if !ok {
		return e
	}
	s := b.arranged[index]
	e.Weight, e.State, e.InFlight = b.plan.Slots[index].Weight, phaseNames[s.connection.Phase], s.inFlight.Load()
	if s.failure != nil {
		e.Failure = causeOf(s.failure)
	}
	return e
}

var phaseNames = [...]string{
	rules.PhaseIdle: "IDLE", rules.PhaseConnecting: "CONNECTING", rules.PhaseReady: "READY", rules.PhaseBackoff: "BACKOFF",
}
