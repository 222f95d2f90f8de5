package mustergrpc

import (
	"strings"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// errUnprocessed is how an attempt ended that the endpoint never answered.
var errUnprocessed = status.Error(codes.Unavailable, "the stream ended without an answer")

// ended takes the end of an attempt of an RPC.
func (b *viewBalancer) ended(s *slot, c *rpc, lasted time.Duration, info balancer.DoneInfo) {
	if !info.BytesSent && !info.BytesReceived && info.Err == nil {
		return // it was never sent: the connection was lost first
	}
	// No call ends well without an answer: grpc tells so of a stream that was
	// refused before its message was sent.
	unanswered := info.Err == nil && !info.BytesReceived
	if unanswered {
		info.Err = errUnprocessed
	}
	if c != &anyRPC {
		c.unanswered.Store(unanswered)
		if info.Err != nil && !info.BytesReceived {
			c.refused.Store(s) // if grpc tries again, then because nothing was processed
		}
	}
	code := status.Code(info.Err)
	b.observe(muster.RPCFinished{
		Service: b.service.String(), Endpoint: s.key.Address, Result: codeName(code), Duration: lasted,
	})
	outcome := rules.OutcomeOf(rules.Ending{
		Code: rules.Code(code), Sent: info.BytesSent, Answered: info.BytesReceived, HeldMs: lasted.Milliseconds(),
	})
	// Most calls end well at a slot of which nothing else is known.
	if outcome == rules.OutcomeIgnored || outcome == rules.OutcomeSuccess && !s.troubled.Load() {
		return
	}
	b.judge(s, outcome)
}

func (b *viewBalancer) judge(s *slot, outcome rules.Outcome) {
	b.mu.Lock()
	defer b.unlock()
	if !b.closed && b.slots[s.key] == s {
		b.judgeLocked(s, outcome)
	}
}

// judgeLocked decides what an outcome means for a slot, and makes a new plan if
// the slot is ejected or returns.
func (b *viewBalancer) judgeLocked(s *slot, outcome rules.Outcome) (published bool) {
	others := b.ejected
	if s.outlier.Ejected {
		others--
	}
	now := b.nowMs()
	var change rules.Ejecting
	s.outlier, change = rules.Eject(s.outlier, outcome, now, b.connected, others)
	s.troubled.Store(s.outlier.Failures > 0 || s.outlier.Ejections > 0)
	switch change {
	case rules.SlotUnchanged:
		return false
	case rules.SlotEjects:
		lasts := milliseconds(s.outlier.UntilMs - now)
		stop(s.release)
		s.release = time.AfterFunc(lasts, func() { b.judge(s, rules.OutcomeIgnored) })
		b.tellLocked(muster.EndpointEjected{Service: b.service.String(), Endpoint: s.key.Address, Duration: lasts})
	case rules.SlotReturns:
		stop(s.release)
	}
	return b.replanLocked()
}

// forgiveLocked forgets what is known against a slot.
func (b *viewBalancer) forgiveLocked(s *slot) {
	stop(s.release)
	if s.outlier.Ejected {
		b.ejected--
	}
	s.outlier = rules.Outlier{}
	s.troubled.Store(false)
}

// codeName is the name of a code as the contract of gRPC writes it.
func codeName(code codes.Code) string {
	if code == codes.Canceled {
		return "CANCELLED"
	}
	if code == codes.OK {
		return "OK"
	}
	var name strings.Builder
	for i, r := range code.String() {
		if 'A' <= r && r <= 'Z' && i > 0 {
			name.WriteByte('_')
		}
		name.WriteRune(r)
	}
	return strings.ToUpper(name.String())
}
