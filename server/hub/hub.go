// Package hub fans changes out to watchers. It keeps the recent history of each
// service, groups the watchers that see the same, builds each update once per
// group, and holds for every watcher no more than a cursor: how far its client
// has been told. A slow watcher therefore costs nothing, holds up nobody, and
// gets the latest state of each changed entry once when it is ready again.
//
// The store's applier calls Apply, which only marks what changed. A few senders
// (Send, one goroutine for each core) go through the groups that changed, and
// hand each watcher its frame by way of its stream's Sink. A stream is given no
// more than its transport has room for, so that no sender ever waits for a
// client. One lock guards everything; it is held for gathering, never for
// encoding or sending, and nothing is called under it but the view.
//
// The rules it keeps are those of docs/protocol.md, "Watch" and "Drain".
package hub

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/view"
)

// DefaultHistory is how many changes are kept in all logs together, beyond the
// 64 that each service keeps in any case.
const DefaultHistory = 1 << 18

// Options are what a hub needs to know.
type Options struct {
	ClusterID string
	Limits    *musterv1.Limits
	// History is the budget of the logs, in changes; 0 means DefaultHistory.
	History int
	// Started is when the server started.
	Started time.Time
}

// Hub is the fan-out of one server.
type Hub struct {
	opts Options

	mu       sync.Mutex
	view     *view.View
	history  *history
	groups   map[uint64]*group
	byName   map[record.ServiceName]map[*group]struct{}
	prefixes map[*group]struct{}
	streams  map[string]*Stream
	queue    queue
	// room and turns are Room and maxTurns, but for tests.
	room  int64
	turns int
	// shares are the updates that groups keep, the oldest first.
	shares fifo[*update]
	drains drains
	ended  []endedWatcher // the oldest first
	// forgotEnded is until when ended watchers may be waited for that did not
	// fit into ended.
	forgotEnded time.Time
	stats       Stats
}

// New makes a hub; Reset must come before anything else.
func New(o Options) *Hub {
	if o.History == 0 {
		o.History = DefaultHistory
	}
	return &Hub{
		opts: o, groups: map[uint64]*group{}, streams: map[string]*Stream{},
		byName:   map[record.ServiceName]map[*group]struct{}{},
		prefixes: map[*group]struct{}{}, drains: newDrains(), queue: newQueue(), room: Room, turns: maxTurns,
	}
}

// Reset begins a history at a view: nothing before it is known.
func (h *Hub) Reset(v *view.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.view, h.history = v, newHistory(v.Revision, h.opts.History)
	for _, s := range h.streams {
		s.end(errReset)
	}
	clear(h.groups)
	clear(h.byName)
	clear(h.prefixes)
	h.queue.groups, h.shares = fifo[*group]{}, fifo[*update]{}
}

// Apply takes over the view after a batch of commits, and queues the groups
// that have something to tell. What it costs does not depend on how many watch.
func (h *Hub) Apply(v *view.View, changes []view.Change, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.view = v
	for i := range changes {
		c := &changes[i]
		l := h.history.append(*c)
		h.applyDrain(c, now)
		h.eachGroup(c.Service, func(g *group) {
			if g.apply(c, l) {
				h.queue.offerGroup(g)
			}
		})
	}
}

// eachGroup calls f for the groups whose selector names a service.
func (h *Hub) eachGroup(n record.ServiceName, f func(*group)) {
	for g := range h.byName[n] {
		f(g)
	}
	for g := range h.prefixes {
		if g.matches(n) {
			f(g)
		}
	}
}

// groupOf finds or makes the group of a selector, whose set was perhaps added
// up before.
func (h *Hub) groupOf(sel *selector.Selector, accessClass string, t total) *group {
	id := sel.ViewID(accessClass)
	if g := h.groups[id]; g != nil {
		return g
	}
	g := newGroup(sel, id, h.view, h.history, t)
	h.groups[id] = g
	if names, ok := sel.Services(); ok {
		for _, n := range names {
			name := record.ServiceName(n)
			if h.byName[name] == nil {
				h.byName[name] = map[*group]struct{}{}
			}
			h.byName[name][g] = struct{}{}
		}
	} else {
		h.prefixes[g] = struct{}{}
	}
	return g
}

// leaveGroup takes a watcher out of its group, and ends an empty group.
func (h *Hub) leaveGroup(w *watcher) {
	g := w.group
	g.leave(w)
	if len(g.watchers) > 0 || h.groups[g.viewID] != g {
		return
	}
	delete(h.groups, g.viewID)
	delete(h.prefixes, g)
	if names, ok := g.sel.Services(); ok {
		for _, n := range names {
			name := record.ServiceName(n)
			delete(h.byName[name], g)
			if len(h.byName[name]) == 0 {
				delete(h.byName, name)
			}
		}
	}
}

// addUp adds up the sets of new subscriptions that have no group so far. It is
// called without the lock.
func (h *Hub) addUp(add []Request, accessClass string) []total {
	totals := make([]total, len(add))
	for i, r := range add {
		if r.Selector == nil {
			continue
		}
		h.mu.Lock()
		v := h.view
		_, known := h.groups[r.Selector.ViewID(accessClass)]
		h.mu.Unlock()
		if !known {
			totals[i].view = v
			totals[i].digest, totals[i].count = SetDigest(v, r.Selector)
		}
	}
	return totals
}

// Stats are figures of the hub.
type Stats struct {
	Streams, Watchers, Groups int
	LoggedChanges             int
	// Snapshots and Deltas count updates taken by watchers, by what they were.
	Snapshots, Deltas, Progress uint64
	// HistoryLost counts clients that were ahead of the registry.
	HistoryLost uint64
}

// Stats reads the hub's figures.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Streams, s.Groups = len(h.streams), len(h.groups)
	for _, g := range h.groups {
		s.Watchers += len(g.watchers)
	}
	s.LoggedChanges = h.history.total
	return s
}

func randomID() string {
	var b [16]byte
	// crypto/rand.Read never fails since Go 1.24.
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
