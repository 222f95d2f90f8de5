package registry

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

const (
	// collectAfter is how long a service stays known without instances.
	collectAfter = 7 * 24 * time.Hour
	collectEvery = time.Hour
	// tendRetry is the pause after the store refused what tend proposed.
	tendRetry = time.Second
)

// worker owns the registry's goroutines, and what they have yet to do.
type worker struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once

	mu sync.Mutex
	// emptied are the services whose state may not say rightly whether they are
	// empty, with their last removal, or nil where there is none to tell of.
	emptied map[record.ServiceName]*musterv1.Emptied
	signal  chan struct{}
	// judged are the leases whose instances carry the connection's word: those
	// that did at the start, and those of every verdict since. One that is
	// noted just after its commit is looked at once more after that.
	judged map[string]struct{}
}

func newWorker() worker {
	return worker{
		emptied: map[record.ServiceName]*musterv1.Emptied{}, judged: map[string]struct{}{},
		signal: make(chan struct{}, 1),
	}
}

func (w *worker) start(ctx context.Context, fs ...func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	w.cancel = cancel
	for _, f := range fs {
		w.wg.Go(func() { f(ctx) })
	}
}

func (w *worker) stop() {
	w.once.Do(func() {
		if w.cancel != nil {
			w.cancel()
		}
	})
	w.wg.Wait()
}

// poke makes tend look again.
func (w *worker) poke() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// noticeEmptied takes note of services that lost their last instance, for
// tend to write it into their state, and of those whose state says so though
// they have one: a registration can commit just before the note does. At most
// one note a service.
func (w *worker) noticeEmptied(v *view.View, changes []view.Change) {
	found := false
	for i := range changes {
		c := &changes[i]
		s := v.Service(c.Service)
		switch {
		case s == nil || s.State == nil:
		case s.Len() > 0 && s.State.GetEmptied() != nil:
			w.noticeOne(c.Service, nil)
			found = true
		case s.Len() == 0 && c.Instance && c.After == nil:
			w.noticeOne(c.Service, &musterv1.Emptied{
				Reason: c.Reason, InstanceId: c.ID, Revision: c.Revision, Time: timestamppb.Now(),
			})
			found = true
		}
	}
	if found {
		w.poke()
	}
}

// noticeOne keeps the later of two notes.
func (w *worker) noticeOne(n record.ServiceName, e *musterv1.Emptied) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, ok := w.emptied[n]; !ok || known.GetRevision() <= e.GetRevision() {
		w.emptied[n] = e
	}
}

func (w *worker) takeEmptied() map[record.ServiceName]*musterv1.Emptied {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.emptied
	w.emptied = map[record.ServiceName]*musterv1.Emptied{}
	return e
}

func (w *worker) noticeJudged(leaseID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judged[leaseID] = struct{}{}
}

func (w *worker) forgetJudged(leaseID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.judged, leaseID)
}

func (w *worker) noneJudged() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.judged) == 0
}

// anyJudged tells whether some lease's instances carry the connection's word.
func (w *worker) anyJudged(ids []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if _, ok := w.judged[id]; ok {
			return true
		}
	}
	return false
}

func (w *worker) judgedLeases() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.judged))
}

// tend writes what the registry itself has to say: which services are empty
// and why, which ones are forgotten, and which connections broke.
func (r *Registry) tend(ctx context.Context) {
	r.noticeOldEmpties()
	collect := time.NewTicker(collectEvery)
	defer collect.Stop()
	for {
		wait := r.tendOnce(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-r.work.signal:
		case <-timer.C:
		case <-collect.C:
			r.collect(ctx, time.Now())
		}
		timer.Stop()
	}
}

// tendOnce does what is to be done now, and says when to look again at the
// latest.
func (r *Registry) tendOnce(ctx context.Context) time.Duration {
	wait := r.judgeSuspects(ctx)
	if !r.writeAllEmptied(ctx, r.work.takeEmptied()) {
		wait = min(wait, tendRetry)
	}
	return wait
}

// noticeOldEmpties finds services whose last instance went, or whose first one
// came, just before the server went, so that nobody wrote it down, and leases
// whose instances carry a verdict from before.
func (r *Registry) noticeOldEmpties() {
	r.View().ServicesFrom(record.ServiceName{}, func(s *view.Service) bool {
		switch {
		case s.State == nil:
		case s.Len() > 0 && s.State.GetEmptied() != nil:
			r.work.noticeOne(s.Name, nil)
		case s.Len() == 0 && s.State.GetEmptied() == nil:
			r.work.noticeOne(s.Name, &musterv1.Emptied{
				Reason: musterv1.RemovalReason_REMOVAL_REASON_UNKNOWN, Time: timestamppb.Now(),
			})
		}
		for in := range s.Instances {
			if saysConnection(in) {
				r.work.noticeJudged(in.LeaseID())
			}
		}
		return true
	})
}

// saysConnection tells whether an instance carries the connection's word that
// it is not healthy.
func saysConnection(in *view.Instance) bool {
	if in.Health == musterv1.Health_HEALTH_HEALTHY {
		return false
	}
	for _, s := range in.Proto().GetHealthSlots() {
		if s.GetSource() == connectionSource {
			return true
		}
	}
	return false
}

// collect forgets services that have been empty for long. A clock that is
// wrong can only forget a name too early, never an instance.
func (r *Registry) collect(ctx context.Context, now time.Time) {
	var old []record.ServiceName
	r.View().ServicesFrom(record.ServiceName{}, func(s *view.Service) bool {
		if s.Len() == 0 && s.State != nil && s.State.GetEmptied() != nil &&
			now.Sub(s.State.GetEmptied().GetTime().AsTime()) > collectAfter {
			old = append(old, s.Name)
		}
		return ctx.Err() == nil
	})
	for _, n := range old {
		_, err := r.change(ctx, func(v *view.View) (*store.Mutation, error) {
			s := v.Service(n)
			if s == nil || s.State == nil || s.Len() > 0 || s.State.GetEmptied() == nil {
				return nil, nil
			}
			return &store.Mutation{
				Guards:  []store.Guard{{Key: n.Key(), Revision: s.State.ModifyRevision}},
				Deletes: []string{n.Key()},
			}, nil
		})
		if err != nil {
			r.log.Warn("a service without instances could not be forgotten; trying again later",
				"service", n.String(), "error", err)
		}
	}
}
