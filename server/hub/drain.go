package hub

import (
	"errors"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/view"
)

const (
	// disconnectGrace is how long a drain waits for watchers that went away:
	// their clients may still pick from their last view.
	disconnectGrace = 5 * time.Second
	// maxEnded bounds how many ended watchers are remembered for that.
	maxEnded = 1 << 16
	// forgetAfter is for how long the barrier of an instance that is gone is
	// kept at most: no call waits longer.
	forgetAfter = 10 * time.Minute
	// maxBehind is how many watchers a report names.
	maxBehind = 20
)

// ErrDrainCancelled ends a drain whose instance went back to serving.
var ErrDrainCancelled = errors.New("the instance was set back to SERVING while it drained")

// drain is one instance's barrier: who may still pick it.
type drain struct {
	revision uint64
	waiting  map[*watcher]struct{}
	gone     []time.Time // until when watchers that went away are waited for
	unknown  time.Time   // until when watchers from before the server's start are
	report   DrainReport
	err      error
	removed  time.Time     // when the instance went; zero while it is there
	changed  chan struct{} // closed and replaced when anything changes
}

// endedWatcher is a watcher whose stream ended a short while ago.
type endedWatcher struct {
	w     *watcher
	until time.Time
}

// DrainReport is how a drain stands.
type DrainReport struct {
	Revision                                       uint64
	Confirmed, Behind, Unconfirmable, Disconnected int
	BehindWatchers                                 []*musterv1.DrainWatcher
	// Complete tells that nobody is waited for.
	Complete bool
	// Next is when waiting for those who went away ends for the first of
	// them; zero if there is none.
	Next time.Time
	// Changed is closed when the report is out of date.
	Changed <-chan struct{}
}

func ackSpread(streams int) uint32 {
	if streams < 100 {
		return 0
	}
	return uint32(min(streams/20, 1000))
}

// applyDrain begins a barrier when an instance turns DRAINING, and ends it
// when it turns back. It runs before the groups take the change.
func (h *Hub) applyDrain(c *view.Change, now time.Time) {
	if !c.Instance {
		return
	}
	name := record.InstanceName{ServiceName: c.Service, ID: c.ID}
	d := h.drains[name]
	was, is := draining(c.Before), draining(c.After)
	switch {
	case is && !was:
		h.forgetDrains(now)
		h.drains[name] = h.beginDrain(name, c.Revision, now)
	case was && !is && c.After != nil && d != nil:
		d.err = ErrDrainCancelled
		d.signal()
		delete(h.drains, name)
	case c.After == nil && d != nil:
		// It is gone, but watchers that were not told yet still pick it: the
		// barrier stands until they have passed.
		d.removed = now
		h.forgetDrains(now)
	}
}

// forgetDrains drops barriers of instances that are gone, once nobody is
// waited for or nobody can be waiting.
func (h *Hub) forgetDrains(now time.Time) {
	for name, d := range h.drains {
		if !d.removed.IsZero() && (len(d.waiting) == 0 && now.Sub(d.removed) > disconnectGrace || now.Sub(d.removed) > forgetAfter) {
			delete(h.drains, name)
		}
	}
}

func draining(in *view.Instance) bool {
	return in != nil && in.Lifecycle == musterv1.Lifecycle_LIFECYCLE_DRAINING
}

// beginDrain lists who may hold the instance and asks them to acknowledge.
func (h *Hub) beginDrain(name record.InstanceName, revision uint64, now time.Time) *drain {
	d := &drain{revision: revision, waiting: map[*watcher]struct{}{}, changed: make(chan struct{})}
	for _, s := range h.streams {
		for _, w := range s.watchers {
			if w.acked < revision && h.mayHold(w, name) {
				d.waiting[w] = struct{}{}
				w.wantAck = true
				s.enqueue(w)
			}
		}
	}
	h.pruneEnded(now)
	for _, e := range h.ended {
		if h.mayHold(e.w, name) {
			d.gone = append(d.gone, e.until)
		}
	}
	// Before the server started there may have been watchers of which it
	// knows nothing.
	d.unknown = h.opts.Started.Add(disconnectGrace)
	return d
}

// mayHold tells whether the client behind a watcher may hold the instance as
// pickable. What was sent may still be unread, so the question is not what the
// client was last told, but whether any set that it was told of, since the
// last one that it surely has, had the instance.
func (h *Hub) mayHold(w *watcher, name record.InstanceName) bool {
	g := w.group
	if !w.held || !g.matches(name.ServiceName) {
		return false
	}
	l := h.history.logs[name.ServiceName]
	if w.pending != nil && w.pending.kind == snapshotUpdate || l == nil || l.floor > w.base {
		return true // what it holds is not known exactly
	}
	pickable := func(in *view.Instance) bool { return g.holds(in) && !draining(in) }
	changed := false
	for _, c := range l.since(w.base) {
		if !c.Instance || c.ID != name.ID {
			continue
		}
		if pickable(c.Before) {
			return true
		}
		changed = true
	}
	return !changed && pickable(h.view.Instance(name))
}

// Drain tells how the drain of an instance stands. It begins one if the server
// knows of none though the instance is DRAINING, as after a restart.
func (h *Hub) Drain(name record.InstanceName, now time.Time) (*Draining, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.drains[name]
	if d == nil {
		in := h.view.Instance(name)
		if !draining(in) {
			return nil, false
		}
		d = h.beginDrain(name, in.ModifyRevision, now)
		h.drains[name] = d
	}
	return &Draining{hub: h, drain: d}, true
}

// Draining is a drain under way, in the hands of a caller that waits for it.
type Draining struct {
	hub   *Hub
	drain *drain
}

// Report tells how it stands; the error is ErrDrainCancelled or nil.
func (d *Draining) Report(now time.Time) (DrainReport, error) {
	d.hub.mu.Lock()
	defer d.hub.mu.Unlock()
	return d.drain.reportAt(now)
}

func (d *drain) reportAt(now time.Time) (DrainReport, error) {
	r := d.report
	r.Revision, r.Behind, r.Changed = d.revision, len(d.waiting), d.changed
	for w := range d.waiting {
		if len(r.BehindWatchers) == maxBehind {
			break
		}
		r.BehindWatchers = append(r.BehindWatchers, &musterv1.DrainWatcher{
			ClientName: w.stream.client.Name, Address: w.stream.client.Address,
		})
	}
	r.Disconnected += len(d.gone)
	pending := false
	for _, until := range append([]time.Time{d.unknown}, d.gone...) {
		if until.After(now) {
			pending = true
			if r.Next.IsZero() || until.Before(r.Next) {
				r.Next = until
			}
		}
	}
	r.Complete = len(d.waiting) == 0 && !pending
	return r, d.err
}

func (d *drain) signal() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// passed takes a watcher off a drain's list.
func (d *drain) passed(w *watcher, count *int) {
	delete(d.waiting, w)
	*count++
	d.signal()
}

// Ack takes a client's word that views of its stream, and all that pick from
// them, are at a revision. No view ids means all.
func (h *Hub) Ack(s *Stream, epoch, revision uint64, viewIDs []uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if epoch != h.view.Epoch {
		return
	}
	if len(viewIDs) == 0 {
		for _, w := range s.watchers {
			h.acked(w, revision)
		}
		return
	}
	for _, id := range viewIDs {
		if w := s.watchers[id]; w != nil {
			h.acked(w, revision)
		}
	}
}

func (h *Hub) acked(w *watcher, revision uint64) {
	// A client cannot have applied what it was not sent.
	revision = min(revision, w.cursor)
	if revision <= w.acked {
		return
	}
	w.acked, w.base = revision, max(w.base, revision)
	for _, d := range h.drains {
		if _, ok := d.waiting[w]; ok && revision >= d.revision {
			d.passed(w, &d.report.Confirmed)
		}
	}
}

// sent tells that what Next gave for a watcher was handed to the transport. A
// client without the means to confirm passes with that.
func (h *Hub) sent(w *watcher, _ time.Time) {
	if w.stream.client.Acks {
		return
	}
	for _, d := range h.drains {
		if _, ok := d.waiting[w]; ok && w.cursor >= d.revision {
			d.passed(w, &d.report.Unconfirmable)
		}
	}
}

// unsubscribed tells that a client gave a view up by itself: it no longer
// picks from it.
func (h *Hub) unsubscribed(w *watcher, _ time.Time) {
	for _, d := range h.drains {
		if _, ok := d.waiting[w]; ok {
			d.passed(w, &d.report.Confirmed)
		}
	}
}

// disconnected tells that a watcher's stream ended: its client may pick on.
func (h *Hub) disconnected(w *watcher, now time.Time) {
	until := now.Add(disconnectGrace)
	for _, d := range h.drains {
		if _, ok := d.waiting[w]; ok {
			delete(d.waiting, w)
			d.gone = append(d.gone, until)
			d.signal()
		}
	}
	h.pruneEnded(now)
	if len(h.ended) < maxEnded && w.held {
		h.ended = append(h.ended, endedWatcher{w, until})
	}
}

func (h *Hub) pruneEnded(now time.Time) {
	i := 0
	for i < len(h.ended) && !h.ended[i].until.After(now) {
		i++
	}
	h.ended = h.ended[i:]
}
