package mustergrpc

import (
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// arrangeLocked makes the slots those of the plan, and has them connected as it
// says. It returns those that the plan no longer has; the caller closes them.
func (b *viewBalancer) arrangeLocked() (retired []*slot) {
	slots := make(map[rules.SlotKey]*slot, len(b.plan.Slots))
	b.arranged = make([]*slot, len(b.plan.Slots))
	b.connected, b.ejected = 0, 0
	for n, p := range b.plan.Slots {
		s := b.slots[p.Key]
		if s == nil {
			s = &slot{key: p.Key, generation: p.Generation, state: connectivity.Idle}
		}
		slots[p.Key], b.arranged[n] = s, s
		if p.Connect {
			b.connected++
		}
		if s.outlier.Ejected {
			b.ejected++
		}
	}
	for key, s := range b.slots {
		if slots[key] == nil {
			retired = append(retired, s)
		}
	}
	b.slots = slots
	for n, p := range b.plan.Slots {
		b.orderLocked(b.arranged[n], p)
	}
	return retired
}

// orderLocked has a slot connected or not, as the plan says.
func (b *viewBalancer) orderLocked(s *slot, p rules.PlanSlot) {
	if p.Generation > s.generation {
		// A new registration says that somebody listens there again. What was
		// learned about the last one is void.
		s.generation = p.Generation
		b.forgiveLocked(s)
		b.stepLocked(s, rules.EventRenewed)
	}
	if p.Connect != s.connection.Wanted {
		event := rules.EventUnwanted
		if p.Connect {
			event = rules.EventWanted
		}
		b.stepLocked(s, event)
	}
}

// stepLocked takes an event of a connection and does what follows.
func (b *viewBalancer) stepLocked(s *slot, event rules.Event) {
	var action rules.Action
	var waitMs int64
	s.connection, action, waitMs = rules.Connect(s.connection, event, b.nowMs(), rand.Uint64())
	switch action {
	case rules.ActionDial:
		if event == rules.EventRenewed {
			s.disconnect() // in place of what is under way
		}
		b.dialLocked(s)
	case rules.ActionWait:
		stop(s.timer)
		s.timer = time.AfterFunc(milliseconds(waitMs), func() { b.elapsed(s) })
	case rules.ActionAbandon:
		s.disconnect()
	}
}

func (b *viewBalancer) dialLocked(s *slot) {
	if s.conn == nil {
		var conn balancer.SubConn
		//nolint:staticcheck // deprecated for several addresses; this is one
		conn, err := b.cc.NewSubConn([]resolver.Address{addressOf(s.key)}, balancer.NewSubConnOptions{
			StateListener: func(state balancer.SubConnState) { b.slotChanged(s, conn, state) },
		})
		if err != nil { // only while the channel is being closed
			return
		}
		s.conn = conn
	}
	s.dial()
}

// elapsed is called when a slot waited for its next attempt.
func (b *viewBalancer) elapsed(s *slot) {
	b.mu.Lock()
	defer b.unlock()
	if b.closed || b.slots[s.key] != s {
		return
	}
	b.stepLocked(s, rules.EventElapsed)
	b.publishSoonLocked()
}

// slotChanged takes a new state of a connection. A connection that is lost
// leaves the table at once; one that is gained may wait for others.
func (b *viewBalancer) slotChanged(s *slot, conn balancer.SubConn, state balancer.SubConnState) {
	b.mu.Lock()
	defer b.unlock()
	if b.closed || s.conn != conn || b.slots[s.key] != s {
		return
	}
	event, ok := s.event(state, b.nowMs())
	if ok {
		b.stepLocked(s, event)
	} else if s.state == connectivity.Idle && s.due {
		s.dial()
	}
	changed := false
	switch {
	case ok && event == rules.EventOpened:
		changed = b.judgeLocked(s, rules.OutcomeConnected)
	case ok && event == rules.EventFailed:
		changed = b.judgeLocked(s, rules.OutcomeRefused)
	}
	switch {
	case changed: // it was published
	case ok && event == rules.EventLost, ok && event == rules.EventOpened && b.ready == 0:
		b.publishLocked()
	default:
		b.publishSoonLocked()
	}
}

// nowMs is the time on a clock that never steps.
func (b *viewBalancer) nowMs() int64 { return time.Since(b.began).Milliseconds() }

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
