package sim

import (
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/internal/storepb"
	"github.com/muster-registry/muster/server/store"
)

// state is the store's content at one revision.
type state map[string]store.Entry

// removal is one instance's end.
type removal struct {
	revision uint64
	at       time.Time
	key      string
	leaseID  string
	reason   musterv1.RemovalReason
}

// history is everything that was ever committed. It outlives servers.
type history struct {
	mu       sync.Mutex
	states   map[uint64]state
	newest   uint64
	removals []removal
	problems []string
}

func newHistory() *history { return &history{states: map[uint64]state{0: {}}} }

func (h *history) at(revision uint64) (state, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.states[revision]
	return s, ok
}

func (h *history) head() (uint64, state) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.newest, h.states[h.newest]
}

func (h *history) problem(format string, args ...any) {
	h.problems = append(h.problems, fmt.Sprintf(format, args...))
}

// recorder is a store whose history is recorded on its way to the server.
type recorder struct {
	store.Store
	history *history
}

// Start implements store.Store.
func (r recorder) Start(a store.Applier) error {
	return r.Store.Start(recording{a, r.history})
}

// Propose implements store.Store, and holds what is proposed to the rules.
func (r recorder) Propose(m store.Mutation, done func(store.Outcome, error)) {
	r.history.mu.Lock()
	r.history.checkMutation(&m)
	r.history.mu.Unlock()
	r.Store.Propose(m, done)
}

// checkMutation: who removes an instance says so (M5.6a), and an expiry is
// guarded by the lease, the instance and its service's state (M6.4a).
func (h *history) checkMutation(m *store.Mutation) {
	guarded := map[string]bool{}
	for _, g := range m.Guards {
		guarded[g.Key] = true
	}
	n := &storepb.RemovalNote{}
	if err := proto.Unmarshal(m.Note, n); err != nil {
		h.problem("note: %v", err)
	}
	for _, k := range slices.Concat(m.Deletes, keysOf(m.Puts)) {
		if !guarded[k] {
			h.problem("M5.1a: %s is written without a guard", k)
		}
	}
	for _, k := range m.Deletes {
		rest, ok := strings.CutPrefix(k, "/i/")
		if !ok {
			continue
		}
		if !slices.Contains(n.GetKeys(), k) || n.GetReason() == 0 {
			h.problem("M5.6a: %s is deleted, the note says %v", k, n)
		}
		service := "/v/" + rest[:strings.LastIndexByte(rest, '/')]
		lease := "/l/" + instanceRecord(h.states[h.newest][k]).GetLeaseId()
		if n.GetReason() == int32(musterv1.RemovalReason_REMOVAL_REASON_EXPIRED) && (!guarded[service] || !guarded[lease]) {
			h.problem("M6.4a: the expiry of %s is guarded by %v", k, guarded)
		}
	}
}

func keysOf(puts []store.Put) (keys []string) {
	for _, p := range puts {
		keys = append(keys, p.Key)
	}
	return keys
}

type recording struct {
	store.Applier
	history *history
}

// Restore implements store.Applier: what a restart finds is what was
// committed, no less and no more.
func (r recording) Restore(revision uint64, entries iter.Seq[*store.Entry]) error {
	r.history.mu.Lock()
	found := state{}
	for e := range entries {
		found[e.Key] = *e
	}
	want := r.history.states[r.history.newest]
	if revision != r.history.newest || !maps.EqualFunc(found, want, sameEntry) {
		r.history.problem("M1.4a: restart at revision %d with %d entries, committed were %d with %d", revision, len(found), r.history.newest, len(want))
	}
	r.history.mu.Unlock()
	return r.Applier.Restore(revision, func(yield func(*store.Entry) bool) {
		for _, k := range slices.Sorted(maps.Keys(found)) {
			if e := found[k]; !yield(&e) {
				return
			}
		}
	})
}

func sameEntry(a, b store.Entry) bool {
	return a.Key == b.Key && string(a.Value) == string(b.Value) && a.CreateRevision == b.CreateRevision && a.ModRevision == b.ModRevision
}

// Apply implements store.Applier.
func (r recording) Apply(commits []store.Commit) {
	r.history.mu.Lock()
	for _, c := range commits {
		r.history.record(c)
	}
	r.history.mu.Unlock()
	r.Applier.Apply(commits)
}

func (h *history) record(c store.Commit) {
	if c.Revision != h.newest+1 {
		h.problem("M1.2a: revision %d after %d", c.Revision, h.newest)
	}
	reasons := map[string]musterv1.RemovalReason{}
	for _, raw := range c.Notes {
		n := &storepb.RemovalNote{}
		if err := proto.Unmarshal(raw, n); err != nil {
			h.problem("note: %v", err)
		}
		for _, k := range n.GetKeys() {
			reasons[k] = musterv1.RemovalReason(n.GetReason())
		}
	}
	before := h.states[h.newest]
	next, written := maps.Clone(before), map[string]bool{}
	for _, e := range c.Events {
		if written[e.Key] {
			h.problem("M1.2a: revision %d writes %s twice", c.Revision, e.Key)
		}
		written[e.Key] = true
		if !e.Deleted {
			h.checkPublicChange(before, e)
			next[e.Key] = *e.Entry
			continue
		}
		if strings.HasPrefix(e.Key, "/i/") {
			h.removals = append(h.removals, removal{c.Revision, time.Now(), e.Key, instanceRecord(before[e.Key]).GetLeaseId(), reasons[e.Key]})
		}
		delete(next, e.Key)
	}
	h.states[c.Revision], h.newest = next, c.Revision
}

// checkPublicChange holds an instance's write to the rule that its public form
// changes with it.
func (h *history) checkPublicChange(before state, e store.Event) {
	old, ok := before[e.Key]
	if !ok || !strings.HasPrefix(e.Key, "/i/") {
		return
	}
	a, b := publicForm(old), publicForm(*e.Entry)
	a.Tag, b.Tag, a.ModifyTime, b.ModifyTime = 0, 0, nil, nil
	if proto.Equal(a, b) && instanceRecord(old).GetLeaseId() == instanceRecord(*e.Entry).GetLeaseId() {
		h.problem("M1.3a: %s was written at %d without a public change", e.Key, e.ModRevision)
	}
}

func instanceRecord(e store.Entry) *storepb.InstanceRecord {
	r := &storepb.InstanceRecord{}
	if err := proto.Unmarshal(e.Value, r); err != nil {
		panic(err)
	}
	return r
}

func publicForm(e store.Entry) *musterv1.Instance {
	in := &musterv1.Instance{}
	if err := proto.Unmarshal(instanceRecord(e).GetInstance(), in); err != nil {
		panic(err)
	}
	return in
}

// lastRemoval is why a key went, as of a revision.
func (h *history) lastRemoval(key string, upTo uint64) musterv1.RemovalReason {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range slices.Backward(h.removals) {
		if r.key == key && r.revision <= upTo {
			return r.reason
		}
	}
	return musterv1.RemovalReason_REMOVAL_REASON_UNSPECIFIED
}

// lastOf is the last removal of a key that begins so.
func (h *history) lastOf(prefix string) removal {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range slices.Backward(h.removals) {
		if strings.HasPrefix(r.key, prefix) {
			return r
		}
	}
	return removal{}
}

// seen is an entry as a watcher must see it.
type seen struct {
	modify, tag uint64
}

// matching is what a wish matches in a state, computed the slow way.
func (s state) matching(w wish) map[string]seen {
	out := map[string]seen{}
	for k, e := range s {
		switch {
		case strings.HasPrefix(k, "/v/"):
			if ns, svc, _ := strings.Cut(strings.TrimPrefix(k, "/v/"), "/"); w.names(ns, svc) {
				st := &musterv1.ServiceState{}
				if err := proto.Unmarshal(e.Value, st); err != nil {
					panic(err)
				}
				out[k] = seen{e.ModRevision, st.GetTag()}
			}
		case strings.HasPrefix(k, "/i/"):
			if in := publicForm(e); w.names(in.GetNamespace(), in.GetService()) && w.passes(in) {
				out[k] = seen{e.ModRevision, in.GetTag()}
			}
		}
	}
	return out
}

// digestOf sums up a set as docs/protocol.md says.
func digestOf(set map[string]seen) (sum uint64) {
	for k, e := range set {
		kind := byte(2)
		if strings.HasPrefix(k, "/i/") {
			kind = 1
		}
		parts := append(strings.Split(k[3:], "/"), "")[:3]
		b := []byte{kind}
		for _, p := range parts {
			b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
			b = append(b, p...)
		}
		b = binary.LittleEndian.AppendUint64(b, e.modify)
		sum += xxhash.Sum64(binary.LittleEndian.AppendUint64(b, e.tag))
	}
	return sum
}
