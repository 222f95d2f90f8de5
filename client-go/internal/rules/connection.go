package rules

import "math"

// StableMs is how long a connection must have lived for a second one to follow
// at once.
const StableMs = 10_000

// Phase is where a connection is in its life.
type Phase uint8

// The phases.
const (
	// PhaseIdle: no connection, and none is wanted.
	PhaseIdle Phase = iota
	// PhaseConnecting: an attempt is under way; the peer has not spoken HTTP/2 yet.
	PhaseConnecting
	// PhaseReady: the peer's settings have arrived, so calls can be sent.
	PhaseReady
	// PhaseBackoff: before the next attempt.
	PhaseBackoff
)

// Event is what happens to a connection.
type Event uint8

// The events.
const (
	// EventWanted: the endpoint takes traffic.
	EventWanted Event = iota
	// EventUnwanted: the endpoint takes no new traffic.
	EventUnwanted
	// EventRenewed: another process is behind the address now.
	EventRenewed
	// EventOpened: the attempt succeeded.
	EventOpened
	// EventFailed: the attempt failed.
	EventFailed
	// EventLost: the connection takes no more calls. It broke, or the peer said that it
	// is leaving.
	EventLost
	// EventElapsed: the wait that was asked for is over.
	EventElapsed
)

// Action is what the connection's owner has to do. Each replaces what the one
// before started.
type Action uint8

// The actions.
const (
	// ActionNone: nothing.
	ActionNone Action = iota
	// ActionDial: start an attempt, in place of a running one.
	ActionDial
	// ActionWait: report EventElapsed after the wait.
	ActionWait
	// ActionAbandon: give up the running attempt or wait.
	ActionAbandon
)

// Connection is all that is remembered of one. The zero value is one that is
// not wanted yet.
type Connection struct {
	Phase Phase
	// SinceMs is when Phase was entered.
	SinceMs int64
	// Failures since the last connection that lived long enough.
	Failures uint32
	// Wanted tells whether a connection is to be opened when there is none.
	Wanted bool
}

// Connect decides what follows on an event at nowMs: the next state, what to do,
// and for how many milliseconds to wait if that is ActionWait. An event that means
// nothing in the present phase changes nothing: the owner may deliver one that
// was overtaken.
func Connect(c Connection, event Event, nowMs int64, word uint64) (Connection, Action, int64) {
	c = c.note(event)
	switch {
	case c.Phase == PhaseIdle && event == EventWanted,
		(c.Phase == PhaseConnecting || c.Phase == PhaseBackoff) && event == EventRenewed,
		c.Phase == PhaseBackoff && event == EventElapsed:
		return c.enter(PhaseConnecting, nowMs), ActionDial, 0
	case (c.Phase == PhaseConnecting || c.Phase == PhaseBackoff) && event == EventUnwanted:
		return c.calm().enter(PhaseIdle, nowMs), ActionAbandon, 0
	case c.Phase == PhaseConnecting && event == EventOpened:
		return c.enter(PhaseReady, nowMs), ActionNone, 0
	case c.Phase == PhaseConnecting && event == EventFailed:
		return c.failed(nowMs, word)
	case c.Phase == PhaseReady && event == EventLost:
		return c.lost(nowMs, word)
	default:
		return c, ActionNone, 0
	}
}

// note is what an event changes in any phase.
func (c Connection) note(event Event) Connection {
	switch event {
	case EventWanted:
		c.Wanted = true
	case EventUnwanted:
		c.Wanted = false
	case EventRenewed:
		c.Failures = 0
	}
	return c
}

func (c Connection) lost(nowMs int64, word uint64) (Connection, Action, int64) {
	switch {
	case !c.Wanted:
		return c.calm().enter(PhaseIdle, nowMs), ActionNone, 0
	case Elapsed(c.SinceMs, nowMs) >= StableMs:
		return c.calm().enter(PhaseConnecting, nowMs), ActionDial, 0
	default:
		return c.failed(nowMs, word)
	}
}

func (c Connection) failed(nowMs int64, word uint64) (Connection, Action, int64) {
	wait := Delay(c.Failures, BackoffCapMs, word)
	if c.Failures < math.MaxUint32 {
		c.Failures++
	}
	return c.enter(PhaseBackoff, nowMs), ActionWait, wait
}

func (c Connection) calm() Connection {
	c.Failures = 0
	return c
}

func (c Connection) enter(phase Phase, nowMs int64) Connection {
	c.Phase, c.SinceMs = phase, nowMs
	return c
}
