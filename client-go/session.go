package muster

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/muster-registry/muster/client-go/internal/backoff"
	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// maxTakeOvers bounds how often one registration chases newcomers that race
// with it for the same instance.
const maxTakeOvers = 5

// run is the driver: the one goroutine that talks to the registry for this
// session, one call at a time.
func (s *session) run(ctx context.Context) {
	defer close(s.done)
	err := s.register(ctx, nil)
	if err == nil {
		s.settle()
		err = s.reconcile(ctx)
	}
	s.finish(ctx, err)
	s.settle()
}

// reconcile keeps the registration until it ends. The error is what made it
// final; nil means that somebody ended it.
func (s *session) reconcile(ctx context.Context) *Error {
	var retries backoff.Backoff
	for {
		switch step, lost := s.next(); step {
		case stepEnd:
			return nil
		case stepLost:
			if err := s.replaceLease(ctx, lost); err != nil {
				return err
			}
			retries.Reset()
		case stepUpdate:
			if err := s.update(ctx, retries.Failures() > 0); err != nil {
				s.pause(ctx, s.delay(&retries, err), stepEnd, stepLost)
				continue
			}
			retries.Reset()
		case stepWait:
			select {
			case <-s.wake:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// replaceLease answers the loss of the lease: by a new registration that names
// the old one, unless the loss is final.
func (s *session) replaceLease(ctx context.Context, lost *loss) *Error {
	switch {
	case lost.err.Reason == ReasonFenced:
		return lost.err
	case lost.draining:
		return newError(ReasonLeaseUnknown, lost.err.Code, "drain", s.subject, textLostWhileDraining(lost.lease.id))
	}
	s.setStatus(Registering, textLeaseGone(lost.lease.id), lost.err)
	if err := s.register(ctx, &lost.lease); err != nil {
		return err
	}
	text := lost.text(s.heldLease().id)
	s.client.config.Logger.Warn(text, "registration", s.subject)
	s.setStatus(Active, text, nil)
	return nil
}

// register asks for a lease until one is granted, the answer is final or
// somebody ended the session. All tries carry one request_id, so that at most
// one of them has effect.
func (s *session) register(ctx context.Context, previous *lease) *Error {
	request, version := s.registerRequest(previous)
	var retries backoff.Backoff
	s.client.budget.call()
	var uncertain time.Time // when a try was sent whose outcome is unknown
	for takeOvers := 0; ; {
		sent := time.Now()
		response, err := s.tryRegister(ctx, request)
		switch {
		case err == nil:
			s.granted(request, response, version, sent)
			return nil
		case err.Reason == ReasonInstanceExists && previous == nil && takeOvers < maxTakeOvers && !s.isEnding():
			takeOvers++
			request.Claim = takeOver(err)
			continue
		case !mayPass(err, previous != nil) || ctx.Err() != nil:
			return err
		case outcomeUnknown(err):
			uncertain = sent
		}
		s.setStatus(Registering, err.text(), err)
		urgent := []step{stepEnd}
		if !uncertain.IsZero() && time.Since(uncertain) < s.client.config.TTL {
			urgent = nil // a grant that nobody knows of must be found, to be withdrawn
		}
		if !s.pause(ctx, s.delay(&retries, err), urgent...) {
			return err
		}
	}
}

func (s *session) tryRegister(ctx context.Context, request *musterv1.RegisterRequest) (*musterv1.RegisterResponse, *Error) {
	ctx, cancel := context.WithTimeout(withHeaders(ctx, s.headers), defaults.CallTimeout)
	defer cancel()
	var response *musterv1.RegisterResponse
	err := s.client.try(ctx, "register", s.subject, func(ctx context.Context, server *server) (err error) {
		response, err = server.registrations().Register(ctx, request)
		return err
	})
	return response, err
}

func (s *session) registerRequest(previous *lease) (*musterv1.RegisterRequest, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request := &musterv1.RegisterRequest{
		Instances: cloneInstances(s.want),
		Ttl:       durationpb.New(s.client.config.TTL),
		RequestId: newRequestID(),
	}
	if previous != nil {
		request.Claim = &musterv1.RegisterRequest_Previous{Previous: &musterv1.PreviousLease{
			LeaseId: previous.id, Epoch: previous.epoch, Incarnation: previous.incarnation,
		}}
	}
	return request, s.version
}

// granted takes a lease into use. It lives for its TTL from when the request
// was sent.
func (s *session) granted(request *musterv1.RegisterRequest, response *musterv1.RegisterResponse, version uint64, sent time.Time) {
	l := lease{
		id:          response.GetLease().GetLeaseId(),
		incarnation: response.GetLease().GetIncarnation(),
		epoch:       response.GetLease().GetEpoch(),
		ttl:         response.GetLease().GetTtl().AsDuration(),
	}
	if l.ttl <= 0 {
		l.ttl = s.client.config.TTL
	}
	s.client.wrote(Position{response.GetEpoch(), response.GetRevision()})
	s.hold(l, request.GetInstances(), version)
	s.headers = nil // what is registered again later is nobody's call
	if !s.isEnding() {
		s.client.keeper.add(s, l, sent)
	}
}

// update sends what changed since the registry's last word, one call for each
// instance; again tells that the first is a repetition. The error is one that
// may pass; others are kept for Flush.
func (s *session) update(ctx context.Context, again bool) *Error {
	want, have, version, held := s.wanted()
	for i := range want {
		fields := changedFields(have[i], want[i])
		if len(fields) == 0 {
			continue
		}
		if !again {
			s.client.budget.call()
		}
		again = false
		err := s.updateOne(ctx, held, patch(want[i], fields), fields)
		switch {
		case err == nil:
			s.acknowledge(i, want[i], fields)
		case isLost(err):
			s.leaseLost(held.id, err, s.client.keeper.remove(held.id), false)
			return nil
		case mayPass(err, true) || err.Reason == ReasonCancelled:
			return err
		default:
			s.refuse(version, err)
			return nil
		}
	}
	s.acknowledgeAll(version)
	return nil
}

func (s *session) updateOne(ctx context.Context, held lease, instance *musterv1.Instance, fields []string) *Error {
	ctx, cancel := s.interruptible(ctx)
	defer cancel()
	return s.client.try(ctx, "update", s.subject, func(ctx context.Context, server *server) error {
		response, err := server.registrations().Update(ctx, &musterv1.UpdateRequest{
			LeaseId: held.id, Instance: instance, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields},
		})
		if err == nil {
			s.client.wrote(Position{response.GetEpoch(), response.GetRevision()})
		}
		return err
	})
}

// finish takes back what is registered, unless it is lost anyway, and sets the
// final status.
func (s *session) finish(ctx context.Context, cause *Error) {
	held := s.heldLease()
	confirmed := s.client.keeper.remove(held.id)
	var failed *Error
	if held.id != "" && (cause == nil || s.isEnding()) && !s.leaseIsLost() {
		failed = s.deregister(ctx, held, confirmed)
	}
	switch {
	case s.isEnding() || cause == nil:
		state := s.endState()
		s.setStatus(state, "", closedStatus(state, failed))
	case cause.Reason == ReasonFenced:
		cause.Message = textFenced(cause.Metadata)
		s.client.config.Logger.Error(cause.text(), "registration", s.subject)
		s.setStatus(Fenced, cause.Message, cause)
	case cause.Reason == ReasonLeaseUnknown && cause.Op == "drain":
		s.setStatus(Deregistered, cause.Message, cause)
	default:
		s.setStatus(Refused, cause.text(), cause)
	}
}

// closedStatus is the error of a status that somebody chose.
func closedStatus(state RegistrationState, failed *Error) error {
	if state == Closed {
		return closedError("client")
	}
	return failed.orNil()
}

// deregister ends the lease. It goes on until the lease would have expired, or
// at least until one try failed.
func (s *session) deregister(ctx context.Context, held lease, confirmed time.Time) *Error {
	s.client.budget.call()
	var retries backoff.Backoff
	for {
		err := s.tryDeregister(ctx, held)
		if err == nil || isLost(err) {
			return nil
		}
		if !err.Retryable() || time.Since(confirmed) >= held.ttl || !sleep(ctx, s.delay(&retries, err)) {
			return err.final()
		}
	}
}

func (s *session) delay(retries *backoff.Backoff, err *Error) time.Duration {
	return s.client.delay(err, retries, s.client.config.backoffCap())
}

func (s *session) tryDeregister(ctx context.Context, held lease) *Error {
	ctx, cancel := context.WithTimeout(withHeaders(ctx, s.endHeaders()), defaults.CallTimeout)
	defer cancel()
	return s.client.try(ctx, "deregister", s.subject, func(ctx context.Context, server *server) error {
		response, err := server.registrations().Deregister(ctx, &musterv1.DeregisterRequest{LeaseId: held.id})
		if err == nil {
			s.client.wrote(Position{response.GetEpoch(), response.GetRevision()})
		}
		return err
	})
}

// mayPass tells whether to go on trying. What was registered once is not given
// up for a token that was renewed too late.
func mayPass(err *Error, registered bool) bool {
	return err.Retryable() || registered && err.Reason == ReasonUnauthenticated
}

// isLost tells whether an error means that the lease holds the instances no
// longer.
func isLost(err *Error) bool {
	return err.Reason == ReasonLeaseUnknown || err.Reason == ReasonInstanceUnknown || err.Reason == ReasonFenced
}

// outcomeUnknown tells whether a registration that failed so may have been
// granted nevertheless.
func outcomeUnknown(err *Error) bool {
	if err.Server == "" || err.Op == "connect" {
		return false
	}
	switch err.Reason {
	case ReasonStoreFailed, ReasonDeadline, ReasonCancelled, "":
		return true
	default:
		return false
	}
}

// takeOver claims what INSTANCE_EXISTS named.
func takeOver(err *Error) *musterv1.RegisterRequest_TakeOver {
	claim := &musterv1.TakeOver{}
	for _, text := range strings.Split(err.Metadata["incarnations"], ",") {
		if incarnation, bad := strconv.ParseUint(strings.TrimSpace(text), 10, 64); bad == nil {
			claim.Incarnations = append(claim.Incarnations, incarnation)
		}
	}
	return &musterv1.RegisterRequest_TakeOver{TakeOver: claim}
}

// newRequestID draws a request_id: 32 hexadecimal digits.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return fmt.Sprintf("%x", b)
}
