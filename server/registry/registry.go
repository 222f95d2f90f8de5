// Package registry is the registry itself: it decides what calls change, has
// the store commit it, and keeps the view, the leases and the hub in step with
// the store's history. It knows nothing of gRPC.
//
// One way in: every public change is a mutation decided on a view, guarded by
// what it was decided from, and committed by the store. One way out: the
// store's applier (Restore and Apply, called by the store alone) moves the
// view forward, and every reader reads the view. A write is answered once its
// commit is durable and applied here, so its caller reads its own writes.
//
// Lock order: the store calls Apply; Apply takes the lease table's lock and the
// hub's, one after the other, never both. Nothing holds a lock while it
// proposes or waits.
package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/hub"
	"github.com/muster-registry/muster/server/lease"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

// maxAttempts is how often a change is decided before it is given up as a
// conflict.
const maxAttempts = 5

// Options are what a registry needs.
type Options struct {
	Store  store.Store
	Limits *musterv1.Limits
	Log    *slog.Logger
	// History is the hub's budget of logged changes; 0 means its default.
	History int
}

// Registry is one server's registry.
type Registry struct {
	store  store.Store
	log    *slog.Logger
	leases *lease.Table
	hub    *hub.Hub
	start  time.Time

	// builder belongs to the store's applier.
	builder *view.Builder
	view    atomic.Pointer[view.View]
	// newest is the view before the hub has it, for those who only read.
	newest atomic.Pointer[view.View]

	mu      sync.Mutex
	waiters map[chan struct{}]uint64 // closed when the revision is reached

	// waiting are waiters that nobody uses at the moment.
	waiting sync.Pool

	suspects suspects
	reports  reports
	// broken is why nothing is applied any more; failed is closed with it.
	broken atomic.Pointer[error]
	failed chan struct{}
	work   worker
}

// New makes a registry; Start begins its work.
func New(o Options) *Registry {
	now := time.Now()
	r := &Registry{
		store: o.Store, log: o.Log, leases: lease.NewTable(now), start: now,
		builder: view.NewBuilder(), waiters: map[chan struct{}]uint64{}, failed: make(chan struct{}),
		waiting:  sync.Pool{New: newWaiter},
		suspects: newSuspects(), reports: newReports(), work: newWorker(),
	}
	r.hub = hub.New(hub.Options{
		ClusterID: o.Store.ClusterID(), Limits: o.Limits, History: o.History, Started: now,
	})
	r.view.Store(&view.View{})
	r.newest.Store(&view.View{})
	return r
}

// Start loads the store, makes sure that its history has an epoch, and begins
// to expire leases. Stop ends what it began.
func (r *Registry) Start(ctx context.Context) error {
	if err := r.store.Start(r); err != nil {
		return fmt.Errorf("loading the store: %w", err)
	}
	if err := r.ensureEpoch(ctx); err != nil {
		return fmt.Errorf("beginning the history: %w", err)
	}
	// They end with Stop, not with the context of the start.
	jobs := []func(context.Context){r.sweep, r.tend, r.deliverReports}
	for range runtime.GOMAXPROCS(0) {
		jobs = append(jobs, r.hub.Send)
	}
	r.work.start(context.WithoutCancel(ctx), jobs...)
	return nil
}

// Stop ends the registry's own goroutines and joins them. The store stays
// open. It is idempotent.
func (r *Registry) Stop() { r.work.stop() }

// ensureEpoch gives a new history its epoch.
func (r *Registry) ensureEpoch(ctx context.Context) error {
	_, err := r.change(ctx, func(v *view.View) (*store.Mutation, error) {
		if v.Epoch != 0 {
			return nil, nil
		}
		return &store.Mutation{
			Guards: []store.Guard{{Key: record.EpochKey, Aspect: store.Mod, Revision: v.EpochRevision}},
			Puts:   []store.Put{{Key: record.EpochKey, Value: record.EncodeEpoch(uint64(time.Now().UnixMilli()))}},
		}, nil
	})
	return err
}

// Failed is closed when the store committed what cannot be applied; Err then
// says what. The registry must not be used any more.
func (r *Registry) Failed() <-chan struct{} { return r.failed }

// Err is the reason of the failure, nil before Failed is closed.
func (r *Registry) Err() error {
	if p := r.broken.Load(); p != nil {
		return *p
	}
	return nil
}

// View is the newest view. It never blocks.
func (r *Registry) View() *view.View { return r.view.Load() }

// Newest is a view for reading that is at or after what View shows and what any
// watcher was told of. The hub may not have it yet.
func (r *Registry) Newest() *view.View { return r.newest.Load() }

// Hub is the fan-out.
func (r *Registry) Hub() *hub.Hub { return r.hub }

// Leases is the lease table, for its figures.
func (r *Registry) Leases() *lease.Table { return r.leases }

// ClusterID is the store's.
func (r *Registry) ClusterID() string { return r.store.ClusterID() }

// Started is when the registry was made.
func (r *Registry) Started() time.Time { return r.start }

// Restore is for the store: it replaces everything.
func (r *Registry) Restore(revision uint64, entries iter.Seq[*store.Entry]) error {
	now := time.Now()
	r.leases.Reset(now)
	// The lease table is filled beside the view, and in the order in which the
	// store has the leases: a million of them in the view's order would be as
	// many looks at memory that no cache holds.
	var leases []*view.Lease
	var filled sync.WaitGroup
	v, err := r.builder.Restore(revision, func(yield func(*store.Entry) bool) {
		for e := range entries {
			if record.KindOf(e.Key) == record.KindLease {
				leases = append(leases, (*view.Lease)(e))
			}
			if !yield(e) {
				return
			}
		}
		filled.Go(func() {
			for _, l := range leases {
				r.leases.Put(l.ID(), ttl(l), l.ModRevision, now)
			}
		})
	})
	filled.Wait()
	if err != nil {
		return err
	}
	r.newest.Store(v)
	r.hub.Reset(v)
	r.view.Store(v)
	return nil
}

// Apply is for the store: it takes over what was committed.
func (r *Registry) Apply(commits []store.Commit) {
	if r.broken.Load() != nil {
		return
	}
	v, changes, err := r.builder.Apply(commits)
	if err != nil {
		// Going on would serve a view that no history leads to.
		err = fmt.Errorf("the store holds what this server cannot apply: %w; "+
			"did a newer release write it? then run that one, else restore a backup", err)
		r.broken.Store(&err)
		r.log.Error("registry stopped", "error", err)
		close(r.failed)
		return
	}
	now := time.Now()
	var gone []string
	for _, c := range changes.Leases {
		if c.After != nil {
			r.leases.Put(c.After.ID(), ttl(c.After), c.After.ModRevision, now)
		} else {
			r.leases.Remove(c.Before.ID())
			gone = append(gone, c.Before.ID())
		}
	}
	// Before the hub: who was told by a watch must find it in a lookup.
	r.newest.Store(v)
	// The hub first: whoever sees a revision in View finds it in the hub too.
	r.hub.Apply(v, changes.Entries, now)
	r.view.Store(v)
	// After the view: a keepalive that still found the lease there is undone.
	for _, id := range gone {
		r.suspects.forget(id)
	}
	r.wake(v.Revision)
	r.work.noticeEmptied(v, changes.Entries)
}

func ttl(l *view.Lease) time.Duration { return l.TTL() }

// wake lets those go who wait for a revision that is reached.
func (r *Registry) wake(revision uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c, want := range r.waiters {
		if want <= revision {
			close(c)
			delete(r.waiters, c)
		}
	}
}

// AwaitRevision returns the first view at or after a revision, or the
// context's error.
func (r *Registry) AwaitRevision(ctx context.Context, revision uint64) (*view.View, error) {
	for {
		if v := r.View(); v.Revision >= revision {
			return v, nil
		}
		c := make(chan struct{})
		r.mu.Lock()
		r.waiters[c] = revision
		r.mu.Unlock()
		if v := r.View(); v.Revision >= revision {
			// It came in between.
			r.forgetWaiter(c)
			return v, nil
		}
		select {
		case <-c:
		case <-ctx.Done():
			r.forgetWaiter(c)
			return nil, ctx.Err()
		}
	}
}

func (r *Registry) forgetWaiter(c chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiters, c)
}

// Probe makes sure that the view has everything that was durable when it was
// called.
func (r *Registry) Probe(ctx context.Context) (*view.View, error) {
	revision, err := r.store.Probe(ctx)
	if err != nil && ctx.Err() == nil {
		return nil, storeFault(err)
	}
	if err != nil {
		return nil, ctx.Err()
	}
	return r.AwaitRevision(ctx, revision)
}

// decide makes a mutation from a view; nil means that there is nothing to do.
type decide func(v *view.View) (*store.Mutation, error)

// change decides, proposes, and decides again if what it was decided from has
// changed meanwhile. It returns the revision of its commit, or that of the
// view if there was nothing to do.
func (r *Registry) change(ctx context.Context, d decide) (uint64, error) {
	v := r.View()
	for range maxAttempts {
		if err := r.failedFault(); err != nil {
			return 0, err
		}
		m, err := d(v)
		if err != nil {
			return 0, err
		}
		if m == nil {
			return v.Revision, nil
		}
		out, err := r.propose(ctx, *m)
		if err == nil {
			err = r.failedFault() // whatever became of it, no view will show it
		}
		if err != nil {
			return 0, err
		}
		if out.Committed() {
			return out.Revision, nil
		}
		newest := v.Revision
		for _, e := range out.Failed {
			newest = max(newest, e.ModRevision)
		}
		if v, err = r.AwaitRevision(ctx, newest); err != nil {
			return 0, err
		}
	}
	return 0, fault.New(musterv1.ErrorReason_ERROR_REASON_CONFLICT,
		"the entries changed %d times while this call was decided; try again", maxAttempts)
}

// failedFault is what callers are told once the registry has failed, or nil.
func (r *Registry) failedFault() error {
	err := r.Err()
	if err == nil {
		return nil
	}
	f := fault.New(musterv1.ErrorReason_ERROR_REASON_STORE_FAILED, "%v", err)
	f.Cause = err
	return f
}

type answer struct {
	out store.Outcome
	err error
}

// waiter is one who waits for an answer of the store.
type waiter struct {
	answered chan answer
	done     func(store.Outcome, error)
}

func newWaiter() any {
	w := &waiter{answered: make(chan answer, 1)}
	w.done = func(o store.Outcome, err error) { w.answered <- answer{o, err} }
	return w
}

// propose has the store decide a mutation, and waits. When the context ends
// first the mutation may still commit.
func (r *Registry) propose(ctx context.Context, m store.Mutation) (store.Outcome, error) {
	w := r.waiting.Get().(*waiter)
	r.store.Propose(m, w.done)
	select {
	case a := <-w.answered:
		r.waiting.Put(w)
		if errors.Is(a.err, store.ErrTooLarge) {
			return store.Outcome{}, tooLarge(&m, a.err)
		}
		return a.out, storeFault(a.err)
	case <-ctx.Done():
		// Its answer is still to come: it is of no use to another.
		return store.Outcome{}, ctx.Err()
	}
}

// tooLarge is what callers are told whose change, all instances together, does
// not fit into one commit.
func tooLarge(m *store.Mutation, err error) error {
	f := fault.New(musterv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED, "%v", err)
	f.Cause = err
	return f.With("limit", "mutation_bytes").With("maximum", strconv.Itoa(store.MaxMutationBytes)).
		With("value", strconv.Itoa(m.Size()))
}

// storeFault says what the store's error means to a caller.
func storeFault(err error) error {
	reason := musterv1.ErrorReason_ERROR_REASON_INTERNAL
	retry := time.Duration(0)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrClosed):
		reason = musterv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN
	case errors.Is(err, store.ErrFull):
		reason, retry = musterv1.ErrorReason_ERROR_REASON_STORE_FULL, time.Second
	case errors.Is(err, store.ErrBusy):
		reason, retry = musterv1.ErrorReason_ERROR_REASON_OVERLOADED, 100*time.Millisecond
	case errors.Is(err, store.ErrFailed):
		reason = musterv1.ErrorReason_ERROR_REASON_STORE_FAILED
	}
	f := fault.New(reason, "%v", err)
	f.Cause, f.RetryAfter = err, retry
	return f
}
