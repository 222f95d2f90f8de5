package muster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/muster-registry/muster/client-go/internal/defaults"
)

// core is one watched selector, shared by all subscriptions that are equal to
// it. Its view is written by the watch stream alone.
type core struct {
	id       uint32
	key      string
	selector Selector
	// fixed is what of the selector is fixed, nil for nothing. asked is what the
	// registry is asked for, nil for nothing.
	fixed  *fixedPart
	asked  *Selector
	config *Config
	clock  clientClock
	view   atomic.Pointer[View]

	// diskCluster is the cluster of the position that frames have from disk,
	// until it was compared with the registry's. Of the watch stream alone.
	diskCluster *string
	// frames and forbidden are the watch stream's own.
	frames frameState
	// update is what the chunks so far say of an update that is not complete.
	update    update
	forbidden []ServiceName
	// retryAfter is when a view that was taken unverified is asked for again;
	// retryDelay is the wait after that. Zero if it is verified.
	retryAfter time.Time
	retryDelay time.Duration

	// mu guards what follows, and orders publications. The watcher's mu may be
	// held when it is taken; nothing is taken inside of it.
	mu      sync.Mutex
	err     *Error
	pickers map[*Picker]struct{}
	// handles, and lane, which carries it, are guarded by the watcher's mu.
	handles int
	lane    *watchLane
}

func newCore(id uint32, selector Selector, c *Client) *core {
	k := &core{
		id: id, key: selector.key(), selector: selector, config: &c.config, clock: c.watcher.clock,
		pickers: make(map[*Picker]struct{}), frames: newFrameState(),
	}
	first := newView(selector, k.config, k.clock)
	if k.fixed, k.asked = c.fixed.split(selector); k.asked == nil {
		k.fixed.showAlone(first)
	}
	k.view.Store(first)
	return k
}

// begin makes what was found on disk the first view, before anybody has the core.
func (k *core) begin(d *diskView) {
	k.frames, k.forbidden, k.diskCluster = d.frames, d.forbidden, &d.clusterID
	d.show(k.view.Load())
}

// publish makes the next view by an edit of the present one, and tells whoever
// waits.
func (k *core) publish(edit func(*View)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.view.Load()
	next := *old
	next.superseded = make(chan struct{})
	edit(&next)
	k.view.Store(&next)
	close(old.superseded)
}

// end gives all subscriptions of the selector a terminal error.
func (k *core) end(err *Error) {
	k.mu.Lock()
	first := k.err == nil
	if first {
		k.err = err
	}
	k.mu.Unlock()
	if first {
		k.publish(func(*View) {})
	}
}

func (k *core) terminal() *Error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// applied is up to where in the view's epoch all pickers that use the view, and
// the view itself, have gone.
func (k *core) applied() Position {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.view.Load().position
	for p := range k.pickers {
		if p.applied.Epoch != at.Epoch {
			return Position{}
		}
		at.Revision = min(at.Revision, p.applied.Revision)
	}
	return at
}

// Subscription is a handle of a watched selector. Equal selectors of a client
// share one watch. It is safe for concurrent use.
type Subscription struct {
	watcher *watcher
	core    *core
	began   time.Time
	closed  chan struct{}
	once    sync.Once
}

// Subscribe begins to watch a selector. It talks to nobody: the view before the
// first is that of the CacheDir, which is a file to be read, or else empty and
// says NOT_YET. Close must follow, unless the client is
// closed. The error is INVALID_ARGUMENT or CLOSED; what the registry refuses is
// told by Err.
func (c *Client) Subscribe(selector Selector) (*Subscription, error) {
	if err := selector.validate(); err != nil {
		return nil, err
	}
	k, err := c.watcher.subscribe(selector.clone())
	if err != nil {
		return nil, err
	}
	return &Subscription{watcher: c.watcher, core: k, began: time.Now(), closed: make(chan struct{})}, nil
}

// View is the newest view. It is never nil and never waits.
func (s *Subscription) View() *View { return s.core.view.Load() }

// Selector is what is watched.
func (s *Subscription) Selector() Selector { return s.core.selector.clone() }

// Err is why the subscription ended: refused by the registry, CLOSED by Close
// or with the client. It is nil while it goes on. Outages do not end it.
func (s *Subscription) Err() error {
	select {
	case <-s.closed:
		return closedError("subscription")
	default:
		return s.core.terminal().orNil()
	}
}

// Wait waits until there is a view that has at least `least` instances, and
// returns it; one from disk counts, and View.Source tells. ctx bounds the wait; without a deadline it is 5 s. The error says
// what is missing: NO_VIEW if nothing was received, else why there are no or
// too few instances.
func (s *Subscription) Wait(ctx context.Context, least int) (*View, error) {
	began := time.Now()
	ctx, cancel := withDefaultTimeout(ctx, defaults.CallTimeout)
	defer cancel()
	var similar similarNames
	defer similar.end()
	for {
		v := s.View()
		if v.received && len(v.instances) >= least {
			return v, nil
		}
		if err := s.Err(); err != nil {
			return nil, err
		}
		if v.source == SourceStatic {
			return nil, s.missing(ctx, least, 0, nil)
		}
		if name, ok := s.neverSeen(v); ok {
			similar.ask(ctx, s.watcher.client, name)
		}
		select {
		case <-v.Superseded():
		case <-s.closed:
		case <-ctx.Done():
			return nil, s.missing(ctx, least, time.Since(began), similar.end())
		}
	}
}

// Why is View.Why of the newest view; before the first it says since when it is
// waited for, and what the last error was.
func (s *Subscription) Why(service ServiceName) error {
	v := s.View()
	if !v.received {
		return noViewError(service.String(), time.Since(s.began), s.watcher.lastError())
	}
	return v.Why(service)
}

// neverSeen is the one service of the selector, if it was never registered.
func (s *Subscription) neverSeen(v *View) (ServiceName, bool) {
	services := s.core.selector.Services
	if len(services) != 1 || v.IntentOf(services[0]) != NeverSeen {
		return ServiceName{}, false
	}
	return services[0], true
}

// missing is the error of a wait that ended.
func (s *Subscription) missing(ctx context.Context, least int, waited time.Duration, similar []string) *Error {
	v, name := s.View(), s.core.selector.String()
	e := noInstancesError(name, textTooFew(name, len(v.instances), least, waited))
	switch {
	case v.source == SourceStatic && len(v.instances) > 0:
		e.Message = textTooFewGiven(name, len(v.instances), least)
	case !v.received:
		e = noViewError(name, waited, s.watcher.lastError())
	case len(v.instances) == 0 && len(s.core.selector.Services) == 1:
		e = v.why(s.core.selector.Services[0])
	}
	if name, ok := s.neverSeen(v); ok && v.source != SourceStatic {
		e.Message = textServiceUnknown(name, v.position, similar)
	}
	e.cause = ctx.Err()
	return e
}

// Close ends the handle; the last one of a selector ends its watch. Views stay
// readable. It is idempotent and does not wait.
func (s *Subscription) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.watcher.unsubscribe(s.core)
	})
}

// Picker is something that picks instances outside of View, such as a
// balancer. While one is open, drains wait until it has applied the view that
// shows them. Close must follow.
type Picker struct {
	subscription *Subscription
	applied      Position
}

// AddPicker registers a picker. It counts as applied up to now.
func (s *Subscription) AddPicker() *Picker {
	k := s.core
	k.mu.Lock()
	defer k.mu.Unlock()
	p := &Picker{subscription: s, applied: k.view.Load().position}
	k.pickers[p] = struct{}{}
	return p
}

// Applied tells that from now on the picker picks by v, or a newer view, alone.
func (p *Picker) Applied(v *View) {
	k := p.subscription.core
	k.mu.Lock()
	p.applied = v.position
	k.mu.Unlock()
	p.subscription.watcher.nudgeAcks(k)
}

// Close takes the picker away: drains no longer wait for it.
func (p *Picker) Close() {
	k := p.subscription.core
	k.mu.Lock()
	delete(k.pickers, p)
	k.mu.Unlock()
	p.subscription.watcher.nudgeAcks(k)
}
