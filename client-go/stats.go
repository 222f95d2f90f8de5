package muster

import (
	"sync/atomic"
	"time"
)

// counters are what Stats reports of the past. The order is that of Stats.
type counters struct {
	connections, connectionFailures                         atomic.Uint64
	calls, callFailures, callAttempts                       atomic.Uint64
	watchStreams, keepaliveStreams, brokenStreams           atomic.Uint64
	frames, digestMismatches, violations, unverifiedViews   atomic.Uint64
	epochRegressions, historiesLost                         atomic.Uint64
	keepalives, unconfirmedLeases, lostLeases               atomic.Uint64
	reregistrations, drains, cacheErrors                    atomic.Uint64
	rpcs, rpcFailures, pickFailures, ejections, panicEvents atomic.Uint64
}

// Stats are counts since the client was made, and what there is now. What can
// go wrong is 0 in a healthy fleet. The metrics of docs/telemetry.md are made
// of the same events.
type Stats struct {
	// Connections to servers that were made.
	Connections uint64
	// ConnectionFailures are attempts to reach a server that failed.
	ConnectionFailures uint64
	// Calls to the registry that ended.
	Calls uint64
	// CallFailures are those of them that failed.
	CallFailures uint64
	// CallAttempts of all calls: as many as calls if none was repeated.
	CallAttempts uint64
	// WatchStreams that were opened.
	WatchStreams uint64
	// KeepaliveStreams that were opened.
	KeepaliveStreams uint64
	// BrokenStreams are those of both that did not end by choice.
	BrokenStreams uint64
	// Frames are updates that views took over.
	Frames uint64
	// DigestMismatches are updates whose digest or count did not match.
	DigestMismatches uint64
	// Violations are updates that broke a rule of the protocol.
	Violations uint64
	// UnverifiedViews are snapshots that were accepted although they mismatched.
	UnverifiedViews uint64
	// EpochRegressions are times when a lower epoch had to be accepted.
	EpochRegressions uint64
	// HistoriesLost are snapshots because history was lost within an epoch.
	HistoriesLost uint64
	// Keepalives that confirmed a lease.
	Keepalives uint64
	// UnconfirmedLeases are keepalives answered without confirmation.
	UnconfirmedLeases uint64
	// LostLeases are keepalives answered by the loss of the lease.
	LostLeases uint64
	// Reregistrations after a lost lease.
	Reregistrations uint64
	// Drains that ended, by a report or an error.
	Drains uint64
	// CacheErrors are files of the disk cache that could not be written or read.
	CacheErrors uint64
	// RPCs of channels that ended.
	RPCs uint64
	// RPCFailures are those of them that did not end OK.
	RPCFailures uint64
	// PickFailures are RPCs that failed because nothing could be picked.
	PickFailures uint64
	// Ejections of endpoints that failed calls.
	Ejections uint64
	// Panics are times when a channel began to pick unhealthy instances.
	Panics uint64

	// Registrations that are alive now.
	Registrations int
	// Subscriptions that are open now, counted by distinct selector.
	Subscriptions int
	// OldestView is the greatest age of the views of the subscriptions that
	// have one; 0 without any.
	OldestView time.Duration
}

// Stats returns the counts. It does no I/O.
func (c *Client) Stats() Stats {
	n := &c.config.telemetry.counters
	s := Stats{
		Connections: n.connections.Load(), ConnectionFailures: n.connectionFailures.Load(),
		Calls: n.calls.Load(), CallFailures: n.callFailures.Load(), CallAttempts: n.callAttempts.Load(),
		WatchStreams: n.watchStreams.Load(), KeepaliveStreams: n.keepaliveStreams.Load(),
		BrokenStreams: n.brokenStreams.Load(),
		Frames:        n.frames.Load(), DigestMismatches: n.digestMismatches.Load(), Violations: n.violations.Load(),
		UnverifiedViews: n.unverifiedViews.Load(), EpochRegressions: n.epochRegressions.Load(),
		HistoriesLost: n.historiesLost.Load(),
		Keepalives:    n.keepalives.Load(), UnconfirmedLeases: n.unconfirmedLeases.Load(), LostLeases: n.lostLeases.Load(),
		Reregistrations: n.reregistrations.Load(), Drains: n.drains.Load(),
		CacheErrors: n.cacheErrors.Load(),
		RPCs:        n.rpcs.Load(), RPCFailures: n.rpcFailures.Load(), PickFailures: n.pickFailures.Load(),
		Ejections: n.ejections.Load(), Panics: n.panicEvents.Load(),
	}
	for _, k := range c.watcher.wanted() {
		s.Subscriptions++
		s.OldestView = max(s.OldestView, k.view.Load().Age())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Registrations = len(c.sessions)
	return s
}

// count takes an event in.
func (n *counters) count(event Event) {
	switch e := event.(type) {
	case ServerConnected:
		n.connections.Add(1)
	case ServerFailed:
		n.connectionFailures.Add(1)
	case CallFinished:
		n.calls.Add(1)
		n.callAttempts.Add(uint64(max(e.Attempts, 0)))
		addIf(&n.callFailures, e.Result != "OK")
	case StreamOpened:
		addIf(&n.watchStreams, e.Stream == StreamWatch)
		addIf(&n.keepaliveStreams, e.Stream == StreamKeepalive)
	case StreamEnded:
		addIf(&n.brokenStreams, e.Result != "OK")
	case FrameApplied, FrameRejected, EpochRegressed:
		n.countFrame(event)
	case RegistrationChanged:
		addIf(&n.reregistrations, e.From != Registering && e.To == Registering)
	case KeepaliveAnswered:
		addIf(&n.keepalives, e.Outcome == KeepaliveConfirmed)
		addIf(&n.unconfirmedLeases, e.Outcome == KeepaliveUnconfirmed)
		addIf(&n.lostLeases, e.Outcome == KeepaliveLost)
	case DrainFinished:
		n.drains.Add(1)
	case RPCFinished, PickFailed, EndpointEjected, PanicChanged:
		n.countPick(event)
	}
}

func (n *counters) countFrame(event Event) {
	switch e := event.(type) {
	case FrameApplied:
		n.frames.Add(1)
		addIf(&n.historiesLost, e.Cause == SnapshotHistoryLost)
		addIf(&n.unverifiedViews, e.Unverified && e.Frame == FrameSnapshot)
	case FrameRejected:
		addIf(&n.digestMismatches, e.Fault == FaultMismatch)
		addIf(&n.violations, e.Fault == FaultViolation)
	case EpochRegressed:
		n.epochRegressions.Add(1)
	}
}

func (n *counters) countPick(event Event) {
	switch e := event.(type) {
	case RPCFinished:
		n.rpcs.Add(1)
		addIf(&n.rpcFailures, e.Result != "OK")
	case PickFailed:
		n.pickFailures.Add(1)
	case EndpointEjected:
		n.ejections.Add(1)
	case PanicChanged:
		addIf(&n.panicEvents, e.Panic)
	}
}

func addIf(counter *atomic.Uint64, condition bool) {
	if condition {
		counter.Add(1)
	}
}
