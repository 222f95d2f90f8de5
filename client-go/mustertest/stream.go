package mustertest

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// stream is the registry's side of one Watch.
type stream struct {
	id     string
	caller caller
	// adding and removing are what UpdateWatch asked for since the last frames.
	adding   []subscription
	removing []uint32
	// watchers are its views, in the order in which they began.
	watchers []*watcher
	// over is closed when the registry ends the stream.
	over chan struct{}
}

// subscription is one that a client asked for.
type subscription struct {
	id     uint32
	sel    *selection
	resume *musterv1.KnownView
}

// watcher is one view on one stream.
type watcher struct {
	stream *stream
	sel    *selection
	// subscriptions that share its frames.
	subscriptions []uint32
	// pending is how it is to begin; nil once it has.
	pending *decision
	// cursor, digest, count and recovering are those of the last frame.
	cursor, digest, count uint64
	recovering            bool
	// progressAt is when silence has lasted long enough.
	progressAt time.Time
	holding
}

// Watch implements the contract.
func (r discovery) Watch(req *musterv1.WatchRequest, send grpc.ServerStreamingServer[musterv1.WatchResponse]) error {
	if id := req.GetClusterId(); id != "" && id != clusterID {
		return refuse(musterv1.ErrorReason_ERROR_REASON_WRONG_CLUSTER,
			"this server belongs to cluster "+clusterID+", not to "+id, "cluster_id", clusterID)
	}
	if len(req.GetSubscriptions()) == 0 {
		return invalid("subscriptions: must hold at least one subscription")
	}
	s := &stream{id: newLeaseID(), caller: callerOf(send.Context()), over: make(chan struct{})}
	if err := r.ask(s, nil, req.GetSubscriptions()); err != nil {
		return err
	}
	defer r.closed(s)
	return r.feed(s, send)
}

// UpdateWatch implements the contract.
func (r discovery) UpdateWatch(_ context.Context, req *musterv1.UpdateWatchRequest) (*musterv1.UpdateWatchResponse, error) {
	s := r.streamOf(req.GetStreamId())
	if s == nil {
		return nil, streamUnknown()
	}
	if err := r.ask(s, req.GetRemove(), req.GetAdd()); err != nil {
		return nil, err
	}
	return &musterv1.UpdateWatchResponse{}, nil
}

// AckWatch implements the contract.
func (r discovery) AckWatch(_ context.Context, req *musterv1.AckWatchRequest) (*musterv1.AckWatchResponse, error) {
	s := r.streamOf(req.GetStreamId())
	if s == nil {
		return nil, streamUnknown()
	}
	r.acknowledge(s, req)
	return &musterv1.AckWatchResponse{}, nil
}

func streamUnknown() error {
	return refuse(musterv1.ErrorReason_ERROR_REASON_STREAM_UNKNOWN, "no such stream; reopen it")
}

func (r *Registry) streamOf(id string) *stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.streams[id]
}

// ask takes subscriptions for a stream, all or nothing.
func (r *Registry) ask(s *stream, remove []uint32, add []*musterv1.Subscription) error {
	if err := atMost("subscriptions_per_stream", maxSubscriptions, len(add)); err != nil {
		return err
	}
	var adding []subscription
	for _, sub := range add {
		sel, err := compile(sub.GetSelector())
		if err != nil {
			return err
		}
		adding = append(adding, subscription{sub.GetSubscriptionId(), sel, sub.GetResume()})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sub := range adding {
		if sub.resume.GetEpoch() > r.state.epoch {
			return refuse(musterv1.ErrorReason_ERROR_REASON_EPOCH_BEHIND,
				"a resume position is of a later epoch than this server serves; try another server",
				"epoch", strconv.FormatUint(r.state.epoch, 10))
		}
	}
	if err := atMost("subscriptions_per_stream", maxSubscriptions, s.countAfter(remove, adding)); err != nil {
		return err
	}
	s.removing = append(s.removing, remove...)
	s.adding = append(s.adding, adding...)
	r.streams[s.id] = s
	r.broadcast()
	return nil
}

// countAfter is how many subscriptions a change would leave.
func (s *stream) countAfter(remove []uint32, add []subscription) int {
	ids := map[uint32]bool{}
	for _, w := range s.watchers {
		for _, id := range w.subscriptions {
			ids[id] = true
		}
	}
	for _, sub := range slices.Concat(s.adding, add) {
		ids[sub.id] = true
	}
	for _, id := range slices.Concat(s.removing, remove) {
		delete(ids, id)
	}
	return len(ids)
}

// feed sends frames until the stream ends.
func (r *Registry) feed(s *stream, send grpc.ServerStreamingServer[musterv1.WatchResponse]) error {
	for {
		frames, due, changed := r.next(s)
		for _, frame := range frames {
			if err := send.Send(frame); err != nil {
				return err
			}
		}
		if len(frames) > 0 {
			r.sent(s)
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-changed:
		case <-timer.C:
		case <-s.over:
			timer.Stop()
			return refuse(musterv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN, "this server is stopping; go elsewhere")
		case <-send.Context().Done():
			timer.Stop()
			return send.Context().Err()
		}
		timer.Stop()
	}
}

// silence is after how long a Progress is due: 10 s ± 20 %.
func silence() time.Duration { return 8*time.Second + rand.N(4*time.Second) }

// next are the frames that bring a client up to date, when to look again at the
// latest, and what is closed if there is cause before.
func (r *Registry) next(s *stream) (frames []*musterv1.WatchResponse, due time.Time, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	due = now.Add(time.Hour)
	if r.streams[s.id] != s {
		return nil, due, r.changed // it is over
	}
	if opened := r.resubscribe(s, now); opened != nil {
		frames = append(frames, &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Opened{Opened: opened}})
	}
	for _, w := range s.watchers {
		frames = append(frames, r.frames(w, now)...)
		if w.progressAt.Before(due) {
			due = w.progressAt
		}
	}
	return frames, due, r.changed
}

// resubscribe does what UpdateWatch asked for, and answers it.
func (r *Registry) resubscribe(s *stream, now time.Time) *musterv1.Opened {
	var left []*watcher
	for _, id := range s.removing {
		left = append(left, s.unsubscribe(id)...)
	}
	var opened *musterv1.Opened
	if len(s.adding) > 0 {
		opened = &musterv1.Opened{StreamId: s.id, ClusterId: clusterID, Epoch: r.state.epoch, Limits: limits()}
	}
	for _, sub := range s.adding {
		left = append(left, s.unsubscribe(sub.id)...)
		r.subscribe(s, sub, now)
		opened.Subscriptions = append(opened.Subscriptions, &musterv1.OpenedSubscription{
			SubscriptionId: sub.id, ViewId: sub.sel.viewID,
		})
	}
	for _, w := range left {
		r.leftView(w, s.watcherOf(w.sel.viewID))
	}
	s.adding, s.removing = nil, nil
	return opened
}

func (s *stream) watcherOf(viewID uint64) *watcher {
	for _, w := range s.watchers {
		if w.sel.viewID == viewID {
			return w
		}
	}
	return nil
}

// unsubscribe ends a subscription, and gives the watcher if that was its last.
func (s *stream) unsubscribe(id uint32) (left []*watcher) {
	for _, w := range s.watchers {
		w.subscriptions = slices.DeleteFunc(w.subscriptions, func(other uint32) bool { return other == id })
		if len(w.subscriptions) == 0 {
			left = append(left, w)
		}
	}
	s.watchers = slices.DeleteFunc(s.watchers, func(w *watcher) bool { return len(w.subscriptions) == 0 })
	return left
}

// subscribe begins a subscription by the rules of resuming.
func (r *Registry) subscribe(s *stream, sub subscription, now time.Time) {
	digest, count := r.state.selected(sub.sel).digest()
	d := decideResume(present{
		epoch: r.state.epoch, revision: r.state.revision, viewID: sub.sel.viewID, digest: digest, count: count,
		logsFrom: r.state.floor, lastChange: r.state.lastChange(sub.sel),
	}, sub.resume)
	w := s.watcherOf(sub.sel.viewID)
	shared := w != nil
	if !shared {
		w = &watcher{stream: s, sel: sub.sel, progressAt: now.Add(silence())}
		s.watchers = append(s.watchers, w)
	}
	w.subscriptions = append(w.subscriptions, sub.id)
	if shared && (d.kind != kindProgress || w.pending != nil || sub.resume.GetRevision() != w.cursor) {
		// Both share frames, and a delta from the one's position is a gap to
		// the other: begin anew for both.
		d = decision{kindSnapshot, musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST}
	}
	w.pending = &d
	if d.kind != kindSnapshot {
		w.cursor = sub.resume.GetRevision()
	}
	w.resumed(sub.resume, d.kind)
	r.joinDrains(w, now)
}
