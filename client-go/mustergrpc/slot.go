package mustergrpc

import (
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/muster-registry/muster/client-go/internal/backoff"
)

// slot is one connection and where it stands. The balancer's mu guards it.
type slot struct {
	planned
	conn  balancer.SubConn
	state connectivity.State
	// failure is why the last attempt failed; nil once it was ready.
	failure error
	// readySince is when it became ready last.
	readySince time.Time
	retries    backoff.Backoff
	// notBefore is when the next attempt may begin; timer wakes it.
	notBefore time.Time
	timer     *time.Timer
}

// addressOf is what grpc dials. The key goes along for the credentials; it
// never changes for a slot, so it never causes a reconnect.
func addressOf(key slotKey) resolver.Address {
	return resolver.Address{
		Addr: key.address, ServerName: key.authority, Attributes: attributes.New(dialledKey{}, key),
	}
}

// changed notes a state of the connection and returns whether it was or is
// ready, which is what picks depend on.
func (s *slot) changed(state balancer.SubConnState, now time.Time) (lost, gained bool) {
	before := s.state
	s.state = state.ConnectivityState
	switch s.state {
	case connectivity.Ready:
		s.failure, s.readySince = nil, now
	case connectivity.TransientFailure:
		s.failure = state.ConnectionError
		s.notBefore = now.Add(s.retries.Next(backoff.EndpointCap, rand.Uint64()))
	case connectivity.Idle:
		if before == connectivity.Ready {
			s.disconnected(now)
		}
	}
	return before == connectivity.Ready && s.state != connectivity.Ready, s.state == connectivity.Ready
}

// disconnected decides when to connect again: at once if the connection was
// good for long.
func (s *slot) disconnected(now time.Time) {
	if now.Sub(s.readySince) >= backoff.ResetAfter {
		s.retries.Reset()
		s.notBefore = now
		return
	}
	s.notBefore = now.Add(s.retries.Next(backoff.EndpointCap, rand.Uint64()))
}

// connecting tells whether calls may hope for the slot: it is being connected,
// or will be in a moment.
func (s *slot) connecting(now time.Time) bool {
	switch s.state {
	case connectivity.Connecting:
		return true
	case connectivity.Idle:
		return s.failure == nil || !now.Before(s.notBefore)
	default:
		return false
	}
}

// close ends the connection; its calls in flight go on to their end.
func (s *slot) close() {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.conn != nil {
		s.conn.Shutdown()
	}
}
