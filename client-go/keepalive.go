package muster

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// keepaliveStream is one open KeepAlive stream. Only its reader and run use it.
type keepaliveStream struct {
	keeper *keeper
	server *server
	ctx    context.Context
	cancel context.CancelFunc
	stream musterv1.RegistrationService_KeepAliveClient
	// answers has no room: a server that answers too much waits.
	answers chan *musterv1.KeepAliveResponse
	// failed has room for the reader's last word.
	failed chan error
	reader sync.WaitGroup

	sequence uint64
	pending  []keepaliveBatchSent
	answered bool
}

// keepaliveBatchSent is a message that was not answered yet.
type keepaliveBatchSent struct {
	sequence uint64
	sent     time.Time
	// deadline is when the stream counts as broken if there is no answer.
	deadline time.Time
	leases   []*keptLease
}

func openKeepalive(ctx context.Context, k *keeper, server *server) (*keepaliveStream, *Error) {
	s := &keepaliveStream{
		keeper: k, server: server,
		answers: make(chan *musterv1.KeepAliveResponse),
		failed:  make(chan error, 1),
	}
	ctx, cancel := context.WithCancel(ctx)
	stream, err := server.registrations().KeepAlive(ctx)
	if err != nil {
		cancel()
		return nil, fromStatus(ctx, err, "keepalive", "", server.address)
	}
	k.client.config.telemetry.observe(StreamOpened{StreamKeepalive, server.address})
	s.ctx, s.cancel, s.stream = ctx, cancel, stream
	s.reader.Go(s.read)
	return s, nil
}

func (s *keepaliveStream) read() {
	for {
		answer, err := s.stream.Recv()
		if err != nil {
			s.failed <- err
			return
		}
		select {
		case s.answers <- answer:
		case <-s.ctx.Done():
			s.failed <- s.ctx.Err()
			return
		}
	}
}

// close half-closes, gives the server a moment to end the stream, and joins.
func (s *keepaliveStream) close() {
	_ = s.stream.CloseSend() // the stream may have ended before
	late := time.AfterFunc(defaults.HalfCloseTimeout, s.cancel)
	defer late.Stop()
	for ended := false; !ended; {
		select {
		case <-s.answers: // of messages that no longer matter
		case err := <-s.failed:
			ended = err != nil
		}
	}
	s.cancel()
	s.reader.Wait()
}

// run sends what is due and takes answers until the stream breaks, is left for
// another server or is not needed any more.
func (s *keepaliveStream) run(choice *serverChoice) *Error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !s.keeper.idle() {
		now := time.Now()
		if err := s.sendDue(now); err != nil {
			return err
		}
		wanted := s.nextWake(now)
		timer.Reset(wanted.Sub(now))
		select {
		case <-timer.C:
			s.keeper.woke(wanted)
			if err := s.overdue(time.Now()); err != nil {
				return err
			}
		case <-s.keeper.wake:
			s.keeper.woke(wanted)
		case answer := <-s.answers:
			s.keeper.woke(wanted)
			if err := s.take(answer, choice); err != nil || choice.moving {
				return err
			}
		case err := <-s.failed:
			s.keeper.woke(wanted)
			s.failed <- err // close waits for it
			return fromStatus(s.keeper.client.ctx, err, "keepalive", "", s.server.address)
		case <-s.ctx.Done():
			return nil
		}
	}
	return nil
}

// sendDue sends one message for each batch of leases that are due.
func (s *keepaliveStream) sendDue(now time.Time) *Error {
	for batch := range slices.Chunk(s.keeper.takeDue(now), s.server.leasesPerMessage()) {
		s.sequence++
		request := &musterv1.KeepAliveRequest{Sequence: s.sequence}
		timeout := answerTimeout(batch[0].ttl)
		for _, kept := range batch {
			request.LeaseIds = append(request.LeaseIds, kept.id)
			timeout = min(timeout, answerTimeout(kept.ttl))
		}
		s.pending = append(s.pending, keepaliveBatchSent{s.sequence, now, now.Add(timeout), batch})
		blocked := time.AfterFunc(timeout, s.cancel)
		err := s.stream.Send(request)
		blocked.Stop()
		if err != nil {
			return fromStatus(s.keeper.client.ctx, s.cause(err), "keepalive", "", s.server.address)
		}
	}
	return nil
}

// cause replaces the EOF of a failed Send by what the reader saw.
func (s *keepaliveStream) cause(err error) error {
	select {
	case seen := <-s.failed:
		s.failed <- seen
		return seen
	default:
		return err
	}
}

// nextWake is when something is due, or an answer is overdue.
func (s *keepaliveStream) nextWake(now time.Time) time.Time {
	next := s.keeper.nextDue(now)
	for _, p := range s.pending {
		if p.deadline.Before(next) {
			next = p.deadline
		}
	}
	return next
}

func (s *keepaliveStream) overdue(now time.Time) *Error {
	for _, p := range s.pending {
		if !now.Before(p.deadline) {
			e := newError(ReasonDeadline, codes.DeadlineExceeded, "keepalive", "",
				textUnanswered(s.server.address, now.Sub(p.sent)))
			e.Server = s.server.address
			s.server.swallows()
			return e
		}
	}
	return nil
}

// take applies one answer.
func (s *keepaliveStream) take(answer *musterv1.KeepAliveResponse, choice *serverChoice) *Error {
	index := slices.IndexFunc(s.pending, func(p keepaliveBatchSent) bool { return p.sequence == answer.GetSequence() })
	if index < 0 {
		return nil
	}
	s.answered = true
	batch := s.pending[index]
	s.pending = slices.Delete(s.pending, index, index+1)
	exceptions := make(map[uint32]*musterv1.KeepAliveException, len(answer.GetExceptions()))
	for _, e := range answer.GetExceptions() {
		exceptions[e.GetLeaseIndex()] = e
	}
	stuck := time.Duration(0)
	for i, kept := range batch.leases {
		if s.observeOne(kept, batch.sent, exceptions[uint32(i)]) >= defaults.MoveAfter {
			stuck = max(stuck, kept.ttl)
		}
	}
	if stuck > 0 {
		choice.move(s.server, stuck)
	}
	return nil
}

// observeOne is takeOne, and tells of it.
func (s *keepaliveStream) observeOne(kept *keptLease, sent time.Time, exception *musterv1.KeepAliveException) int {
	outcome := KeepaliveConfirmed
	switch {
	case exception.GetLost() != nil:
		outcome = KeepaliveLost
	case exception.GetUnconfirmed() != nil:
		outcome = KeepaliveUnconfirmed
	}
	s.keeper.client.config.telemetry.observe(KeepaliveAnswered{kept.session.subject, s.server.address, outcome, time.Since(sent)})
	return s.takeOne(kept, sent, exception)
}

// takeOne applies what an answer says of one lease, and returns how many
// answers in a row have not confirmed it.
func (s *keepaliveStream) takeOne(kept *keptLease, sent time.Time, exception *musterv1.KeepAliveException) int {
	k := s.keeper
	switch {
	case exception.GetLost() != nil:
		lost := exception.GetLost()
		e := newError(reasonOf(lost.GetReason()), codes.NotFound, "keepalive", "",
			textServerError("keepalive", kept.session.subject, s.server.address, lost.GetMessage()))
		e.Server = s.server.address
		confirmed := k.remove(kept.id)
		kept.session.leaseLost(kept.id, e, confirmed, kept.late > kept.ttl/2)
		return 0
	case exception.GetUnconfirmed() != nil:
		u := exception.GetUnconfirmed()
		retry := min(max(u.GetRetryAfter().AsDuration(), defaults.KeepalivesTogether), kept.ttl/3)
		count := k.reschedule(kept, time.Now().Add(retry))
		reason := short(u.GetReason().String(), "UNCONFIRMED_REASON_")
		kept.session.leaseUnconfirmed(kept.id, textUnconfirmed(reason, retry), nil)
		return count
	default:
		k.confirm(kept, sent)
		kept.session.leaseConfirmed(kept.id)
		return 0
	}
}

// woke notes how much later than wanted the keeper runs: a process that stood
// still notices it here, whatever it was that woke it.
func (k *keeper) woke(wanted time.Time) {
	now := time.Now()
	late := now.Sub(wanted)
	if late <= 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, kept := range k.leases {
		if late > kept.late {
			kept.late, kept.lateAt = late, now
		}
	}
}

// takeDue returns the leases that are due, or will be within a moment, as
// pending, in a stable order.
func (k *keeper) takeDue(now time.Time) []*keptLease {
	k.mu.Lock()
	defer k.mu.Unlock()
	var due []*keptLease
	first := false
	for _, kept := range k.leases {
		first = first || !kept.pending && !kept.due.After(now)
	}
	if !first {
		return nil
	}
	for _, kept := range k.leases {
		if !kept.pending && !kept.due.After(now.Add(defaults.KeepalivesTogether)) {
			kept.pending = true
			due = append(due, kept)
		}
	}
	slices.SortFunc(due, func(a, b *keptLease) int { return cmp.Compare(a.id, b.id) })
	return due
}

// nextDue is when the next lease is due; without one, an hour from now.
func (k *keeper) nextDue(now time.Time) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := now.Add(time.Hour)
	for _, kept := range k.leases {
		if !kept.pending && kept.due.Before(next) {
			next = kept.due
		}
	}
	return next
}

func (k *keeper) confirm(kept *keptLease, sent time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept.pending, kept.unconfirmed = false, 0
	if !kept.lateAt.After(sent) { // otherwise the answer is from before
		kept.late = 0
	}
	kept.confirmed = sent
	kept.due = sent.Add(keepaliveDue(kept.ttl, k.client.config.words()))
}

func (k *keeper) reschedule(kept *keptLease, due time.Time) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept.pending, kept.due = false, due
	kept.unconfirmed++
	return kept.unconfirmed
}

// spread returns an even part of d.
func spread(d time.Duration, word uint64) time.Duration {
	high, _ := bits.Mul64(word, uint64(d.Milliseconds()+1))
	return time.Duration(high) * time.Millisecond
}
