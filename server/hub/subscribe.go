package hub

import (
	"slices"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Change ends subscriptions and begins others, all or nothing, and answers the
// new ones with an Opened frame. Unknown ids to remove are ignored; an id that
// is in use is given up first. The caller has made sure that the view is
// current if a resume position is ahead of it. The error is ErrEnded,
// ErrEpochBehind or a TooManyError, and then nothing was changed.
func (s *Stream) Change(remove []uint32, add []Request, now time.Time) error {
	return s.change(remove, add, s.hub.addUp(add, s.client.AccessClass), now)
}

func (s *Stream) change(remove []uint32, add []Request, totals []total, now time.Time) error {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.closed || s.err != nil {
		return ErrEnded
	}
	for _, r := range add {
		if r.Resume.GetEpoch() > h.view.Epoch {
			return ErrEpochBehind
		}
	}
	if n := s.countAfter(remove, add); n > int(h.opts.Limits.GetSubscriptionsPerStream()) {
		return &TooManyError{Subscriptions: n}
	}
	var gone []*watcher
	for _, id := range remove {
		gone = s.unsubscribe(id, gone)
	}
	for i, r := range add {
		gone = s.unsubscribe(r.ID, gone)
		s.answer(r, totals[i], now)
	}
	for _, w := range gone {
		h.unsubscribed(w, s.watchers[w.group.viewID])
	}
	if len(add) > 0 {
		h.offer(s)
	}
	return nil
}

// countAfter is how many subscriptions a change would leave.
func (s *Stream) countAfter(remove []uint32, add []Request) int {
	after := make(map[uint32]bool, len(s.subs)+len(add))
	for id := range s.subs {
		after[id] = true
	}
	for _, id := range remove {
		delete(after, id)
	}
	for _, r := range add {
		after[r.ID] = true
	}
	return len(after)
}

// answer begins one subscription and says so in Opened. There is one Opened at
// a time: a client that does not read gets one answer for all that it did.
func (s *Stream) answer(r Request, t total, now time.Time) {
	h := s.hub
	if s.opened == nil {
		s.opened = &musterv1.Opened{
			StreamId: s.ID, ClusterId: h.opts.ClusterID, Epoch: h.view.Epoch, Limits: h.opts.Limits,
		}
	}
	o := &musterv1.OpenedSubscription{SubscriptionId: r.ID, Refusal: r.Refusal}
	if r.Refusal == nil {
		o.ViewId = s.subscribe(r, t, now)
	}
	s.opened.Subscriptions = append(s.opened.Subscriptions, o)
}

func (s *Stream) subscribe(r Request, t total, now time.Time) (viewID uint64) {
	h := s.hub
	g := h.groupOf(r.Selector, s.client.AccessClass, t)
	w := s.watchers[g.viewID]
	shared := w != nil
	if !shared {
		w = &watcher{stream: s, group: g, silence: silence()}
		s.watchers[g.viewID] = w
		g.join(w)
	}
	w.subs++
	s.subs[r.ID] = w
	s.begin(w, shared, h.decide(g, r.Resume), r.Resume)
	w.progressAt = now.Add(w.silence)
	s.enqueue(w)
	h.joinDrains(w, now)
	return g.viewID
}

// begin puts a watcher where a subscription is to begin.
func (s *Stream) begin(w *watcher, shared bool, d decision, resume *musterv1.KnownView) {
	if d.cause == musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_LOST {
		s.hub.stats.HistoryLost++
	}
	if shared && (d.kind != progressUpdate || resume.GetRevision() != w.cursor || w.pendingSnapshot()) {
		// Two subscriptions share this cursor, and a delta that starts from
		// the one's position is a gap to the other: begin anew for both.
		d = decision{kind: snapshotUpdate, cause: musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST}
	}
	switch {
	case d.kind == snapshotUpdate:
		w.base = 0 // what it holds until then is its own affair
	case !shared:
		w.base = resume.GetRevision()
	}
	if resume != nil {
		w.held, w.acked = true, min(w.acked, resume.GetRevision())
	}
	w.pending = &d
	if d.kind != snapshotUpdate {
		w.cursor = resume.GetRevision()
	}
	w.upTo = 0
	if d.same {
		w.upTo = s.hub.view.Revision
	}
}

// pendingSnapshot tells that the client is to get the whole set, and has not.
func (w *watcher) pendingSnapshot() bool { return w.pending != nil && w.pending.kind == snapshotUpdate }

func (h *Hub) decide(g *group, r *musterv1.KnownView) decision {
	return decideResume(resumeState{
		epoch: h.view.Epoch, revision: h.view.Revision, viewID: g.viewID, digest: g.digest, count: g.count,
		reaches: r.GetRevision() <= h.view.Revision && g.reaches(h.history, r.GetRevision()),
		changed: g.changed,
	}, r)
}

// unsubscribe ends a subscription, and appends the watcher to gone if that was
// its last one.
func (s *Stream) unsubscribe(id uint32, gone []*watcher) []*watcher {
	if s.opened != nil {
		s.opened.Subscriptions = slices.DeleteFunc(s.opened.Subscriptions, func(o *musterv1.OpenedSubscription) bool {
			return o.GetSubscriptionId() == id
		})
	}
	w := s.subs[id]
	if w == nil {
		return gone
	}
	delete(s.subs, id)
	if w.subs--; w.subs > 0 {
		return gone
	}
	delete(s.watchers, w.group.viewID)
	s.hub.leaveGroup(w)
	if w.queued {
		w.queued = false
		s.ready = slices.DeleteFunc(s.ready, func(r *watcher) bool { return r == w })
	}
	return append(gone, w)
}
