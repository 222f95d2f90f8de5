package muster

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/defaults"
)

// watcher is what a client watches, seen from its users: the table that the
// goroutines of its lanes bring about.
type watcher struct {
	client *Client
	clock  clientClock

	// mu guards what follows, and the cores of the lanes. A core's mu may be
	// taken inside of it.
	mu      sync.Mutex
	closed  bool
	cores   map[string]*core
	lastID  uint32
	failure *Error
	// lanes are filled in order; each takes perStream cores.
	lanes     []*watchLane
	perStream int
}

func newWatcher(c *Client) *watcher {
	return &watcher{
		client:    c,
		clock:     clientClock{time.Now()},
		cores:     make(map[string]*core),
		perStream: defaults.SubscriptionsPerStream,
	}
}

// subscribe adds a handle of a selector's core.
func (w *watcher) subscribe(selector Selector) (*core, *Error) {
	key := selector.key()
	stored := w.stored(key)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, closedError("client")
	}
	k := w.cores[key]
	if k == nil {
		k = newCore(w.lastID+1, selector, w.client)
		if stored != nil && k.fixed == nil {
			k.begin(stored)
		}
		if k.asked != nil {
			lane := w.roomLocked(0)
			if lane == nil {
				return nil, w.fullLocked(selector)
			}
			w.placeLocked(k, lane)
		}
		w.lastID++
		w.cores[key] = k
	}
	k.handles++
	return k, nil
}

// roomLocked is the first lane that takes one more core; nil without one. A lane
// that is begun for it takes no lower epoch than this one.
func (w *watcher) roomLocked(epoch uint64) *watchLane {
	for _, lane := range w.lanes {
		if len(lane.cores) < w.perStream {
			return lane
		}
	}
	if len(w.lanes) == defaults.WatchStreams {
		return nil
	}
	lane := newWatchLane(w, epoch)
	w.lanes = append(w.lanes, lane)
	w.client.start(lane.run)
	if len(w.lanes) == 1 && w.client.config.Observer != nil {
		w.client.start(func() { w.watchFreshness(w.client.ctx) })
	}
	return lane
}

func (w *watcher) placeLocked(k *core, lane *watchLane) {
	k.lane = lane
	lane.cores[k] = struct{}{}
	lane.changedLocked()
}

func (w *watcher) dropLocked(k *core) {
	if w.cores[k.key] != k {
		return
	}
	delete(w.cores, k.key)
	if k.lane != nil {
		delete(k.lane.cores, k)
		k.lane.changedLocked()
	}
}

func (w *watcher) fullLocked(selector Selector) *Error {
	return newError(ReasonLimitExceeded, codes.ResourceExhausted, "subscribe", selector.String(),
		textTooManySelectors(selector.String(), len(w.cores), defaults.WatchStreams, w.perStream))
}

// limit takes what a server says that one stream may carry. The lane of the
// caller, its goroutine, gives what is more to other lanes; what fits nowhere
// ends.
func (w *watcher) limit(from *watchLane, perStream int) {
	if perStream <= 0 {
		return
	}
	w.mu.Lock()
	w.perStream = min(perStream, defaults.SubscriptionsPerStream)
	var ended []*core
	if len(from.cores) > w.perStream {
		for _, k := range sorted(maps.Keys(from.cores))[w.perStream:] {
			if lane := w.roomLocked(from.epoch); lane != nil {
				delete(from.cores, k)
				from.changedLocked()
				w.placeLocked(k, lane)
				continue
			}
			ended = append(ended, k)
		}
	}
	w.mu.Unlock()
	for _, k := range ended {
		w.mu.Lock()
		err := w.fullLocked(k.selector)
		w.mu.Unlock()
		w.refuse(k, err)
	}
}

// stored is what the disk has of a selector that is not watched yet.
func (w *watcher) stored(key string) *diskView {
	w.mu.Lock()
	watched := w.cores[key] != nil
	w.mu.Unlock()
	if watched {
		return nil
	}
	return w.client.cache.load(key)
}

// viewOf is the newest view that the registry gave of a selector that is
// watched; nil without.
func (w *watcher) viewOf(key string) *View {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.cores[key]; k != nil && k.asked != nil && k.view.Load().received {
		return k.view.Load()
	}
	return nil
}

// unsubscribe takes a handle away, and with the last one the core.
func (w *watcher) unsubscribe(k *core) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k.handles--; k.handles == 0 {
		w.dropLocked(k)
	}
}

// refuse ends a core for good.
func (w *watcher) refuse(k *core, err *Error) {
	w.mu.Lock()
	w.dropLocked(k)
	w.mu.Unlock()
	w.client.config.Logger.Error(err.text(), "selector", k.selector.String())
	k.end(err)
}

// close ends all subscriptions; the lanes then have nothing left to do.
func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	all := w.cores
	w.cores = make(map[string]*core)
	for _, lane := range w.lanes {
		clear(lane.cores)
		lane.changedLocked()
	}
	w.mu.Unlock()
	for _, k := range all {
		k.end(closedError("client"))
	}
}

// nudgeAcks makes acknowledgements of a core be looked at again.
func (w *watcher) nudgeAcks(k *core) {
	w.mu.Lock()
	lane := k.lane
	w.mu.Unlock()
	if lane != nil {
		lane.acks.nudge()
	}
}

func (w *watcher) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.cores)
}

// lastError is why there is no stream; nil if there is one.
func (w *watcher) lastError() *Error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

func (w *watcher) setFailure(err *Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failure = err
}

// wanted are all cores, oldest first.
func (w *watcher) wanted() []*core {
	w.mu.Lock()
	defer w.mu.Unlock()
	return sorted(maps.Values(w.cores))
}

func sorted(cores iter.Seq[*core]) []*core {
	return slices.SortedFunc(cores, func(a, b *core) int { return cmp.Compare(a.id, b.id) })
}
