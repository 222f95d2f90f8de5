package muster

import (
	"cmp"
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// defaultDrain is how long a drain without deadline waits for watchers.
const defaultDrain = 5 * time.Second

// DrainWatcher is one watcher that a drain waited for in vain.
type DrainWatcher struct {
	// ClientName is the name that the client gave itself; may be empty.
	ClientName string
	// Address is where it connects from.
	Address string
}

// called is how texts call it: by its name, or else by its address.
func (w DrainWatcher) called() string { return cmp.Or(w.ClientName, w.Address) }

// DrainReport is how a drain ended.
type DrainReport struct {
	// Complete tells whether every live watcher confirmed before the deadline.
	Complete bool
	// Confirmed watchers no longer pick the instances.
	Confirmed uint32
	// Behind watchers had not confirmed.
	Behind uint32
	// Unconfirmable watchers have no means to confirm; the update was sent.
	Unconfirmable uint32
	// Disconnected watchers went away meanwhile.
	Disconnected uint32
	// BehindWatchers are those that are behind, at most 20.
	BehindWatchers []DrainWatcher
	// SafeAfter is how long answers from before may still be used, by Lookup
	// and DNS; stop only after it.
	SafeAfter time.Duration
	// Position where the instances became DRAINING.
	Position Position
	// Took is how long the drain took, seen from this process.
	Took time.Duration
}

// String is the line for the log.
func (r DrainReport) String() string {
	all := r.Confirmed + r.Behind
	if r.Complete {
		return textDrained(r.Confirmed, all, r.Took)
	}
	names := make([]string, len(r.BehindWatchers))
	for i, w := range r.BehindWatchers {
		names[i] = w.called()
	}
	return textDrainBehind(r.Behind, all, r.Took, names)
}

// Drain sets the instances to DRAINING and waits until every live watcher has
// confirmed that it no longer picks them, or until the wait is over: nine
// tenths of what is left of ctx, or 5 s without a deadline. A report that is
// not Complete is no error. Stop after the report, after its SafeAfter and
// after your own calls in flight.
//
// A lease that is lost while draining is not registered again: the registration
// ends as DEREGISTERED. SetLifecycle(Serving) ends a drain with DRAIN_CANCELLED.
func (r *Registration) Drain(ctx context.Context) (DrainReport, error) {
	s := r.session
	began := time.Now()
	wait := defaultDrain
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(time.Until(deadline)*9/10, defaults.LongestDrain)
	}
	ctx, cancel := withDefaultTimeout(ctx, wait+defaults.CallTimeout)
	defer cancel()
	report, err := s.drain(ctx, wait, began)
	s.client.config.telemetry.observe(DrainFinished{s.subject, resultOf(err), report})
	return report, err.orNil()
}

func (s *session) drain(ctx context.Context, wait time.Duration, began time.Time) (DrainReport, *Error) {
	held, err := s.beginDrain(ctx)
	if err != nil {
		return DrainReport{}, err
	}
	var response *musterv1.DrainResponse
	err = s.client.call(ctx, "drain", s.subject, func(ctx context.Context, server *server) (err error) {
		left := max(wait-time.Since(began), time.Millisecond).Truncate(time.Millisecond)
		response, err = server.registrations().Drain(ctx, &musterv1.DrainRequest{
			LeaseId: held.id, Timeout: durationpb.New(left),
		})
		return err
	})
	if err != nil {
		s.drainFailed(held, err)
		return DrainReport{}, err
	}
	s.client.wrote(Position{response.GetEpoch(), response.GetRevision()})
	report := drainReport(response, time.Since(began))
	s.client.config.Logger.Info(report.String(), "registration", s.subject)
	return report, nil
}

func drainReport(p *musterv1.DrainResponse, took time.Duration) DrainReport {
	r := DrainReport{
		Complete:  p.GetResult() == musterv1.DrainResult_DRAIN_RESULT_COMPLETE,
		Confirmed: p.GetConfirmed(), Behind: p.GetBehind(),
		Unconfirmable: p.GetUnconfirmable(), Disconnected: p.GetDisconnected(),
		SafeAfter: p.GetSafeAfter().AsDuration(),
		Position:  Position{p.GetEpoch(), p.GetRevision()},
		Took:      took,
	}
	for _, w := range p.GetBehindWatchers() {
		r.BehindWatchers = append(r.BehindWatchers, DrainWatcher{w.GetClientName(), w.GetAddress()})
	}
	return r
}

// beginDrain waits for a lease and marks the session: from here on a lost lease
// is final, and DRAINING is what is wanted and will be there.
func (s *session) beginDrain(ctx context.Context) (lease, *Error) {
	for {
		held, ready, progress, err := s.tryBeginDrain()
		if ready || err != nil {
			return held, err
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return lease{}, contextError(ctx, "drain", s.subject, s.lastError())
		}
	}
}

func (s *session) tryBeginDrain() (held lease, ready bool, progress <-chan struct{}, err *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ending != 0 || s.status.State.Final():
		return lease{}, false, nil, closedError("registration")
	case s.held.id == "" || s.lost != nil:
		return lease{}, false, s.progress, nil
	}
	s.draining = true
	s.setLifecycleLocked(Draining)
	s.have = cloneInstances(s.have)
	for _, h := range s.have {
		h.Lifecycle = musterv1.Lifecycle(Draining)
	}
	return s.held, true, nil, nil
}

// drainFailed undoes the mark, or ends the session if the lease is gone.
func (s *session) drainFailed(held lease, err *Error) {
	if isLost(err) {
		s.leaseLost(held.id, err, s.client.keeper.remove(held.id), false)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err.Reason == ReasonDrainCancelled {
		s.draining = false
	}
}

// setLifecycle changes what is wanted; SERVING also ends a drain.
func (s *session) setLifecycle(lifecycle Lifecycle) {
	s.mu.Lock()
	s.draining = s.draining && lifecycle != Serving
	s.setLifecycleLocked(lifecycle)
	s.version++
	s.mu.Unlock()
	s.nudge()
}

func (s *session) setLifecycleLocked(lifecycle Lifecycle) {
	s.want = cloneInstances(s.want)
	for _, w := range s.want {
		w.Lifecycle = musterv1.Lifecycle(lifecycle)
	}
}
