package registry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/health"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

const (
	// reportEvery is the least time between two changes of an instance by
	// health reports. What is reported sooner waits, and only the latest of it
	// is written: a flapping check costs watchers one change a second.
	reportEvery = time.Second
	// reportPause is when to look again if no report waits.
	reportPause = time.Minute
	// reportsAtOnce bounds the reports that are written at the same time.
	reportsAtOnce = 64
	// reportGrace is how long the reports that wait may take when the registry
	// stops.
	reportGrace = time.Second
)

// report is what a holder says of one of its instances.
type report struct {
	name    record.InstanceName
	leaseID string
	health  *musterv1.SelfHealth
	due     time.Time
}

// reports are the health reports that wait for their turn, at most one an
// instance.
type reports struct {
	mu      sync.Mutex
	waiting map[record.InstanceName]report
	// writing are those whose turn has come, until the view shows them. What
	// the view says of these instances is out of date.
	writing map[record.InstanceName]chan struct{}
	last    map[record.InstanceName]time.Time // of the last change; the old ones are swept
	sweepAt int
	closed  bool // nobody writes what waits any more
	signal  chan struct{}
}

func newReports() reports {
	return reports{
		waiting: map[record.InstanceName]report{}, last: map[record.InstanceName]time.Time{},
		writing: map[record.InstanceName]chan struct{}{}, signal: make(chan struct{}, 1),
	}
}

// admit makes a report wait for its turn, which is now unless the instance
// changed within the last second. changed tells whether it differs from what
// the view shows; if it does not, and no other is under way, it is of no news.
// The answer is false if nobody writes what waits any more.
func (r *reports) admit(rep report, changed bool, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, waits := r.waiting[rep.name]
	last, limited := r.last[rep.name]
	switch {
	case r.closed:
		return false
	case waits:
		rep.due = w.due
	case !changed && r.writing[rep.name] == nil:
		return true
	case limited:
		rep.due = last.Add(reportEvery)
	default:
		rep.due = now
	}
	r.waitLocked(rep)
	return true
}

func (r *reports) waitLocked(rep report) {
	r.waiting[rep.name] = rep
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

func (r *reports) writtenLocked(n record.InstanceName, now time.Time) {
	if len(r.last) >= r.sweepAt {
		for name, at := range r.last {
			if now.Sub(at) >= reportEvery {
				delete(r.last, name)
			}
		}
		r.sweepAt = max(64, 2*len(r.last))
	}
	r.last[n] = now
}

// take takes out the reports whose time has come, and tells when the next
// comes.
func (r *reports) take(now time.Time) (due []report, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = reportPause
	for name, rep := range r.waiting {
		if left := rep.due.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		delete(r.waiting, name)
		r.writtenLocked(name, now)
		r.writing[name] = make(chan struct{})
		due = append(due, rep)
	}
	return due, wait
}

// written ends what take began.
func (r *reports) written(n record.InstanceName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.writing[n]; c != nil {
		close(c)
		delete(r.writing, n)
	}
}

// takeAll takes out all reports; from then on none waits.
func (r *reports) takeAll() (all []report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, rep := range r.waiting {
		all = append(all, rep)
	}
	clear(r.waiting)
	return all
}

// takeOne takes out an instance's report, for something newer is said of it,
// and waits until the one that is being written is in the view.
func (r *reports) takeOne(ctx context.Context, n record.InstanceName) (rep report, ok bool) {
	r.mu.Lock()
	rep, ok = r.waiting[n]
	delete(r.waiting, n)
	writing := r.writing[n]
	r.mu.Unlock()
	if writing != nil {
		select {
		case <-writing:
		case <-ctx.Done():
		}
	}
	return rep, ok
}

// putBack makes a report wait that could not be written, unless there is a
// newer one.
func (r *reports) putBack(rep report, due time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, newer := r.waiting[rep.name]; !newer && !r.closed {
		rep.due = due
		r.waitLocked(rep)
	}
}

// Report takes what a holder says of an instance of its lease. It is written at
// once, or within a second, and does not wait for that: whoever keeps a lease
// alive must not wait for the store. The error says why it is not taken.
func (r *Registry) Report(ctx context.Context, leaseID string, h *musterv1.HealthReport) error {
	k, now := h.GetKey(), time.Now()
	rep := report{leaseID: leaseID, health: h.GetSelfHealth(), name: record.InstanceName{
		ServiceName: record.ServiceName{Namespace: k.GetNamespace(), Service: k.GetService()}, ID: k.GetInstanceId(),
	}}
	in, err := held(r.View(), rep.name, leaseID)
	if err != nil {
		return err
	}
	_, changed := health.Set(in.Proto().GetHealthSlots(), selfSlot(rep.health, now))
	if r.reports.admit(rep, changed, now) {
		return nil
	}
	return r.writeReport(ctx, rep)
}

func (r *Registry) writeReport(ctx context.Context, rep report) error {
	now := time.Now()
	_, err := r.change(ctx, func(v *view.View) (*store.Mutation, error) {
		in, err := held(v, rep.name, rep.leaseID)
		if err != nil {
			return nil, err
		}
		next := in.Proto()
		if !setSlot(next, selfSlot(rep.health, now)) {
			return nil, nil
		}
		return rewrite(in, next, in.DrainDeadlineMS(), now), nil
	})
	return err
}

// deliverReports writes the reports that wait, when their time has come, and
// all of them at the end.
func (r *Registry) deliverReports(ctx context.Context) {
	for {
		due, wait := r.reports.take(time.Now())
		r.writeReports(ctx, due)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportGrace)
			defer cancel()
			r.writeReports(last, r.reports.takeAll())
			return
		case <-r.reports.signal:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (r *Registry) writeReports(ctx context.Context, all []report) {
	for some := range slices.Chunk(all, reportsAtOnce) {
		var wg sync.WaitGroup
		for _, rep := range some {
			wg.Go(func() {
				if err := r.writeReport(ctx, rep); err != nil && !isRefusal(err) {
					r.reports.putBack(rep, time.Now().Add(reportEvery))
				}
				r.reports.written(rep.name)
			})
		}
		wg.Wait()
	}
}

// isRefusal tells that a report is of no use any more: its lease or instance
// is gone, or another's.
func isRefusal(err error) bool {
	var f *fault.Error
	if !errors.As(err, &f) {
		return false
	}
	switch f.Reason {
	case musterv1.ErrorReason_ERROR_REASON_FENCED, musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN,
		musterv1.ErrorReason_ERROR_REASON_INSTANCE_UNKNOWN:
		return true
	default:
		return false
	}
}
