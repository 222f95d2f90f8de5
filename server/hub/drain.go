package hub

import (
	"errors"
	"math"
	"slices"
	"sort"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/view"
)

const (
	// disconnectGrace is how long a drain waits for watchers that went away:
	// their clients may still pick from their last view.
	disconnectGrace = 5 * time.Second
	// maxEnded bounds how many ended watchers are remembered for that. If there
	// are more, a drain waits for that long as if any of them held its instance.
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
	waiting  map[*watcher]struct{} // each of them has it in its drains
	gone     []time.Time           // until when watchers that went away are waited for, ascending
	unknown  time.Time             // until when watchers are of which the server knows nothing
	report   DrainReport
	err      error
	removed  time.Time     // when the instance went; zero while it is there
	changed  chan struct{} // closed and replaced when anything changes
}

// drains are the barriers of all instances, by service.
type drains struct {
	of map[record.ServiceName]map[string]*drain
	n  int
	// sweepAt is the number at which those that are over are looked for: a
	// look at all of them is paid for by as many new ones.
	sweepAt int
}

const minSweep = 64

func newDrains() drains {
	return drains{of: map[record.ServiceName]map[string]*drain{}, sweepAt: minSweep}
}

func (ds *drains) get(n record.InstanceName) *drain { return ds.of[n.ServiceName][n.ID] }

func (ds *drains) set(n record.InstanceName, d *drain) {
	of := ds.of[n.ServiceName]
	if of == nil {
		of = map[string]*drain{}
		ds.of[n.ServiceName] = of
	}
	if old := of[n.ID]; old != nil {
		old.release()
	} else {
		ds.n++
	}
	of[n.ID] = d
}

func (ds *drains) drop(n record.InstanceName) {
	of := ds.of[n.ServiceName]
	if d := of[n.ID]; d != nil {
		d.release()
		ds.n--
	}
	if delete(of, n.ID); len(of) == 0 {
		delete(ds.of, n.ServiceName)
	}
}

// sweep drops the barriers of instances that are gone, once nobody is waited
// for or nobody can be waiting.
func (ds *drains) sweep(now time.Time) {
	if ds.n < ds.sweepAt {
		return
	}
	for service, of := range ds.of {
		for id, d := range of {
			if past := now.Sub(d.removed); !d.removed.IsZero() && (d.finished(now) && past > disconnectGrace || past > forgetAfter) {
				ds.drop(record.InstanceName{ServiceName: service, ID: id})
			}
		}
	}
	ds.sweepAt = max(minSweep, 2*ds.n)
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
	was, is := draining(c.Before), draining(c.After)
	switch {
	case is && !was:
		h.beginDrain(name, c.Revision, now)
	case was && !is:
		d := h.drains.get(name)
		switch {
		case d == nil:
		case c.After != nil:
			d.err = ErrDrainCancelled
			d.signal()
			h.drains.drop(name)
		default:
			// It is gone, but watchers that were not told yet still pick it:
			// the barrier stands until they have passed.
			d.removed = now
		}
	}
}

func draining(in *view.Instance) bool {
	return in != nil && in.Lifecycle == musterv1.Lifecycle_LIFECYCLE_DRAINING
}

// beginDrain lists who may hold the instance and asks them to acknowledge.
func (h *Hub) beginDrain(name record.InstanceName, revision uint64, now time.Time) *drain {
	h.drains.sweep(now)
	d := &drain{revision: revision, waiting: map[*watcher]struct{}{}, changed: make(chan struct{})}
	h.drains.set(name, d)
	p := h.pastOf(name)
	h.eachGroup(name.ServiceName, func(g *group) {
		held := p.heldBy(g)
		for _, w := range g.watchers {
			if w.acked < revision && held.mayBeWith(w) {
				d.list(w)
			}
		}
	})
	h.pruneEnded(now)
	for _, e := range h.ended {
		if e.w.group.matches(name.ServiceName) && p.heldBy(e.w.group).mayBeWith(e.w) {
			d.gone = append(d.gone, e.until)
		}
	}
	// Before the server started there may have been watchers of which it
	// knows nothing.
	d.unknown = h.opts.Started.Add(disconnectGrace)
	if h.forgotEnded.After(d.unknown) {
		d.unknown = h.forgotEnded
	}
	return d
}

// list makes a drain wait for a watcher, which is asked to acknowledge.
func (d *drain) list(w *watcher) {
	if _, ok := d.waiting[w]; ok {
		return
	}
	d.waiting[w] = struct{}{}
	w.drains = append(w.drains, d)
	w.wantAck = true
	w.stream.enqueue(w)
}

// release lets go of all watchers.
func (d *drain) release() {
	for w := range d.waiting {
		w.drains = slices.DeleteFunc(w.drains, func(x *drain) bool { return x == d })
	}
	clear(d.waiting)
}

// finished tells that nobody is waited for.
func (d *drain) finished(now time.Time) bool {
	return len(d.waiting) == 0 && !d.unknown.After(now) && (len(d.gone) == 0 || !d.gone[len(d.gone)-1].After(now))
}

// past is what the log tells of one instance.
type past struct {
	changes []*view.Change
	floor   uint64 // before which nothing is known
	cache   map[*group]holding
}

// holding is since when no set of a group has had the instance as pickable.
type holding struct {
	// floor is before which nothing is known, until the last revision that
	// ended a form that was pickable. The present form is not: it drains.
	floor, until uint64
}

// pastOf reads an instance's past once for all groups.
func (h *Hub) pastOf(name record.InstanceName) *past {
	p := &past{floor: math.MaxUint64, cache: map[*group]holding{}}
	l := h.history.logs[name.ServiceName]
	if l == nil {
		return p
	}
	p.floor = l.floor
	for i := range l.changes {
		if c := &l.changes[i]; c.Instance && c.ID == name.ID {
			p.changes = append(p.changes, c)
		}
	}
	return p
}

func (p *past) heldBy(g *group) holding {
	if held, ok := p.cache[g]; ok {
		return held
	}
	held := holding{floor: p.floor}
	for _, c := range p.changes {
		if g.holds(c.Before) && !draining(c.Before) {
			held.until = c.Revision
		}
	}
	p.cache[g] = held
	return held
}

// mayBeWith tells whether the client behind a watcher may hold the instance as
// pickable. What was sent may still be unread, so the question is not what the
// client was last told, but whether any set that it was told of, since the
// last one that it surely has, had the instance. What it holds is not known
// exactly if the log does not reach back, or a snapshot is to replace it.
func (held holding) mayBeWith(w *watcher) bool {
	return w.held && (w.pendingSnapshot() || held.floor > w.base || held.until > w.base)
}

// joinDrains makes the drains that still wait for somebody wait for a watcher
// too that begins at a position before them: its client comes from another
// stream, and may pick what it held there.
func (h *Hub) joinDrains(w *watcher, now time.Time) {
	if !w.held {
		return
	}
	join := func(of map[string]*drain) {
		for _, d := range of {
			if max(w.base, w.acked) < d.revision && !d.finished(now) {
				d.list(w)
			}
		}
	}
	if names, ok := w.group.sel.Services(); ok {
		for _, n := range names {
			join(h.drains.of[record.ServiceName(n)])
		}
		return
	}
	for n, of := range h.drains.of {
		if w.group.matches(n) {
			join(of)
		}
	}
}

// Drain tells how the drain of an instance stands. It begins one if the server
// knows of none though the instance is DRAINING, as after a restart.
func (h *Hub) Drain(name record.InstanceName, now time.Time) (*Draining, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.drains.get(name)
	if d == nil {
		in := h.view.Instance(name)
		if !draining(in) {
			return nil, false
		}
		d = h.beginDrain(name, in.ModifyRevision(), now)
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
	if d.unknown.After(now) {
		r.Next = d.unknown
	}
	next := sort.Search(len(d.gone), func(i int) bool { return d.gone[i].After(now) })
	if next < len(d.gone) && (r.Next.IsZero() || d.gone[next].Before(r.Next)) {
		r.Next = d.gone[next]
	}
	r.Complete = d.finished(now)
	return r, d.err
}

func (d *drain) signal() {
	close(d.changed)
	d.changed = make(chan struct{})
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
	w.passed(revision, func(d *drain) { d.report.Confirmed++ })
}

// sent tells that what Next gave for a watcher was handed to the transport. A
// client without the means to confirm passes with that.
func (h *Hub) sent(w *watcher) {
	if !w.stream.client.Acks {
		w.passed(w.cursor, func(d *drain) { d.report.Unconfirmable++ })
	}
}

// passed takes a watcher off the lists of the drains up to a revision.
func (w *watcher) passed(revision uint64, count func(*drain)) {
	w.drains = slices.DeleteFunc(w.drains, func(d *drain) bool {
		if d.revision > revision {
			return false
		}
		delete(d.waiting, w)
		count(d)
		d.signal()
		return true
	})
}

// unsubscribed tells that a client gave a view up by itself: it no longer picks
// from it. If it asked for the same view again at once, it goes on picking from
// what it had, and next is waited for in its place.
func (h *Hub) unsubscribed(w, next *watcher) {
	if next == nil {
		w.passed(math.MaxUint64, func(d *drain) { d.report.Confirmed++ })
		return
	}
	next.held, next.base = next.held || w.held, min(next.base, w.base)
	w.passed(math.MaxUint64, func(d *drain) { d.list(next) })
}

// disconnected tells that a watcher's stream ended: its client may pick on.
func (h *Hub) disconnected(w *watcher, now time.Time) {
	until := now.Add(disconnectGrace)
	w.passed(math.MaxUint64, func(d *drain) { d.gone = append(d.gone, until) })
	h.pruneEnded(now)
	switch {
	case !w.held:
	case len(h.ended) < maxEnded:
		h.ended = append(h.ended, endedWatcher{w, until})
	default:
		h.forgotEnded = until
	}
}

func (h *Hub) pruneEnded(now time.Time) {
	i := 0
	for i < len(h.ended) && !h.ended[i].until.After(now) {
		i++
	}
	h.ended = slices.Delete(h.ended, 0, i)
}
