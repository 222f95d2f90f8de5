package hub

import (
	"container/list"
	"slices"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/view"
)

const (
	// keptUpdates is how many built updates a group keeps for its other
	// watchers. They differ mostly in where they begin.
	keptUpdates = 8
	// shareFor is for how long. A frame carries the server's uptime when it was
	// made, by which clients tell how old it is: one that is kept would look as
	// if it had been under way.
	shareFor = time.Second
	// passFor is how old a delta may be to bring further watchers to a revision
	// that is not the newest any more.
	passFor = 10 * time.Millisecond
)

// group is the watchers that see the same: one selector, one access class.
// It knows the digest of what they should hold, and shares built updates.
type group struct {
	viewID uint64
	sel    *selector.Selector
	// digest and count are those of the set at the hub's view.
	digest, count uint64
	// changed is the revision of the last change that its watchers see.
	changed uint64
	// watchers are in the order of a pass of the senders: those before visited
	// have had their turn.
	watchers []*watcher
	visited  int
	// queued tells that a pass is due or under way, again that another must
	// follow it.
	queued, again bool
	// recent are the logs of the services that changed, newest first, so that
	// a delta looks only at those.
	recent  *list.List
	element map[*serviceLog]*list.Element
	updates []*update
}

// total is the digest and count of a selector's set at a view, added up before
// the hub's lock was taken: a filter over many instances takes its time.
type total struct {
	view          *view.View
	digest, count uint64
}

// newGroup makes a group. If the logs reach back to where its set was added up,
// only what changed since is looked at.
func newGroup(sel *selector.Selector, viewID uint64, v *view.View, h *history, t total) *group {
	g := &group{
		viewID: viewID, sel: sel,
		recent: list.New(), element: map[*serviceLog]*list.Element{},
	}
	g.adoptLogs(h)
	if t.view == nil || !g.reaches(h, t.view.Revision) {
		g.digest, g.count = SetDigest(v, sel)
		return g
	}
	g.digest, g.count = t.digest, t.count
	for e := g.recent.Front(); e != nil; e = e.Next() {
		l := e.Value.(*serviceLog)
		if l.last() <= t.view.Revision {
			break
		}
		changes := l.since(t.view.Revision)
		for i := range changes {
			g.add(&changes[i])
		}
	}
	return g
}

// join adds a watcher.
func (g *group) join(w *watcher) {
	w.index = len(g.watchers)
	g.watchers = append(g.watchers, w)
}

// leave takes a watcher out, so that whoever has not had a turn in the pass
// under way still gets it.
func (g *group) leave(w *watcher) {
	hole := w.index
	if hole < g.visited {
		g.visited--
		g.move(g.visited, hole)
		hole = g.visited
	}
	last := len(g.watchers) - 1
	g.move(last, hole)
	g.watchers[last] = nil
	g.watchers = g.watchers[:last]
}

func (g *group) move(from, to int) {
	w := g.watchers[from]
	g.watchers[to], w.index = w, to
}

// sum is a service's share of digest and count.
func (g *group) sum(s *view.Service) (digest, count uint64) {
	if !g.sel.Filtered() {
		return s.Digest, s.Count
	}
	if s.State != nil {
		digest, count = s.State.Hash, 1
	}
	for in := range s.Instances {
		if g.holds(in) {
			digest += in.Hash
			count++
		}
	}
	return digest, count
}

// adoptLogs begins the list of recent changes with what is already logged.
func (g *group) adoptLogs(h *history) {
	var logs []*serviceLog
	if names, ok := g.sel.Services(); ok {
		for _, n := range names {
			if l := h.logs[record.ServiceName(n)]; l != nil {
				logs = append(logs, l)
			}
		}
	} else {
		for _, l := range h.logs {
			if g.matches(l.name) {
				logs = append(logs, l)
			}
		}
	}
	slices.SortFunc(logs, func(a, b *serviceLog) int {
		switch {
		case a.last() < b.last():
			return -1
		case a.last() > b.last():
			return 1
		}
		return a.name.Compare(b.name)
	})
	for _, l := range logs {
		g.touch(l)
		g.changed = max(g.changed, l.last())
	}
}

func (g *group) touch(l *serviceLog) {
	if e := g.element[l]; e != nil {
		g.recent.MoveToFront(e)
		return
	}
	g.element[l] = g.recent.PushFront(l)
}

func (g *group) matches(n record.ServiceName) bool {
	return g.sel.MatchesService(n.Namespace, n.Service)
}

// holds tells whether an instance of a matching service is in the set.
func (g *group) holds(in *view.Instance) bool {
	return in != nil && (!g.sel.Filtered() || g.sel.Passes(in.Decoded()))
}

// eachService calls f for the services of the selector that a view has, in
// the order of their names.
func (g *group) eachService(v *view.View, f func(*view.Service)) {
	if names, ok := g.sel.Services(); ok {
		for _, n := range names {
			if s := v.Service(record.ServiceName(n)); s != nil {
				f(s)
			}
		}
		return
	}
	ns, prefix, _ := g.sel.Prefix()
	// Names sort so that all that match lie together.
	v.ServicesFrom(record.ServiceName{Namespace: ns, Service: prefix}, func(s *view.Service) bool {
		if !g.matches(s.Name) {
			return false
		}
		f(s)
		return true
	})
}

// apply takes a change of a matching service, and tells whether watchers see it.
func (g *group) apply(c *view.Change, l *serviceLog) bool {
	g.touch(l)
	visible := g.add(c)
	if visible {
		g.changed = c.Revision
	}
	return visible
}

// add takes a change into digest and count, and tells whether watchers see it.
func (g *group) add(c *view.Change) (visible bool) {
	visible = true
	if c.Instance {
		before, after := g.holds(c.Before), g.holds(c.After)
		if before {
			g.digest -= c.Before.Hash
			g.count--
		}
		if after {
			g.digest += c.After.Hash
			g.count++
		}
		visible = before || after
	} else {
		if c.StateBefore != nil {
			g.digest -= c.StateBefore.Hash
			g.count--
		}
		if c.StateAfter != nil {
			g.digest += c.StateAfter.Hash
			g.count++
		}
	}
	return visible
}

// reaches tells whether the logs of all its services reach back to a revision.
func (g *group) reaches(h *history, revision uint64) bool {
	if names, ok := g.sel.Services(); ok {
		for _, n := range names {
			if !h.reaches(record.ServiceName(n), revision) {
				return false
			}
		}
		return true
	}
	if revision < h.start {
		return false
	}
	// A log whose floor is above the revision has changed since.
	for e := g.recent.Front(); e != nil; e = e.Next() {
		l := e.Value.(*serviceLog)
		if l.last() <= revision {
			return true
		}
		if l.floor > revision {
			return false
		}
	}
	return true
}

// comesTo tells that a pass of the senders will still come to a watcher.
func (g *group) comesTo(w *watcher) bool { return g.queued && (w.index >= g.visited || g.again) }

// shared finds a built update, so that it is built and encoded once for all
// who need it now.
func (g *group) shared(k updateKey, now time.Time) *update {
	for _, u := range g.updates {
		if u.updateKey == k && now.Sub(u.built) < shareFor {
			return u
		}
	}
	return nil
}

// continuing finds a delta that was built a moment ago for others at the same
// revision. The head may have moved on since; but a frame for each watcher of
// a pass, each a little longer than the one before, would cost more than it
// tells.
func (g *group) continuing(from uint64, ack bool, now time.Time) *update {
	for _, u := range g.updates {
		if u.kind == deltaUpdate && u.from == from && u.ack == ack && now.Sub(u.built) < passFor {
			return u
		}
	}
	return nil
}

// share keeps an update for others of its group, for a while.
func (h *Hub) share(u *update) {
	g := u.group
	if len(g.updates) == keptUpdates {
		g.updates = slices.Delete(g.updates, 0, 1)
	}
	g.updates = append(g.updates, u)
	h.shares.push(u)
}

// expireShares lets go of updates that are too old to be sent.
func (h *Hub) expireShares(now time.Time) {
	for h.shares.len() > 0 && now.Sub(h.shares.front().built) >= shareFor {
		u := h.shares.pop()
		u.group.updates = slices.DeleteFunc(u.group.updates, func(x *update) bool { return x == u })
	}
}

// net is what became of one entry between two revisions.
type net struct {
	first, last *view.Change
}

// delta gathers what its watchers see of the changes after a revision.
func (g *group) delta(from uint64, u *update) {
	for e := g.recent.Front(); e != nil; e = e.Next() {
		l := e.Value.(*serviceLog)
		if l.last() <= from {
			break
		}
		g.deltaOf(l, from, u)
	}
}

func (g *group) deltaOf(l *serviceLog, from uint64, u *update) {
	changes := l.since(from)
	nets := make(map[string]*net, len(changes))
	order := make([]*net, 0, len(changes))
	for i := range changes {
		c := &changes[i]
		// An instance id is never empty, so "" stands for the service's state.
		if n := nets[c.ID]; n != nil {
			n.last = c
			continue
		}
		n := &net{first: c, last: c}
		nets[c.ID] = n
		order = append(order, n)
	}
	for _, n := range order {
		if n.first.Instance {
			g.netInstance(n, u)
		} else {
			g.netState(n, u)
		}
	}
}

func (g *group) netInstance(n *net, u *update) {
	before, after := g.holds(n.first.Before), g.holds(n.last.After)
	switch {
	case after:
		u.instances = append(u.instances, n.last.After)
	case before:
		reason := n.last.Reason
		if n.last.After != nil {
			reason = musterv1.RemovalReason_REMOVAL_REASON_FILTERED_OUT
		}
		u.removals = append(u.removals, &musterv1.Removal{
			Kind: musterv1.EntryKind_ENTRY_KIND_INSTANCE,
			Key: &musterv1.InstanceKey{
				Namespace: n.last.Service.Namespace, Service: n.last.Service.Service, InstanceId: n.last.ID,
			},
			Reason: reason,
		})
	}
}

func (g *group) netState(n *net, u *update) {
	switch {
	case n.last.StateAfter != nil:
		u.states = append(u.states, n.last.StateAfter)
	case n.first.StateBefore != nil:
		u.removals = append(u.removals, &musterv1.Removal{
			Kind:   musterv1.EntryKind_ENTRY_KIND_SERVICE_STATE,
			Key:    &musterv1.InstanceKey{Namespace: n.last.Service.Namespace, Service: n.last.Service.Service},
			Reason: n.last.Reason,
		})
	}
}
