package muster

import (
	"time"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// Event is what an [Observer] is told. The types of this file are all there
// are now; later versions add some, and fields.
type Event interface{ event() }

// ServerConnected tells that a server of the list answered on a new connection.
type ServerConnected struct {
	// Server is its address.
	Server string
	// Duration is how long connecting took.
	Duration time.Duration
}

// ServerFailed tells that an attempt to reach a server failed.
type ServerFailed struct {
	// Server is its address.
	Server string
	// Cause is why, for people.
	Cause string
	// Duration is how long it took to fail.
	Duration time.Duration
}

// CallFinished tells of a call to the registry. What a registration does by
// itself (register, update, deregister) is told attempt by attempt.
type CallFinished struct {
	// Op is what was attempted, such as "register".
	Op string
	// Subject is what it was about, such as "shop/pay/pay-7".
	Subject string
	// Server is the address of the last server that was asked; empty if none was.
	Server string
	// Result is "OK", or the reason of the error, or its code if it has none.
	Result string
	// Duration is how long it took, with all attempts and the waits between.
	Duration time.Duration
	// Attempts that were made, at least 1.
	Attempts int
	// Headers are what Observer.Headers gave for it.
	Headers []Header
}

// StreamKind tells the streams to the registry apart.
type StreamKind int

// The streams of a client.
const (
	// StreamWatch carries the views.
	StreamWatch StreamKind = iota + 1
	// StreamKeepalive renews the leases.
	StreamKeepalive
)

// String is "WATCH" or "KEEPALIVE".
func (k StreamKind) String() string {
	if k == StreamWatch {
		return "WATCH"
	}
	return "KEEPALIVE"
}

// StreamOpened tells that a stream to a server was opened.
type StreamOpened struct {
	// Stream is which one.
	Stream StreamKind
	// Server is its address.
	Server string
}

// StreamEnded tells that a stream that was opened ended.
type StreamEnded struct {
	// Stream is which one.
	Stream StreamKind
	// Server is its address.
	Server string
	// Result is "OK" if it was left by choice, else the reason or code of the error.
	Result string
	// Duration is how long it lived.
	Duration time.Duration
}

// FrameKind tells the frames of a watch stream apart.
type FrameKind int

// The frames that views are made of.
const (
	// FrameSnapshot replaced the view.
	FrameSnapshot FrameKind = iota + 1
	// FrameDelta changed some of it.
	FrameDelta
	// FrameProgress moved it to a later revision without a change.
	FrameProgress
)

var frameNames = map[FrameKind]string{FrameSnapshot: "SNAPSHOT", FrameDelta: "DELTA", FrameProgress: "PROGRESS"}

// String is the name, such as "DELTA".
func (k FrameKind) String() string { return frameNames[k] }

// FrameApplied tells that a view took over a complete update.
type FrameApplied struct {
	// Selector of the view.
	Selector string
	// Server that sent it.
	Server string
	// Frame is its kind.
	Frame FrameKind
	// Cause is why it was sent whole; 0 unless it is a snapshot.
	Cause SnapshotCause
	// Position where the view is now.
	Position Position
	// Entries of the update: instances, service states and removals.
	Entries int
	// Age of the data when it was applied.
	Age time.Duration
	// Unverified tells whether the view's digest did not match.
	Unverified bool
	// Traces of the changes, as far as their callers sent any.
	Traces []ChangeTrace
}

// ChangeTrace joins a change to the trace of the call that made it.
type ChangeTrace struct {
	// Revision of the change.
	Revision uint64
	// Traceparent is the W3C trace context of the call.
	Traceparent string
}

// FrameFault is why a frame was not applied.
type FrameFault int

// Why frames are not applied. The view stays as it was.
const (
	// FaultGap: it starts elsewhere than the view is.
	FaultGap FrameFault = iota + 1
	// FaultViolation: the server broke a rule.
	FaultViolation
	// FaultMismatch: digest or count do not match.
	FaultMismatch
)

var faults = map[rules.FrameOutcome]FrameFault{
	rules.FrameGap: FaultGap, rules.FrameViolation: FaultViolation, rules.FrameMismatch: FaultMismatch,
}

var faultNames = map[FrameFault]string{FaultGap: "GAP", FaultViolation: "VIOLATION", FaultMismatch: "MISMATCH"}

// String is the name, such as "MISMATCH".
func (f FrameFault) String() string { return faultNames[f] }

// FrameRejected tells that an update was not applied; its stream ends.
type FrameRejected struct {
	// Selector of the view; of a Lookup, if it was its answer.
	Selector string
	// Server that sent it.
	Server string
	// Fault is why.
	Fault FrameFault
}

// EpochRegressed tells that a server of an older history had to be accepted.
type EpochRegressed struct {
	// Server that serves it.
	Server string
	// From is the epoch that was known, To the lower one.
	From, To uint64
}

// ViewFreshnessChanged tells that a view became less, or again more,
// trustworthy. A view begins as EXPIRED.
type ViewFreshnessChanged struct {
	// Selector of the view.
	Selector string
	// From is what it was.
	From Freshness
	// To is what it is.
	To Freshness
}

// RegistrationChanged tells that the state of a registration changed.
type RegistrationChanged struct {
	// Subject is its first instance, such as "shop/pay/pay-7".
	Subject string
	// From is what it was.
	From RegistrationState
	// To is what it is.
	To RegistrationState
	// Reason is why, for people; empty while everything is well.
	Reason string
}

// KeepaliveOutcome is what an answer says of a lease.
type KeepaliveOutcome int

// What answers say of leases.
const (
	// KeepaliveConfirmed: it lives for another TTL.
	KeepaliveConfirmed KeepaliveOutcome = iota + 1
	// KeepaliveUnconfirmed: nobody knows; ask again.
	KeepaliveUnconfirmed
	// KeepaliveLost: it is gone.
	KeepaliveLost
)

var keepaliveNames = map[KeepaliveOutcome]string{
	KeepaliveConfirmed: "CONFIRMED", KeepaliveUnconfirmed: "UNCONFIRMED", KeepaliveLost: "LOST",
}

// String is the name, such as "CONFIRMED".
func (o KeepaliveOutcome) String() string { return keepaliveNames[o] }

// KeepaliveAnswered tells what the registry said of one lease.
type KeepaliveAnswered struct {
	// Subject is the first instance of its registration.
	Subject string
	// Server that answered.
	Server string
	// Outcome is what it said.
	Outcome KeepaliveOutcome
	// Duration is how long the answer took.
	Duration time.Duration
}

// DrainFinished tells how a drain ended.
type DrainFinished struct {
	// Subject is the registration's first instance.
	Subject string
	// Result is "OK" if there is a report, else the reason or code of the error.
	Result string
	// Report is how it ended; empty unless Result is "OK".
	Report DrainReport
}
