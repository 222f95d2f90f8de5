package muster

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/backoff"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// lowerEpochAfter is how long nothing but servers of a lower epoch must
	// have answered until one of them is accepted.
	lowerEpochAfter = 60 * time.Second
	// unverifiedRetry is after how long a view that was taken unverified is
	// asked for again; it doubles up to unverifiedRetryCap.
	unverifiedRetry    = 30 * time.Second
	unverifiedRetryCap = 10 * time.Minute
	// isolatedRetry is how often a client looks for a server that is not
	// isolated from its store.
	isolatedRetry = 10 * time.Second
)

// watcher keeps one stream open that carries all subscriptions of a client. Its
// goroutine runs from the first subscription on and is the only one who applies
// frames.
type watcher struct {
	client *Client
	clock  clientClock
	acks   *acks
	// wake has room for one: the set of subscriptions changed.
	wake chan struct{}

	// mu guards what follows. A core's mu may be taken inside of it.
	mu      sync.Mutex
	started bool
	closed  bool
	cores   map[string]*core
	lastID  uint32
	failure *Error

	// What follows is the goroutine's own.

	// epoch is the highest that was seen and not given up; lastGood is when a
	// server of it answered last.
	epoch    uint64
	lastGood time.Time
	// answered: a server opened a stream, so that epoch is not only from disk.
	answered bool
	retries  backoff.Backoff
	// oneByOne: a server refused several subscriptions together, so they are
	// asked for one by one to find the one that it means.
	oneByOne bool
}

func newWatcher(c *Client) *watcher {
	return &watcher{
		client: c,
		clock:  clientClock{time.Now()},
		acks:   newAcks(c),
		wake:   make(chan struct{}, 1),
		cores:  make(map[string]*core),
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
		w.lastID++
		k = newCore(w.lastID, selector, w.client)
		if stored != nil {
			k.begin(stored)
		}
		w.cores[key] = k
	}
	k.handles++
	if !w.started {
		w.started = true
		w.lastGood = time.Now()
		w.client.start(w.run)
		if w.client.config.Observer != nil {
			w.client.start(func() { w.watchFreshness(w.client.ctx) })
		}
	}
	w.nudge()
	return k, nil
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

// unsubscribe takes a handle away, and with the last one the core.
func (w *watcher) unsubscribe(k *core) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k.handles--
	if k.handles == 0 && w.cores[k.key] == k {
		delete(w.cores, k.key)
	}
	w.nudge()
}

// refuse ends a core for good.
func (w *watcher) refuse(k *core, err *Error) {
	w.mu.Lock()
	if w.cores[k.key] == k {
		delete(w.cores, k.key)
	}
	w.mu.Unlock()
	w.client.config.Logger.Error(err.text(), "selector", k.selector.String())
	k.end(err)
}

// close ends all subscriptions; the goroutine then has nothing left to do.
func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	all := w.cores
	w.cores = make(map[string]*core)
	w.mu.Unlock()
	for _, k := range all {
		k.end(closedError("client"))
	}
	w.nudge()
}

func (w *watcher) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
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

// wanted are the cores that a stream should carry, oldest first.
func (w *watcher) wanted() []*core {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]*core, 0, len(w.cores))
	for _, k := range w.cores {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b *core) int { return cmp.Compare(a.id, b.id) })
	return list
}

// waitForCores is false once the watcher is to end.
func (w *watcher) waitForCores(ctx context.Context) bool {
	for {
		w.mu.Lock()
		closed, count := w.closed, len(w.cores)
		w.mu.Unlock()
		if closed || ctx.Err() != nil {
			return false
		}
		if count > 0 {
			return true
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
		}
	}
}

// run opens one stream after the other for as long as there are subscriptions.
func (w *watcher) run() {
	ctx := w.client.ctx
	for w.waitForCores(ctx) {
		s, err := w.open(ctx, nil)
		if s != nil {
			err = w.follow(ctx, s)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		w.setFailure(err)
		w.client.config.Logger.Warn(textBroken("watch", err))
		for _, k := range w.wanted() {
			k.lostStream()
		}
		if !w.pause(ctx, max(err.RetryAfter, w.retries.Next(backoff.EndpointCap, w.client.config.words()))) {
			return
		}
	}
}

// pause waits, but not for subscriptions that nobody wants any more.
func (w *watcher) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for w.count() > 0 {
		select {
		case <-timer.C:
			return true
		case <-w.wake:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// follow serves a stream, and its successors when it is left by choice, to the
// end. The successor is opened before the stream is left, so that nobody goes
// unwatched in between.
func (w *watcher) follow(ctx context.Context, s *watchStream) *Error {
	for {
		next, err := s.run() //nolint:contextcheck // the stream's own context is made of ctx
		if next != streamHandover {
			s.close(err)
			w.retries.StreamEnded(s.messages > 0, time.Since(s.began))
			return err
		}
		successor, err := w.open(ctx, s.server)
		switch {
		case err != nil, successor == nil:
			s.stay()
		case s.isolated && successor.server == s.server:
			successor.close(nil)
			s.stay()
		default:
			s.close(nil)
			s = successor
			s.takeOver()
		}
	}
}

// open opens a stream and waits for its first frame. There is neither stream
// nor error if the subscriptions should be looked at again.
func (w *watcher) open(ctx context.Context, avoid *server) (*watchStream, *Error) {
	chosen, err := w.client.servers.acquire(ctx, avoid)
	if err != nil {
		return nil, err
	}
	cores := w.wanted()
	if len(cores) == 0 {
		return nil, nil
	}
	if w.oneByOne {
		cores = cores[:1]
	}
	s := newWatchStream(ctx, w, chosen, cores)
	opened, err := s.open(w.request(cores))
	if err == nil {
		err = w.checkEpoch(chosen, opened)
	}
	if err != nil {
		s.close(err)
		return nil, w.notOpened(chosen, cores, err)
	}
	s.first = opened
	if avoid == nil {
		s.takeOver()
	}
	return s, nil
}

// request asks for cores, each from its own position.
func (w *watcher) request(cores []*core) *musterv1.WatchRequest {
	_, clusterID, _ := w.client.servers.status()
	request := &musterv1.WatchRequest{ClusterId: clusterID}
	for _, k := range cores {
		request.Subscriptions = append(request.Subscriptions, w.subscription(k))
	}
	return request
}

func (w *watcher) subscription(k *core) *musterv1.Subscription {
	w.checkDisk(k)
	s := &musterv1.Subscription{SubscriptionId: k.id, Selector: k.selector.proto(), Resume: k.frames.known()}
	if w.acceptsLower() && k.frames.position.Epoch == w.epoch {
		s.Resume = nil // a server of a lower epoch would refuse it
	}
	return s
}

// checkDisk decides whether a position from disk is continued: not if it is of
// another cluster, or of an epoch above that of a server that serves us.
func (w *watcher) checkDisk(k *core) {
	if k.diskCluster == nil {
		return
	}
	_, clusterID, _ := w.client.servers.status()
	same := *k.diskCluster == clusterID
	k.diskCluster = nil
	switch epoch := k.frames.position.Epoch; {
	case !same, w.answered && epoch > w.epoch:
		k.frames = frameState{}
	default:
		w.epoch = max(w.epoch, epoch)
	}
}

// acceptsLower tells whether a lower epoch is better than nothing by now.
func (w *watcher) acceptsLower() bool {
	return w.epoch > 0 && time.Since(w.lastGood) >= lowerEpochAfter
}

// checkEpoch refuses servers of an older history than was seen.
func (w *watcher) checkEpoch(s *server, opened *musterv1.Opened) *Error {
	if err := w.client.servers.checkCluster(s.address, opened.GetClusterId()); err != nil {
		return err
	}
	epoch := opened.GetEpoch()
	if epoch < w.epoch {
		if !w.acceptsLower() {
			return epochBehindError(s.address, epoch, w.epoch)
		}
		w.client.config.telemetry.observe(EpochRegressed{s.address, w.epoch, epoch})
		w.client.config.Logger.Error(textEpochBehind(s.address, epoch, w.epoch) + "; accepted, nothing else answers")
	}
	w.epoch = epoch
	w.answered = true
	w.lastGood = time.Now()
	return nil
}

// notOpened decides what a refused stream means: for a single subscription its
// end, for several that they are asked for one by one.
func (w *watcher) notOpened(s *server, cores []*core, err *Error) *Error {
	switch {
	case !refusal(err):
		w.client.servers.blame(s, err)
		return err
	case len(cores) > 1:
		w.oneByOne = true
	default:
		w.refuse(cores[0], err)
	}
	return nil
}

// refusal tells whether an error means the subscription and not the server.
func refusal(err *Error) bool {
	switch err.Reason {
	case ReasonInvalidArgument, ReasonLimitExceeded, ReasonForbidden, ReasonFeatureNotServed:
		return true
	default:
		return false
	}
}

func epochBehindError(address string, got, want uint64) *Error {
	e := newError(ReasonEpochBehind, codes.Unavailable, "watch", "", textEpochBehind(address, got, want))
	e.Server = address
	return e
}

func violationError(address, what string) *Error {
	e := newError(ReasonProtocolViolation, codes.Internal, "watch", "", textViolation(address, what))
	e.Server = address
	return e
}
