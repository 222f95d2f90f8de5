package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server"
	"github.com/muster-registry/muster/server/servertest"
	"github.com/muster-registry/muster/server/store"
)

// world is one random history.
type world struct {
	t        *testing.T
	seed     uint64
	step     atomic.Int64
	rng      *rand.Rand
	server   *servertest.Server
	up       bool
	started  time.Time
	history  *history
	judged   int // removals that were held to the promises
	watchers []*watcher
	holders  []*holder
	acks     []pendingAck
	drains   []*draining
	rules    *rules

	mu      sync.Mutex
	clients *servertest.Clients
	failed  atomic.Bool
}

type pendingAck struct {
	w        *watcher
	streamID string
	header   *musterv1.ViewHeader
}

// rules counts how often each rule was put to the proof.
type rules struct {
	mu sync.Mutex
	n  map[string]int
}

func (r *rules) count(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n[id]++
}

func (w *world) count(id string) { w.rules.count(id) }

// must holds something to a rule.
func (w *world) must(id string, ok bool, format string, args ...any) {
	w.rules.count(id)
	if !ok {
		w.failed.Store(true)
		w.t.Errorf("seed %d, step %d: %s: %s", w.seed, w.step.Load(), id, fmt.Sprintf(format, args...))
	}
}

func newWorld(t *testing.T, seed uint64, r *rules) *world {
	w := &world{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), history: newHistory(), rules: r, up: true, started: time.Now()}
	w.server = servertest.New(t, func(c *server.Config) {
		// A tiny history, so that resuming often has to go by digest, and slow
		// watchers fall out of it.
		c.History = 1 + w.rng.IntN(200)
	})
	w.server.Kill()
	w.server.Wrap = func(s store.Store) store.Store { return recorder{s, w.history} }
	w.history.states[w.server.Disk.Revision()] = state{}
	w.history.newest = w.server.Disk.Revision()
	for _, e := range w.server.Disk.Entries() {
		w.history.states[w.history.newest][e.Key] = *e
	}
	w.server.Start()
	for i := range 4 {
		x := &watcher{world: w, name: fmt.Sprintf("watcher-%d", i), acks: i != 0, wishes: map[uint32]wish{}, views: map[uint32]*clientView{}}
		x.add(randomWish(w.rng))
		w.watchers = append(w.watchers, x)
	}
	for i := range 6 {
		w.holders = append(w.holders, newHolder(w, i))
	}
	return w
}

// newHolder makes a process. Some share an id, as a restarted one does with
// the one before.
func newHolder(w *world, i int) *holder {
	h := &holder{world: w, ttl: time.Duration(1+w.rng.IntN(20)) * time.Second}
	for j := range 1 + w.rng.IntN(3) {
		svc := services[w.rng.IntN(len(services))]
		h.instances = append(h.instances, randomInstance(w.rng, svc, fmt.Sprintf("%s-%d-%d", svc, i%4, j)))
	}
	return h
}

func randomInstance(rng *rand.Rand, svc, id string) *musterv1.Instance {
	in := servertest.Instance(svc, id)
	in.Version = fmt.Sprintf("1.%d.0", rng.IntN(4))
	in.Weight = proto.Uint32(uint32(rng.IntN(3) * 50))
	in.Locality = &musterv1.Locality{Zone: []string{"a", "b"}[rng.IntN(2)]}
	in.Metadata = map[string]string{"tier": []string{"gold", "iron"}[rng.IntN(2)]}
	if rng.IntN(3) == 0 {
		// Large enough that a watcher who does not read fills its connection.
		in.Metadata["ballast"] = strings.Repeat("x", 15_000)
	}
	return in
}

// dial is a connection to the server that runs now, shared until it is gone.
func (w *world) dial() servertest.Clients {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clients == nil {
		c := w.server.Dial()
		w.clients = &c
	}
	return *w.clients
}

// run takes a number of steps, and then lets everything come to rest.
func (w *world) run(steps int) {
	for step := range steps {
		w.step.Store(int64(step))
		w.act()
		w.settle()
		if w.failed.Load() {
			break
		}
	}
	w.finish()
}

func (w *world) act() {
	switch n := w.rng.IntN(100); {
	case n < 14:
		w.holder().register()
	case n < 34:
		w.holder().renew()
	case n < 46:
		w.holder().update()
	case n < 49:
		w.holder().deregister()
	case n < 51:
		w.holder().hangUp()
	case n < 52:
		w.holder().halfClose()
	case n < 56:
		w.drain()
	case n < 62:
		w.ack()
	case n < 70:
		w.watcher().open()
	case n < 73:
		w.watcher().close()
	case n < 75:
		w.lie()
	case n < 78:
		w.watcher().pause()
	case n < 83:
		w.watcher().resume()
	case n < 87:
		w.changeSubscriptions()
	case n < 89:
		w.restart()
	case n < 90:
		w.server.Store().FailNext(store.ErrFull)
	default:
		time.Sleep(time.Duration(w.rng.IntN(5000)) * time.Millisecond)
	}
}

func (w *world) holder() *holder   { return w.holders[w.rng.IntN(len(w.holders))] }
func (w *world) watcher() *watcher { return w.watchers[w.rng.IntN(len(w.watchers))] }

// settle lets everything come to rest, and holds what happened to the rules.
func (w *world) settle() {
	synctest.Wait()
	w.history.mu.Lock()
	problems := w.history.problems
	w.history.problems = nil
	removals := w.history.removals[w.judged:]
	w.judged = len(w.history.removals)
	w.history.mu.Unlock()
	for _, p := range problems {
		w.must("history", false, "%s", p)
	}
	for _, r := range removals {
		if r.reason == musterv1.RemovalReason_REMOVAL_REASON_EXPIRED {
			w.judgeExpiry(r)
		}
	}
	w.judgeOverdue()
	w.judgeDrains()
}

// judgeExpiry holds an expiry to what was promised to the lease's holder.
func (w *world) judgeExpiry(r removal) {
	for _, h := range w.holders {
		if h.lease.GetLeaseId() == r.leaseID {
			w.must("M6.2c", !r.at.Before(h.promised), "%s expired at %v, promised until %v", h, r.at, h.promised)
			w.must("M6.8a", !r.at.Before(w.started.Add(h.ttl)), "%s expired %v after the server's start, TTL %v", h, r.at.Sub(w.started), h.ttl)
		}
	}
}

// overdueSlack is how late an expiry may be: the sweeper's tick and a commit.
const overdueSlack = 200 * time.Millisecond

// judgeOverdue finds leases that should have expired.
func (w *world) judgeOverdue() {
	if !w.up {
		return
	}
	_, s := w.history.head()
	for _, h := range w.holders {
		if h.lease == nil {
			continue
		}
		_, exists := s["/l/"+h.lease.GetLeaseId()]
		since := h.heard
		if w.started.After(since) {
			since = w.started
		}
		if time.Since(since) > h.ttl+overdueSlack {
			w.must("M6.4/on-time", !exists, "%s should have expired %v ago", h, time.Since(since)-h.ttl)
		}
	}
}

func (w *world) restart() {
	before := time.Now()
	if w.rng.IntN(2) == 0 {
		w.server.Kill()
	} else {
		w.server.Stop()
	}
	w.up = false
	w.settle()
	w.history.mu.Lock()
	for _, r := range w.history.removals {
		w.must("M6.8b", r.reason != musterv1.RemovalReason_REMOVAL_REASON_EXPIRED || !r.at.After(before), "%s expired while the server stopped and took no renewals", r.key)
	}
	w.history.mu.Unlock()
	time.Sleep(time.Duration(w.rng.IntN(20_000)) * time.Millisecond)
	for _, h := range w.holders {
		h.hangUp()
	}
	w.mu.Lock()
	w.clients = nil
	w.mu.Unlock()
	w.server.Start()
	w.up, w.started = true, time.Now()
}

func (w *world) changeSubscriptions() {
	x := w.watcher()
	if w.rng.IntN(2) == 0 || len(x.wishes) > 5 {
		for id := range x.wishes {
			if len(x.wishes) > 1 {
				x.change(nil, id)
			}
			return
		}
	}
	next := randomWish(w.rng)
	x.change(&next, 0)
}

// lie forges the position from which a watcher will resume.
func (w *world) lie() {
	x := w.watcher()
	x.close()
	x.mu.Lock()
	for _, v := range x.views {
		if v.known != nil {
			v.lying = []string{"digest", "view", "ahead"}[w.rng.IntN(3)]
		}
	}
	x.mu.Unlock()
	x.open()
}

func (w *world) ackRequested(a pendingAck) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks = append(w.acks, a)
}

// ack lets one client acknowledge what it was asked to.
func (w *world) ack() {
	w.mu.Lock()
	if len(w.acks) == 0 {
		w.mu.Unlock()
		return
	}
	i := w.rng.IntN(len(w.acks))
	a := w.acks[i]
	w.acks = slices.Delete(w.acks, i, i+1)
	w.mu.Unlock()
	_, _ = w.dial().AckWatch(w.t.Context(), &musterv1.AckWatchRequest{
		StreamId: a.streamID, Epoch: a.header.GetEpoch(), Revision: a.header.GetRevision(), ViewIds: []uint64{a.header.GetViewId()},
	})
}

// finish heals everything and looks whether all come to the same end.
func (w *world) finish() {
	for _, x := range w.watchers {
		x.resume()
		x.close()
		x.open()
	}
	w.settle()
	time.Sleep(15 * time.Second) // a Progress at the latest
	w.settle()
	w.judgeEmptied()
	revision, _ := w.history.head()
	for _, x := range w.watchers {
		x.mu.Lock()
		for _, v := range x.views {
			want, _ := w.history.at(v.known.GetRevision())
			now, _ := w.history.at(revision)
			w.must("M2.8b", digestOf(want.matching(v.wish)) == digestOf(now.matching(v.wish)), "%s is still behind at %d, head is %d", x.name, v.known.GetRevision(), revision)
		}
		x.mu.Unlock()
		x.close()
	}
}

// judgeEmptied holds the states of services, when all has come to rest, to
// whether the services are empty, and to how they became so.
func (w *world) judgeEmptied() {
	_, s := w.history.head()
	for key, e := range s {
		name, ok := strings.CutPrefix(key, "/v/")
		if !ok {
			continue
		}
		st := &musterv1.ServiceState{}
		if err := proto.Unmarshal(e.Value, st); err != nil {
			w.t.Fatal(err)
		}
		instances := 0
		for k := range s {
			if strings.HasPrefix(k, "/i/"+name+"/") {
				instances++
			}
		}
		w.must("emptied", (st.GetEmptied() != nil) == (instances == 0), "%s has %d instances, and its state says %v", name, instances, st.GetEmptied())
		if r := st.GetEmptied(); r != nil && r.GetReason() != musterv1.RemovalReason_REMOVAL_REASON_UNKNOWN {
			last := w.history.lastOf("/i/" + name + "/")
			w.must("emptied/reason", last.key == "/i/"+name+"/"+r.GetInstanceId() && last.reason == r.GetReason(), "%s was emptied by %+v, its state says %v", name, last, r)
		}
	}
}

// draining is one Drain call under way.
type draining struct {
	h    *holder
	done chan struct{}
	res  *musterv1.DrainResponse
	err  error
}

func (w *world) drain() {
	h := w.holder()
	if h.lease == nil {
		return
	}
	d := &draining{h: h, done: make(chan struct{})}
	started := w.started
	req := &musterv1.DrainRequest{LeaseId: h.lease.GetLeaseId(), Timeout: durationpb.New(time.Duration(1+w.rng.IntN(20)) * time.Second)}
	client := w.dial()
	go func() {
		defer close(d.done)
		d.res, d.err = client.Drain(context.WithoutCancel(w.t.Context()), req)
		if d.err == nil && d.res.GetResult() == musterv1.DrainResult_DRAIN_RESULT_COMPLETE {
			w.judgeComplete(d, started)
		}
	}()
	w.drains = append(w.drains, d)
}

// judgeComplete holds the answer COMPLETE, at the moment that it arrives, to
// what every connected watcher holds.
func (w *world) judgeComplete(d *draining, started time.Time) {
	for _, x := range w.watchers {
		x.mu.Lock()
		for _, v := range x.views {
			if !x.alive || !x.acks || v.viewID == 0 || x.opened.Before(started) {
				continue // it has had no frame for 5 s, and can know
			}
			for _, in := range d.h.instances {
				e, has := v.set["/i/shop/"+in.GetService()+"/"+in.GetInstanceId()]
				// A later registration or SERVING again is another story.
				w.must("M7.6a", !has || !e.pickable || e.modify > d.res.GetRevision(), "%s: drain of %s is complete at %d and it can still pick it: %+v known %v viewID %v opened %v gate %v acks %v wish %+v\n%v\n%s", x.name, in.GetInstanceId(), d.res.GetRevision(), e, v.known, v.viewID, time.Since(x.opened), x.gate != nil, x.acks, v.wish, d.res, w.story("/i/shop/"+in.GetService()+"/"+in.GetInstanceId()))
			}
		}
		x.mu.Unlock()
	}
}

func (w *world) judgeDrains() {
	w.drains = slices.DeleteFunc(w.drains, func(d *draining) bool {
		select {
		case <-d.done:
			return true
		default:
			return false
		}
	})
}

// story is what happened to a key, for a failed rule's text.
func (w *world) story(key string) string {
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	var b strings.Builder
	var last uint64
	for r := range w.history.newest + 1 {
		e, ok := w.history.states[r][key]
		switch {
		case ok && e.ModRevision != last:
			last = e.ModRevision
			in := publicForm(e)
			fmt.Fprintf(&b, "\n\t%d: version %s zone %s tier %s %v", r, in.GetVersion(), in.GetLocality().GetZone(), in.GetMetadata()["tier"], in.GetLifecycle())
		case !ok && last != 0:
			last = 0
			fmt.Fprintf(&b, "\n\t%d: gone", r)
		}
	}
	return b.String()
}
