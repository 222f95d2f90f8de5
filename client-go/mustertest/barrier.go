package mustertest

import (
	"slices"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// disconnectGrace is for how long a drain waits for watchers that went away:
// their clients may still pick from their last view.
const disconnectGrace = 5 * time.Second

// maxBehind is how many watchers a report names.
const maxBehind = 20

// drain is the barrier of one instance: who may still pick it (docs/protocol.md,
// section 7).
type drain struct {
	name     entryName
	revision uint64
	waiting  map[*watcher]bool
	// gone is until when watchers that went away are waited for.
	gone                     []time.Time
	confirmed, unconfirmable uint32
	cancelled                bool
}

// holding is what the client of a watcher may hold.
type holding struct {
	// held tells whether it may hold anything of the view.
	held bool
	// base is the revision that it surely has reached: what it had before, it
	// holds no more.
	base uint64
	// acked is the revision that it acknowledged.
	acked uint64
	// wantAck asks for an acknowledgement with the next frame.
	wantAck bool
}

// resumed notes what a client holds that subscribes.
func (h *holding) resumed(resume *musterv1.KnownView, k kind) {
	if resume == nil {
		return
	}
	h.held, h.base = true, 0
	if k != kindSnapshot {
		h.base = resume.GetRevision()
	}
	h.acked = min(h.acked, resume.GetRevision())
}

// told notes what a client is about to be sent.
func (h *holding) told(header *musterv1.ViewHeader, k kind) {
	if k == kindSnapshot && !h.held {
		h.held, h.base = true, header.GetRevision()
	}
}

// ended is a watcher whose stream ended a moment ago.
type ended struct {
	watcher *watcher
	until   time.Time
}

func isDraining(e entry) bool {
	return e.instance.GetLifecycle() == musterv1.Lifecycle_LIFECYCLE_DRAINING
}

// drained begins and ends barriers as a commit says. It runs before any stream
// is told of the commit.
func (r *Registry) drained(c *commit) {
	for _, ch := range c.changes {
		was, is := isDraining(ch.before), isDraining(ch.after)
		d := r.drains[ch.name]
		switch {
		case is && !was:
			r.drains[ch.name] = r.beginDrain(ch.name, c.at, c.now)
		case was && !is && d != nil && ch.after.exists():
			d.cancelled = true
			delete(r.drains, ch.name)
		}
	}
}

// beginDrain lists who may hold an instance, and asks them to acknowledge.
func (r *Registry) beginDrain(name entryName, revision uint64, now time.Time) *drain {
	r.forgetDrains(now)
	d := &drain{name: name, revision: revision, waiting: map[*watcher]bool{}}
	for _, s := range r.streams {
		for _, w := range s.watchers {
			if w.acked < revision && r.mayHold(w, name, now) {
				d.list(w)
			}
		}
	}
	for _, e := range r.ended {
		if r.mayHold(e.watcher, name, now) {
			d.gone = append(d.gone, e.until)
		}
	}
	return d
}

// list makes a drain wait for a watcher.
func (d *drain) list(w *watcher) {
	d.waiting[w] = true
	w.wantAck = true
}

// mayHold tells whether the client of a watcher may hold an instance as one to
// pick. What was sent may still be unread, so the question is whether any set
// that it was told of, since the last one that it surely has, had it.
func (r *Registry) mayHold(w *watcher, name entryName, now time.Time) bool {
	if !w.held || !w.sel.names(name.serviceName) {
		return false
	}
	if r.recovering(now) || r.state.floor > w.base {
		return true
	}
	return slices.ContainsFunc(r.state.log, func(ch change) bool {
		return ch.name == name && ch.revision > w.base && !isDraining(ch.before) && w.sel.holds(ch.before)
	})
}

// joinDrains makes the drains that still wait for somebody wait for a watcher
// too whose client comes from before them: it may pick what it held there.
func (r *Registry) joinDrains(w *watcher, now time.Time) {
	for _, d := range r.drains {
		if w.held && max(w.base, w.acked) < d.revision && !d.over(now) && w.sel.names(d.name.serviceName) {
			d.list(w)
		}
	}
}

// over tells whether nobody is waited for any more.
func (d *drain) over(now time.Time) bool {
	return len(d.waiting) == 0 && !slices.ContainsFunc(d.gone, now.Before)
}

// forgetDrains drops the barriers of instances that are gone, once nobody is
// waited for.
func (r *Registry) forgetDrains(now time.Time) {
	for name, d := range r.drains {
		if r.state.instances[name] == nil && d.over(now) {
			delete(r.drains, name)
		}
	}
	r.ended = slices.DeleteFunc(r.ended, func(e ended) bool { return !now.Before(e.until) })
}

// acknowledge takes a client's word that views of its stream, and all that pick
// from them, are at a revision. No view ids means all.
func (r *Registry) acknowledge(s *stream, req *musterv1.AckWatchRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.GetEpoch() != r.state.epoch {
		return
	}
	for _, w := range s.watchers {
		if len(req.GetViewIds()) > 0 && !slices.Contains(req.GetViewIds(), w.sel.viewID) {
			continue
		}
		// A client cannot have applied what it was not sent.
		if revision := min(req.GetRevision(), w.cursor); revision > w.acked {
			w.acked, w.base = revision, max(w.base, revision)
			r.passed(w, revision, func(d *drain) { d.confirmed++ })
		}
	}
}

// sent tells that frames were handed to the transport. A client without the
// means to confirm passes with that.
func (r *Registry) sent(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range s.watchers {
		if !s.caller.acks {
			r.passed(w, w.cursor, func(d *drain) { d.unconfirmable++ })
		}
	}
}

// passed takes a watcher off the lists of the drains up to a revision.
func (r *Registry) passed(w *watcher, revision uint64, count func(*drain)) {
	for _, d := range r.drains {
		if d.waiting[w] && d.revision <= revision {
			delete(d.waiting, w)
			count(d)
			r.broadcast()
		}
	}
}

// leftView tells that a client gave a view up by itself. If it asked for the
// same view again at once, it goes on picking from what it had, and next is
// waited for in its place.
func (r *Registry) leftView(w, next *watcher) {
	if next == nil || next == w {
		r.passed(w, r.state.revision, func(d *drain) { d.confirmed++ })
		return
	}
	next.held, next.base = next.held || w.held, min(next.base, w.base)
	r.passed(w, r.state.revision, func(d *drain) { d.list(next) })
}

// closed tells that a stream ended: its client may pick on for a while.
func (r *Registry) closed(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(s)
}

func (r *Registry) end(s *stream) {
	if r.streams[s.id] != s {
		return
	}
	delete(r.streams, s.id)
	now := time.Now()
	until := now.Add(disconnectGrace)
	for _, w := range s.watchers {
		r.passed(w, r.state.revision, func(d *drain) { d.gone = append(d.gone, until) })
		if w.held {
			r.ended = append(r.ended, ended{w, until})
		}
	}
	r.forgetDrains(now)
}
