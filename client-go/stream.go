package muster

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// updateWatchBatch is how many subscriptions one UpdateWatch adds at most.
const updateWatchBatch = 100

// streamEnd is why a stream is served no longer.
type streamEnd int

const (
	// streamBroken: by an error, or because nothing is subscribed.
	streamBroken streamEnd = iota
	// streamHandover: another one should be opened, and this one left then.
	streamHandover
)

// watchStream is one open Watch stream. The watcher's goroutine owns it; its
// own goroutines only read, acknowledge and make one UpdateWatch call.
type watchStream struct {
	watcher *watcher
	server  *server
	ctx     context.Context
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	// frames has no room: a client that is slow is told less, not later.
	frames chan *musterv1.WatchResponse
	failed chan error
	// updated has room for the result of the one call that is under way.
	updated  chan watchUpdate
	updating bool

	first *musterv1.Opened
	id    string
	// requested are the cores that were asked for on this stream, by id.
	requested map[uint32]*core
	// resumed tells which of the first of them were asked for with a position.
	resumed map[uint32]bool
	// views are the cores by the view whose frames they get.
	views    map[uint64][]*core
	clock    streamClock
	began    time.Time
	messages int
	isolated bool

	idleAt, handoverAt time.Time
}

// watchUpdate is the result of an UpdateWatch call.
type watchUpdate struct {
	added []*core
	err   *Error
}

func newWatchStream(ctx context.Context, w *watcher, s *server, cores []*core) *watchStream {
	stream := &watchStream{
		watcher: w, server: s,
		frames:    make(chan *musterv1.WatchResponse),
		failed:    make(chan error, 1),
		updated:   make(chan watchUpdate, 1),
		requested: make(map[uint32]*core, len(cores)),
		resumed:   make(map[uint32]bool, len(cores)),
		views:     make(map[uint64][]*core),
		began:     time.Now(),
	}
	stream.ctx, stream.cancel = context.WithCancel(ctx)
	for _, k := range cores {
		stream.requested[k.id] = k
	}
	return stream
}

// open sends the request and waits for Opened.
func (s *watchStream) open(request *musterv1.WatchRequest) (*musterv1.Opened, *Error) {
	stream, err := s.server.discovery().Watch(s.ctx, request)
	if err != nil {
		return nil, s.error(err)
	}
	s.watcher.client.stats.watchStreams.Add(1)
	for _, sub := range request.GetSubscriptions() {
		s.resumed[sub.GetSubscriptionId()] = sub.GetResume() != nil
	}
	s.tasks.Go(func() { s.read(stream) })
	timer := time.NewTimer(callTimeout)
	defer timer.Stop()
	select {
	case frame := <-s.frames:
		if opened := frame.GetOpened(); opened != nil {
			return opened, nil
		}
		return nil, violationError(s.server.address, "the first frame is not Opened")
	case err := <-s.failed:
		return nil, s.error(err)
	case <-timer.C:
		return nil, s.quiet(callTimeout)
	}
}

func (s *watchStream) read(stream musterv1.DiscoveryService_WatchClient) {
	for {
		frame, err := stream.Recv()
		if err != nil {
			s.failed <- err
			return
		}
		select {
		case s.frames <- frame:
		case <-s.ctx.Done():
			s.failed <- s.ctx.Err()
			return
		}
	}
}

// takeOver makes this the stream that the cores follow.
func (s *watchStream) takeOver() {
	s.watcher.acks.reset()
	for id, k := range s.requested {
		k.frames.beginStream(s.resumed[id])
	}
	s.id = s.first.GetStreamId()
	s.opened(s.first)
	s.stay()
	s.idleAt = time.Now().Add(idleStreamTimeout)
	s.tasks.Go(func() { s.watcher.acks.run(s.ctx, s.server, s.id) })
}

// stay puts off leaving the stream by choice: for about an hour, or if its
// server is isolated until the next look for another.
func (s *watchStream) stay() {
	wait := streamLifetime*4/5 + spread(streamLifetime*2/5, s.watcher.client.config.words())
	if s.isolated && len(s.watcher.client.servers.list) > 1 {
		wait = isolatedRetry
	}
	s.handoverAt = time.Now().Add(wait)
}

// close ends the stream and joins its goroutines.
func (s *watchStream) close() {
	s.cancel()
	s.tasks.Wait()
}

// run serves the stream until it breaks, should be left, or is not needed.
func (s *watchStream) run() (streamEnd, *Error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s.syncSubscriptions()
		if s.watcher.count() == 0 {
			return streamBroken, nil
		}
		timer.Reset(time.Until(s.nextDeadline()))
		select {
		case frame := <-s.frames:
			if err := s.take(frame); err != nil {
				return streamBroken, err
			}
		case err := <-s.failed:
			s.watcher.client.servers.failed(s.server)
			return streamBroken, s.error(err)
		case result := <-s.updated:
			if err := s.tookUpdate(result); err != nil {
				return streamBroken, err
			}
		case <-s.watcher.wake:
		case <-timer.C:
			if end, err, over := s.deadlinePassed(time.Now()); over {
				return end, err
			}
		}
	}
}

// nextDeadline is when deadlinePassed has something to say.
func (s *watchStream) nextDeadline() time.Time {
	next := s.idleAt
	if s.handoverAt.Before(next) {
		next = s.handoverAt
	}
	for _, k := range s.requested {
		if !k.retryAfter.IsZero() && k.retryAfter.Before(next) {
			next = k.retryAfter
		}
	}
	return next
}

func (s *watchStream) deadlinePassed(now time.Time) (end streamEnd, err *Error, over bool) {
	if !now.Before(s.idleAt) {
		s.watcher.client.servers.failed(s.server)
		return streamBroken, s.quiet(idleStreamTimeout), true
	}
	for _, k := range s.requested {
		if !k.retryAfter.IsZero() && !now.Before(k.retryAfter) {
			k.retryAfter = time.Time{}
			return streamBroken, nil, true // reopened without position
		}
	}
	return streamHandover, nil, !now.Before(s.handoverAt)
}

// take applies one frame.
func (s *watchStream) take(frame *musterv1.WatchResponse) *Error {
	now := time.Now()
	s.messages++
	s.idleAt = now.Add(idleStreamTimeout)
	s.watcher.lastGood = now
	if s.messages == 1 {
		s.watcher.setFailure(nil)
	}
	switch f := frame.GetFrame().(type) {
	case *musterv1.WatchResponse_Opened:
		s.opened(f.Opened)
		return nil
	case *musterv1.WatchResponse_Snapshot:
		return s.dispatch(f.Snapshot.GetHeader(), func(k *core) (applied, *frameError) {
			return k.frames.snapshot(f.Snapshot, k.forbidden, s.watcher.clock.nowMs())
		})
	case *musterv1.WatchResponse_Delta:
		return s.dispatch(f.Delta.GetHeader(), func(k *core) (applied, *frameError) {
			return k.frames.delta(f.Delta, k.forbidden, s.watcher.clock.nowMs())
		})
	case *musterv1.WatchResponse_Progress:
		return s.dispatch(f.Progress.GetHeader(), func(k *core) (applied, *frameError) {
			return k.frames.progress(f.Progress)
		})
	default:
		return nil // a kind of frame that this client does not know
	}
}

// opened takes answers to subscriptions.
func (s *watchStream) opened(o *musterv1.Opened) {
	for _, answer := range o.GetSubscriptions() {
		k := s.requested[answer.GetSubscriptionId()]
		if k == nil {
			continue // removed meanwhile
		}
		s.leaveViews(k)
		if r := answer.GetRefusal(); r != nil {
			delete(s.requested, k.id)
			s.watcher.refuse(k, refusedError(k, s.server.address, r))
			continue
		}
		k.forbidden = serviceNamesFrom(answer.GetForbidden())
		k.frames.stage = nil
		s.views[answer.GetViewId()] = append(s.views[answer.GetViewId()], k)
	}
}

// leaveViews takes a core off the views whose frames it got.
func (s *watchStream) leaveViews(k *core) {
	for id, cores := range s.views {
		cores = slices.DeleteFunc(cores, func(c *core) bool { return c == k })
		s.views[id] = cores
		if len(cores) == 0 {
			delete(s.views, id)
		}
	}
}

// dispatch applies a frame to the cores of its view. Frames of views that were
// not opened are ignored: they were under way before.
func (s *watchStream) dispatch(h *musterv1.ViewHeader, apply func(*core) (applied, *frameError)) *Error {
	cores := s.views[h.GetViewId()]
	if len(cores) == 0 {
		return nil
	}
	s.watcher.epoch = max(s.watcher.epoch, h.GetEpoch())
	timing := s.clock.frame(s.watcher.clock.nowMs(), h.GetServerUptimeMs(), h.GetDataAgeMs())
	var broken *Error
	complete := true
	for _, k := range cores {
		done, err := apply(k)
		switch {
		case err != nil:
			broken = s.broken(k, err)
		case done.staged:
			complete = false
		default:
			s.publish(k, h, done, timing)
		}
	}
	if complete && broken == nil && h.GetAckRequest() != nil {
		at := Position{h.GetEpoch(), h.GetRevision()}
		s.watcher.acks.want(h.GetViewId(), at, h.GetAckRequest().GetAckSpreadMs(), cores)
	}
	if complete {
		s.noteIsolated(isolated(h))
	}
	return broken
}

// broken notes that a frame did not fit. The view stays as it is; one whose
// digest did not match counts as stale until it is replaced.
func (s *watchStream) broken(k *core, err *frameError) *Error {
	if err.fault == faultMismatch {
		s.watcher.client.stats.digestMismatches.Add(1)
		k.frames.distrust()
		k.publish(func(v *View) { v.distrusted = true })
	}
	if err.fault != faultGap {
		s.watcher.client.servers.failed(s.server)
	}
	return violationError(s.server.address, err.text+" ("+k.selector.String()+")")
}

// publish makes a core's view of what its frames hold now.
func (s *watchStream) publish(k *core, h *musterv1.ViewHeader, done applied, timing frameTiming) {
	f := &k.frames
	stats := &s.watcher.client.stats
	if done.cause == SnapshotHistoryLost {
		stats.historiesLost.Add(1)
	}
	switch {
	case !f.unverified:
		k.retryAfter, k.retryDelay = time.Time{}, 0
	case done.cause != 0:
		stats.unverifiedViews.Add(1)
		k.retryDelay = min(max(2*k.retryDelay, unverifiedRetry), unverifiedRetryCap)
		k.retryAfter = time.Now().Add(k.retryDelay)
	}
	k.publish(func(v *View) {
		v.received, v.timing, v.source = true, timing, SourceRegistry
		v.position, v.viewID, v.digest, v.count = f.position, f.viewID, f.set.digest, f.set.count()
		v.instances, v.services, v.forbidden = f.instances(), f.set.services, k.forbidden
		v.recovering, v.isolated = recovering(h), isolated(h)
		v.unverified, v.distrusted = f.unverified, false
		if done.cause != 0 {
			v.snapshots++
			v.cause = done.cause
		}
		v.removals = remember(v.removals, done.gone, f.position)
	})
}

// noteIsolated makes the stream be left soon if its server cannot reach its
// store and there are others.
func (s *watchStream) noteIsolated(now bool) {
	if now == s.isolated {
		return
	}
	s.isolated = now
	s.stay()
	if now && len(s.watcher.client.servers.list) > 1 {
		s.handoverAt = time.Now()
	}
}

// syncSubscriptions brings the stream to what is wanted, by one UpdateWatch at
// a time.
func (s *watchStream) syncSubscriptions() {
	if s.updating {
		return
	}
	request := &musterv1.UpdateWatchRequest{StreamId: s.id}
	wanted := s.watcher.wanted()
	for id, k := range s.requested {
		if !slices.Contains(wanted, k) {
			request.Remove = append(request.Remove, id)
			delete(s.requested, id)
			s.leaveViews(k)
		}
	}
	batch := updateWatchBatch
	if s.watcher.oneByOne {
		batch = 1
	}
	var added []*core
	for _, k := range wanted {
		if s.requested[k.id] == nil && len(added) < batch {
			added = append(added, k)
			add := s.watcher.subscription(k)
			k.frames.beginStream(add.GetResume() != nil)
			s.requested[k.id] = k
			request.Add = append(request.Add, add)
		}
	}
	if len(request.GetAdd())+len(request.GetRemove()) == 0 {
		return
	}
	s.updating = true
	s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, callTimeout)
		defer cancel()
		result := watchUpdate{added: added}
		if _, err := s.server.discovery().UpdateWatch(ctx, request); err != nil {
			result.err = s.error(err)
		}
		s.updated <- result
	})
}

// tookUpdate handles the result of UpdateWatch. An error that the server means
// for one subscription ends that one; any other reopens the stream.
func (s *watchStream) tookUpdate(result watchUpdate) *Error {
	s.updating = false
	switch {
	case result.err == nil:
		return nil
	case !refusal(result.err) || len(result.added) == 0:
		return result.err
	case len(result.added) > 1:
		s.watcher.oneByOne = true
	default:
		s.watcher.refuse(result.added[0], result.err)
	}
	for _, k := range result.added {
		delete(s.requested, k.id)
	}
	return nil
}

func (s *watchStream) error(err error) *Error {
	return fromStatus(s.watcher.client.ctx, err, "watch", "", s.server.address)
}

func (s *watchStream) quiet(after time.Duration) *Error {
	e := newError(ReasonDeadline, codes.DeadlineExceeded, "watch", "", textQuietStream(s.server.address, after))
	e.Server = s.server.address
	return e
}

// lostStream tells readers that the view comes from memory now.
func (k *core) lostStream() {
	if k.view.Load().source != SourceMemory {
		k.publish(func(v *View) { v.source = SourceMemory })
	}
}

func refusedError(k *core, address string, r *musterv1.Refusal) *Error {
	reason := reasonOf(r.GetReason())
	e := newError(reason, codeOf(reason), "watch", k.selector.String(),
		textServerError("watch", k.selector.String(), address, r.GetMessage()))
	e.Server = address
	return e
}
