package muster

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// lease is a grant of the registry. The zero value is none.
type lease struct {
	id          string
	incarnation uint64
	epoch       uint64
	ttl         time.Duration
}

// loss is a lease that is gone.
type loss struct {
	lease lease
	err   *Error
	// ago is how long before its loss was told the lease had run out; negative
	// if it had not.
	ago time.Duration
	// paused tells whether the process did not run meanwhile.
	paused bool
	// draining tells whether the registration was draining.
	draining bool
}

func (l *loss) text(next string) string {
	if l.paused && l.ago >= 0 {
		return textLeaseExpired(l.lease.id, l.ago, next)
	}
	return textLeaseLost(l.lease.id, next)
}

// session is the state of one registration. Its driver (session.go) is the
// only one who calls the registry; everybody else changes state and wakes it.
type session struct {
	client  *Client
	subject string
	// wake has room for one: a driver that is told twice looks once.
	wake chan struct{}
	// settled is closed when the first registration was decided, done when the
	// driver ended.
	settled, done chan struct{}
	settleOnce    sync.Once
	// headers of the caller of Register; those of Deregister are in ended.
	headers []Header
	// telling orders what the observer is told of the status; mu is taken
	// inside of it.
	telling sync.Mutex

	// mu guards what follows; no other lock is taken inside of it.
	mu     sync.Mutex
	status *RegistrationStatus
	held   lease
	lost   *loss
	// want is what should be registered, and rises in version with each change;
	// have is what the registry acknowledged, up to version acked.
	want, have     []*musterv1.Instance
	version, acked uint64
	// refusal is the registry's answer to version refused.
	refusal *Error
	refused uint64
	// progress is closed and replaced when acked, refused or status changed.
	progress chan struct{}
	draining bool
	// ending is the final state that somebody chose; 0 if nobody did.
	ending RegistrationState
	// ended are the headers of who did.
	ended []Header
	// interrupt ends the call in flight, if it may be ended.
	interrupt context.CancelFunc
}

func newSession(c *Client, instances []*musterv1.Instance) *session {
	first := instances[0]
	return &session{
		client:   c,
		subject:  Key{first.GetNamespace(), first.GetService(), first.GetInstanceId()}.String(),
		wake:     make(chan struct{}, 1),
		settled:  make(chan struct{}),
		done:     make(chan struct{}),
		status:   &RegistrationStatus{State: Registering, superseded: make(chan struct{})},
		want:     instances,
		version:  1,
		progress: make(chan struct{}),
	}
}

// steps of the driver, by urgency.
type step int

const (
	stepWait step = iota
	stepEnd
	stepLost
	stepUpdate
)

// next decides what the driver does. It takes a loss.
func (s *session) next() (step, *loss) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ending != 0:
		return stepEnd, nil
	case s.lost != nil:
		lost := s.lost
		lost.draining = s.draining
		return stepLost, lost
	case s.version > max(s.acked, s.refused):
		return stepUpdate, nil
	default:
		return stepWait, nil
	}
}

func (s *session) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *session) settle() { s.settleOnce.Do(func() { close(s.settled) }) }

func (s *session) progressLocked() {
	close(s.progress)
	s.progress = make(chan struct{})
}

// hold takes a granted lease into use.
func (s *session) hold(l lease, registered []*musterv1.Instance, version uint64) {
	s.mu.Lock()
	s.held, s.lost = l, nil
	s.have, s.acked = registered, version
	s.progressLocked()
	s.mu.Unlock()
	s.setStatus(Active, "", nil)
}

// setStatus publishes a status, unless it is as before or the last was final.
func (s *session) setStatus(state RegistrationState, reason string, err error) {
	s.telling.Lock()
	defer s.telling.Unlock()
	if from, changed := s.replaceStatus(state, reason, err); changed && from != state {
		s.client.config.telemetry.observe(RegistrationChanged{s.subject, from, state, reason})
	}
}

func (s *session) replaceStatus(state RegistrationState, reason string, err error) (from RegistrationState, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.status
	if old.State.Final() || old.State == state && old.Reason == reason && old.Incarnation == s.held.incarnation {
		return old.State, false
	}
	s.status = &RegistrationStatus{
		State: state, Reason: reason, Incarnation: s.held.incarnation, LeaseID: shortLease(s.held.id), Err: err,
		superseded: make(chan struct{}),
	}
	close(old.superseded)
	s.progressLocked()
	return old.State, true
}

func (s *session) currentStatus() RegistrationStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.status
}

func (s *session) heldLease() lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

func (s *session) leaseIsLost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost != nil
}

func (s *session) keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]Key, len(s.want))
	for i, w := range s.want {
		keys[i] = Key{w.GetNamespace(), w.GetService(), w.GetInstanceId()}
	}
	return keys
}

// change edits the desired state of every instance.
func (s *session) change(edit func(*musterv1.Instance)) {
	s.mu.Lock()
	s.want = cloneInstances(s.want)
	for _, w := range s.want {
		edit(w)
	}
	s.version++
	s.mu.Unlock()
	s.nudge()
}

// wanted is one consistent picture of what an update needs.
func (s *session) wanted() (want, have []*musterv1.Instance, version uint64, held lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.want, slices.Clone(s.have), s.version, s.held
}

// acknowledge notes that the registry has these fields of one instance.
func (s *session) acknowledge(index int, want *musterv1.Instance, fields []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.have = cloneInstances(s.have)
	copyFields(s.have[index], want, fields)
}

func (s *session) acknowledgeAll(version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = max(s.acked, version)
	s.progressLocked()
}

// refuse notes that the registry will not take a version.
func (s *session) refuse(version uint64, err *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal, s.refused = err, version
	s.progressLocked()
}

// flush waits for the version of now.
func (s *session) flush(ctx context.Context) *Error {
	ctx, cancel := withDefaultTimeout(ctx, defaults.CallTimeout)
	defer cancel()
	s.mu.Lock()
	version := s.version
	s.mu.Unlock()
	for {
		done, err, progress := s.flushed(version)
		if done {
			return err
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return contextError(ctx, "flush", s.subject, s.lastError())
		}
	}
}

func (s *session) flushed(version uint64) (done bool, err *Error, progress <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.acked >= version:
		return true, nil, nil
	case s.refused >= version:
		return true, s.refusal, nil
	case s.status.State.Final():
		if e, is := s.status.Err.(*Error); is { //nolint:errorlint // statuses hold *Error as it is
			return true, e, nil
		}
		return true, closedError("registration"), nil
	default:
		return false, nil, s.progress
	}
}

// lastError is what stands in the way at present.
func (s *session) lastError() *Error {
	e, _ := s.currentStatus().Err.(*Error) //nolint:errorlint // statuses hold *Error as it is
	return e
}

// end asks the driver to take everything back and to end in a state.
func (s *session) end(state RegistrationState) {
	s.mu.Lock()
	if s.ending == 0 {
		s.ending = state
	}
	if s.interrupt != nil {
		s.interrupt()
	}
	s.mu.Unlock()
	s.nudge()
}

// endWith is end by a caller whose headers go with the call.
func (s *session) endWith(ctx context.Context, state RegistrationState) {
	headers := s.client.config.telemetry.headers(ctx)
	s.mu.Lock()
	if s.ending == 0 {
		s.ended = headers
	}
	s.mu.Unlock()
	s.end(state)
}

func (s *session) endHeaders() []Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (s *session) isEnding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending != 0
}

// endState is the state that was asked for; a driver that ends unasked was
// closed.
func (s *session) endState() RegistrationState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending == 0 {
		return Closed
	}
	return s.ending
}

// withdraw is for a caller of Register whose ctx ended first.
func (s *session) withdraw(ctx context.Context) error {
	last := s.lastError()
	s.end(Deregistered)
	err := contextError(ctx, "register", s.subject, last)
	if err.Reason != ReasonNoServer {
		why := textWhyEnded(err.Reason)
		if last != nil {
			why += "; last: " + last.text()
		}
		err.Message = textWithdrawn(s.subject, why)
	}
	return err
}

// interruptible bounds a call and lets end interrupt it.
func (s *session) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, defaults.CallTimeout)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interrupt = cancel
	if s.ending != 0 {
		cancel()
	}
	return ctx, cancel
}

// pause waits, and tells whether it did until the end: ctx or one of the steps
// that are more urgent ends it.
func (s *session) pause(ctx context.Context, d time.Duration, urgent ...step) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		if next, _ := s.next(); slices.Contains(urgent, next) {
			return false
		}
		select {
		case <-timer.C:
			return true
		case <-s.wake:
		case <-ctx.Done():
			return false
		}
	}
}

// leaseLost notes that a lease is gone, if it is the present one.
func (s *session) leaseLost(id string, err *Error, confirmed time.Time, paused bool) {
	s.mu.Lock()
	if s.held.id == id && s.lost == nil {
		s.lost = &loss{lease: s.held, err: err, ago: time.Since(confirmed) - s.held.ttl, paused: paused}
	}
	s.mu.Unlock()
	s.nudge()
}

// leaseConfirmed and leaseUnconfirmed tell how the last keepalive went.
func (s *session) leaseConfirmed(id string) {
	if s.heldLease().id == id && s.currentStatus().State == Unconfirmed {
		s.setStatus(Active, "", nil)
	}
}

func (s *session) leaseUnconfirmed(id, reason string, err *Error) {
	if state := s.currentStatus().State; s.heldLease().id == id && (state == Active || state == Unconfirmed) {
		s.setStatus(Unconfirmed, reason, err.orNil())
	}
}
