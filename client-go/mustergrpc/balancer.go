package mustergrpc

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/muster-registry/muster/client-go"
)

const (
	balancerName = "muster_v1"
	// coalesce is how long changes of connections wait for others, so that a
	// start with many of them does not build a table for each. What is lost, and
	// the first that is ready, never wait.
	coalesce = 5 * time.Millisecond
	// firstViewWait is how long calls wait for the first view.
	firstViewWait = 5 * time.Second
)

type logger = *slog.Logger

func init() { balancer.Register(builder{}) }

type builder struct{}

// Name implements balancer.Builder.
func (builder) Name() string { return balancerName }

// Build implements balancer.Builder.
func (builder) Build(cc balancer.ClientConn, _ balancer.BuildOptions) balancer.Balancer {
	b := &viewBalancer{cc: cc, slots: make(map[slotKey]*slot)}
	b.noView = time.AfterFunc(firstViewWait, b.gaveUpWaiting)
	cc.UpdateState(balancer.State{ConnectivityState: connectivity.Connecting, Picker: waiting{}})
	return b
}

// viewBalancer connects to what views show and spreads calls over it. grpc
// calls it from one goroutine at a time; timers come from others.
type viewBalancer struct {
	cc balancer.ClientConn

	// mu guards what follows. The ClientConn's own locks are taken inside of it.
	mu     sync.Mutex
	closed bool
	source *source
	view   *muster.View
	plan   plan
	slots  map[slotKey]*slot
	// late is set when no first view came in time.
	late   bool
	noView *time.Timer
	// soon publishes a table that may wait; nil if none does.
	soon *time.Timer
	// ready are the connections of the table that was published last.
	ready int
}

// UpdateClientConnState implements balancer.Balancer: it takes a view.
func (b *viewBalancer) UpdateClientConnState(state balancer.ClientConnState) error {
	r, ok := state.ResolverState.Attributes.Value(resolvedKey{}).(*resolved)
	if !ok {
		return errors.New(balancerName + " needs the resolver of mustergrpc.NewClient")
	}
	r.taken.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.source, b.view = r.source, r.view
	next := makePlan(r.view, r.service)
	if next.panicking && !b.plan.panicking {
		r.logger.Warn(textPanic(r.service, next.healthy, next.total))
	}
	same := b.plan.equal(next)
	b.plan = next
	if r.view.Intent() == muster.NotYet {
		b.publishLocked()
		return nil
	}
	b.noView.Stop()
	b.late = false
	if same && len(next.slots) > 0 {
		r.picker.Applied(r.view)
		return nil
	}
	retired := b.arrangeLocked()
	b.publishLocked()
	// Only now, when no new call can find them, may the connections go and the
	// registry hear of it.
	r.picker.Applied(r.view)
	for _, s := range retired {
		s.close()
	}
	return nil
}

// arrangeLocked makes connections for new slots and takes out those that the
// plan no longer has; the caller closes them.
func (b *viewBalancer) arrangeLocked() (retired []*slot) {
	wanted := make(map[slotKey]planned, len(b.plan.slots))
	for _, p := range b.plan.slots {
		wanted[p.key] = p
	}
	for key, s := range b.slots {
		p, ok := wanted[key]
		// A new registration says that somebody listens there again, so a
		// connection that waits for its next attempt need not.
		reborn := p.generation > s.generation && s.state != connectivity.Ready
		if !ok || reborn {
			delete(b.slots, key)
			retired = append(retired, s)
			continue
		}
		s.planned = p
	}
	for key, p := range wanted {
		if b.slots[key] == nil {
			b.connectLocked(p)
		}
	}
	return retired
}

func (b *viewBalancer) connectLocked(p planned) {
	s := &slot{planned: p, state: connectivity.Idle}
	//nolint:staticcheck // deprecated for several addresses; this is one
	conn, err := b.cc.NewSubConn([]resolver.Address{addressOf(p.key)}, balancer.NewSubConnOptions{
		StateListener: func(state balancer.SubConnState) { b.slotChanged(s, state) },
	})
	if err != nil { // only while the channel is being closed
		return
	}
	s.conn = conn
	b.slots[p.key] = s
	conn.Connect()
}

// slotChanged takes a new state of a connection. A connection that is lost
// leaves the table at once; one that is gained may wait for others.
func (b *viewBalancer) slotChanged(s *slot, state balancer.SubConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.slots[s.key] != s {
		return
	}
	lost, gained := s.changed(state, time.Now())
	b.tryConnectLocked(s)
	switch {
	case lost, gained && b.ready == 0:
		b.publishLocked()
	case gained, b.ready == 0:
		if b.soon == nil {
			b.soon = time.AfterFunc(coalesce, b.publishSoon)
		}
	}
}

// tryConnectLocked begins the next attempt, now or when its time has come.
func (b *viewBalancer) tryConnectLocked(s *slot) {
	if s.state != connectivity.Idle && s.state != connectivity.TransientFailure {
		return
	}
	wait := time.Until(s.notBefore)
	if s.state == connectivity.Idle && wait <= 0 {
		s.conn.Connect()
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(max(wait, 0), func() { b.retry(s) })
}

func (b *viewBalancer) retry(s *slot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// A transport that is still in its own short wait becomes IDLE by itself.
	if !b.closed && b.slots[s.key] == s && s.state == connectivity.Idle {
		s.conn.Connect()
	}
}

func (b *viewBalancer) publishSoon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.publishLocked()
	}
}

func (b *viewBalancer) gaveUpWaiting() {
	b.mu.Lock()
	defer b.mu.Unlock()
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
	state := b.tableLocked(time.Now())
	b.cc.UpdateState(state)
}

// tableLocked decides: ready connections, else wait if there is hope, else fail.
func (b *viewBalancer) tableLocked(now time.Time) balancer.State {
	ready, failed, picks, hope := b.sortLocked(now)
	b.ready = len(ready)
	wait := balancer.State{ConnectivityState: connectivity.Connecting, Picker: waiting{}}
	fail := func(err *muster.Error) balancer.State {
		return balancer.State{ConnectivityState: connectivity.TransientFailure, Picker: failing{err}}
	}
	ended := b.source.subscription.Err()
	switch {
	case len(ready) > 0:
		return balancer.State{ConnectivityState: connectivity.Ready, Picker: newRoundRobin(ready)}
	case ended != nil:
		return fail(asUnavailable(ended, b.source.service))
	case b.view.Intent() == muster.NotYet && b.late:
		return fail(asUnavailable(b.source.subscription.Why(b.source.service), b.source.service))
	case b.view.Intent() == muster.NotYet, hope:
		return wait
	case b.plan.reason != nil:
		return fail(b.plan.reason)
	case failed != nil:
		return fail(unavailable(muster.ReasonNoReadyEndpoint, b.source.service,
			textNoReady(b.source.service, picks, failed.key.address, causeOf(failed.failure))))
	default:
		return wait
	}
}

// sortLocked looks at the connections that may be picked: those that are ready,
// one that failed, how many there are, and whether one is being connected.
func (b *viewBalancer) sortLocked(now time.Time) (ready []balancer.SubConn, failed *slot, picks int, hope bool) {
	for _, p := range b.plan.slots {
		s := b.slots[p.key]
		if s == nil || !s.pick {
			continue
		}
		picks++
		switch {
		case s.state == connectivity.Ready:
			ready = append(ready, s.conn)
		case s.connecting(now):
			hope = true
		case s.failure != nil && failed == nil:
			failed = s
		}
	}
	return ready, failed, picks, hope
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

// ResolverError implements balancer.Balancer. The resolver reports none.
func (b *viewBalancer) ResolverError(error) {}

// UpdateSubConnState implements balancer.Balancer; grpc calls listeners instead.
func (b *viewBalancer) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}

// ExitIdle implements balancer.Balancer. The channel is never idle.
func (b *viewBalancer) ExitIdle() {}

// Close implements balancer.Balancer.
func (b *viewBalancer) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.noView.Stop()
	if b.soon != nil {
		b.soon.Stop()
	}
	for _, s := range b.slots {
		s.close()
	}
	clear(b.slots)
}
