package mustergrpc

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

const balancerName = "muster_v1"

type logger = *slog.Logger

func init() { balancer.Register(builder{}) }

type builder struct{}

// Name implements balancer.Builder.
func (builder) Name() string { return balancerName }

// Build implements balancer.Builder.
func (builder) Build(cc balancer.ClientConn, _ balancer.BuildOptions) balancer.Balancer {
	b := &viewBalancer{cc: cc, began: time.Now(), plan: &plan{ring: &ring{}}, slots: make(map[rules.SlotKey]*slot)}
	b.noView = time.AfterFunc(defaults.FirstViewWait, b.gaveUpWaiting)
	cc.UpdateState(balancer.State{ConnectivityState: connectivity.Connecting, Picker: waiting{}})
	return b
}

// viewBalancer connects to what views show and spreads calls over it. grpc
// calls it from one goroutine at a time; timers and the ends of calls come from
// others.
type viewBalancer struct {
	cc    balancer.ClientConn
	began time.Time

	// service and source are set with the first view, before the first picker.
	service muster.ServiceName
	source  *source

	// mu guards what follows. The ClientConn's own locks are taken inside of it.
	mu     sync.Mutex
	closed bool
	// conn is the channel; nil until it is complete.
	conn  *grpc.ClientConn
	last  *resolved
	plan  *plan
	slots map[rules.SlotKey]*slot
	// arranged are the slots of the plan, in its order.
	arranged []*slot
	// connected of them are to have a connection, ejected are left out.
	connected, ejected uint32
	// late is set when no first view came in time.
	late   bool
	noView *time.Timer
	// soon publishes a table that may wait; nil if none does.
	soon *time.Timer
	// ready are the connections of the table that was published last, and mode
	// is its mode.
	ready int
	mode  rules.Mode
	// untold are events that are told once mu is released.
	untold []muster.Event
}

// UpdateClientConnState implements balancer.Balancer: it takes a view.
func (b *viewBalancer) UpdateClientConnState(state balancer.ClientConnState) error {
	r, ok := state.ResolverState.Attributes.Value(resolvedKey{}).(*resolved)
	if !ok {
		return errors.New(balancerName + " needs the resolver of mustergrpc.NewClient")
	}
	b.mu.Lock()
	defer b.unlock()
	if b.closed {
		return nil
	}
	if b.last = r; b.source == nil {
		b.source, b.service = r.source, r.service
	}
	r.balancer.Store(b)
	if r.view.Intent() == muster.NotYet {
		b.publishLocked()
		return nil
	}
	b.noView.Stop()
	b.late = false
	b.replanLocked()
	// Only now, when no new call can find what the view no longer has, may the
	// registry hear of it.
	r.picker.Applied(r.view)
	return nil
}

// replanLocked makes a plan of the last view and what calls found out, and
// publishes its table. What the plan no longer has is closed afterwards, when
// no new call can find it. It publishes nothing if nothing is new.
func (b *viewBalancer) replanLocked() (published bool) {
	if b.last.view.Intent() == muster.NotYet {
		return false
	}
	before := b.plan
	b.forgiveRenewedLocked()
	b.plan = makePlan(b.last, b.isEjectedLocked, before)
	if b.plan.Panicking != before.Panicking {
		b.tellLocked(muster.PanicChanged{Service: b.service.String(), Panic: b.plan.Panicking})
		if b.plan.Panicking {
			b.source.logger.Warn(textPanic(b.service, b.plan.Healthy, b.plan.Total))
		}
	}
	if before.view != nil && b.plan.equal(before) && b.mode != rules.ModeEmpty {
		return false
	}
	retired := b.arrangeLocked()
	b.publishLocked()
	for _, s := range retired {
		s.close()
	}
	return true
}

// forgiveRenewedLocked forgets what is known against slots whose instances were
// registered anew.
func (b *viewBalancer) forgiveRenewedLocked() {
	for _, i := range b.last.view.InstancesOf(b.service) {
		s := b.slots[slotOf(i, b.source.endpoint)]
		if s != nil && generationOf(i) > s.generation {
			b.forgiveLocked(s)
		}
	}
}

func (b *viewBalancer) isEjectedLocked(key rules.SlotKey) bool {
	s := b.slots[key]
	return s != nil && s.outlier.Ejected
}

// publishSoonLocked publishes a table in a moment.
func (b *viewBalancer) publishSoonLocked() {
	if b.soon == nil {
		b.soon = time.AfterFunc(defaults.Coalesce, b.publishSoon)
	}
}

func (b *viewBalancer) publishSoon() {
	b.mu.Lock()
	defer b.unlock()
	if !b.closed {
		b.publishLocked()
	}
}

func (b *viewBalancer) gaveUpWaiting() {
	b.mu.Lock()
	defer b.unlock()
	b.late = true
	if !b.closed && b.source != nil {
		b.publishLocked()
	}
}

// publishLocked hands a table of what can be picked now to the channel.
func (b *viewBalancer) publishLocked() {
	if b.soon != nil {
		b.soon.Stop()
		b.soon = nil
	}
	p := b.pickerLocked()
	b.ready, b.mode = len(p.table.Slots), p.mode
	state := connectivity.TransientFailure
	switch p.mode {
	case rules.ModeServe:
		state = connectivity.Ready
	case rules.ModeWait:
		state = connectivity.Connecting
	}
	b.cc.UpdateState(balancer.State{ConnectivityState: state, Picker: p})
}

// pickerLocked decides: ready connections, else wait if there is hope, else fail.
func (b *viewBalancer) pickerLocked() *picker {
	p := &picker{balancer: b, service: b.service, plan: b.plan, slots: b.arranged, states: make([]slotNow, len(b.arranged))}
	p.load = p.loadAt
	states := make([]rules.SlotState, len(b.arranged))
	for n, s := range b.arranged {
		p.states[n] = slotNow{s.reach(), s.conn, s.failure}
		states[n] = rules.SlotState{Weight: b.plan.Slots[n].Weight, Reach: p.states[n].reach, FailedMs: s.failedMs}
	}
	usable := rules.UsableOf(states)
	p.mode, p.table = usable.Mode, usable.Table
	ended := b.source.subscription.Err()
	switch {
	case p.mode == rules.ModeServe:
	case ended != nil:
		p.mode, p.err = rules.ModeEmpty, asUnavailable(ended, b.service)
	case b.plan.view == nil:
		p.mode, p.plan = rules.ModeWait, nil
		if b.late {
			p.mode, p.err = rules.ModeEmpty, asUnavailable(b.source.subscription.Why(b.service), b.service)
		}
	case p.mode == rules.ModeEmpty:
		p.err = b.plan.reason
	case p.mode == rules.ModeUnreachable:
		p.err = b.unreachableLocked(usable.Failed)
	}
	return p
}

// unreachableLocked is the error of a table whose slots all failed, failed last.
func (b *viewBalancer) unreachableLocked(failed int) *muster.Error {
	wanted := 0
	for _, s := range b.plan.Slots {
		if s.Connect {
			wanted++
		}
	}
	s := b.arranged[failed]
	return unavailable(muster.ReasonNoReadyEndpoint, b.service, textNoReady(b.service, wanted, s.key.Address, causeOf(s.failure)))
}

// causeOf is the innermost text of a connection error.
func causeOf(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// tellLocked tells of an event once mu is released.
func (b *viewBalancer) tellLocked(e muster.Event) { b.untold = append(b.untold, e) }

// unlock releases mu and tells what happened.
func (b *viewBalancer) unlock() {
	events := b.untold
	b.untold = nil
	b.mu.Unlock()
	for _, e := range events {
		b.observe(e)
	}
}

// observe must be called without mu.
func (b *viewBalancer) observe(e muster.Event) { b.source.observe(e) }

// ResolverError implements balancer.Balancer. The resolver reports none.
func (b *viewBalancer) ResolverError(error) {}

// UpdateSubConnState implements balancer.Balancer; grpc calls listeners instead.
func (b *viewBalancer) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}

// ExitIdle implements balancer.Balancer. The channel is never idle.
func (b *viewBalancer) ExitIdle() {}

// Close implements balancer.Balancer.
func (b *viewBalancer) Close() {
	b.mu.Lock()
	defer b.unlock()
	b.closed = true
	b.noView.Stop()
	stop(b.soon)
	for _, s := range b.slots {
		s.close()
	}
	clear(b.slots)
	channels.Delete(b.conn)
}
