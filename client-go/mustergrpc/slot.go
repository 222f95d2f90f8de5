package mustergrpc

import (
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// slot is one endpoint, its connection and what this channel's calls found out
// about it. The balancer's mu guards it, but for what is atomic.
type slot struct {
	key        rules.SlotKey
	generation uint64

	connection rules.Connection
	// conn is grpc's side of the connection, nil if there was none yet, and
	// state where that stands. An attempt is due if it is to begin once grpc is
	// done with the last one.
	conn  balancer.SubConn
	state connectivity.State
	due   bool
	// failure is why there is no connection, and since when; nil once it was
	// ready.
	failure  error
	failedMs int64
	timer    *time.Timer

	outlier rules.Outlier
	// troubled tells whether a success would change outlier.
	troubled atomic.Bool
	release  *time.Timer

	// inFlight are the RPCs that were sent and have not ended.
	inFlight atomic.Uint64
}

var errConnectionLost = errors.New("connection lost")

// addressOf is what grpc dials. The key goes along for the credentials; it
// never changes for a slot, so it never causes a reconnect.
func addressOf(key rules.SlotKey) resolver.Address {
	return resolver.Address{
		Addr: key.Address, ServerName: key.Authority, Attributes: attributes.New(dialledKey{}, key),
	}
}

// reach is what the connection can do for calls now. One that is READY only for
// the rule was lost this instant.
func (s *slot) reach() rules.Reach {
	switch {
	case s.connection.Phase == rules.PhaseBackoff:
		return rules.ReachAway
	case s.connection.Phase == rules.PhaseReady && s.state == connectivity.Ready:
		return rules.ReachReady
	default:
		return rules.ReachComing
	}
}

// event is what a new state of grpc's connection means for the rule; false if
// nothing.
func (s *slot) event(state balancer.SubConnState, nowMs int64) (rules.Event, bool) {
	before := s.state
	s.state = state.ConnectivityState
	switch {
	case s.state == connectivity.Ready:
		s.failure = nil
		return rules.EventOpened, true
	case s.state == connectivity.TransientFailure:
		s.failure, s.failedMs = state.ConnectionError, nowMs
		return rules.EventFailed, true
	case before == connectivity.Ready:
		s.failure, s.failedMs = errConnectionLost, nowMs
		return rules.EventLost, true
	default:
		return 0, false
	}
}

// dial begins an attempt, or lets it begin once grpc is ready for one.
func (s *slot) dial() {
	if s.due = s.state != connectivity.Idle; !s.due {
		s.conn.Connect()
	}
}

// disconnect ends the connection; its calls in flight go on to their end.
func (s *slot) disconnect() {
	stop(s.timer)
	if s.conn != nil {
		s.conn.Shutdown()
	}
	s.conn, s.state, s.due = nil, connectivity.Idle, false
}

func (s *slot) close() {
	s.disconnect()
	stop(s.release)
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}
