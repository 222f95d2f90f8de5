package embedded

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded/internal/crashfs"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run the property tests with this one seed")
	seedsFlag = flag.Int("seeds", 60, "run the property tests with that many seeds")
)

// eachSeed runs a property test with each of its seeds.
func eachSeed(t *testing.T, property func(t *testing.T, seed uint64)) {
	if *seedFlag != 0 {
		property(t, *seedFlag)
		return
	}
	n := *seedsFlag
	if testing.Short() {
		n /= 10
	}
	for seed := range uint64(n) {
		if !t.Run(fmt.Sprintf("seed=%d", seed+1), func(t *testing.T) { property(t, seed+1) }) {
			return
		}
	}
}

// world is a disk, the truth about it, and the store that has it open.
type world struct {
	t    *testing.T
	rng  *rand.Rand
	disk *crashfs.FS
	opts Options
	model
	serial int
}

const worldDir = "/store"

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), disk: crashfs.New(seed)}
	w.entries = make(map[string]store.Entry)
	w.opts = Options{Dir: worldDir, SegmentBytes: 16 << 10, SnapshotBytes: 24 << 10}
	return w
}

// open opens the store as a new process, and checks what it recovered. It
// returns nil if it could not be opened, which only an injected fault excuses.
func (w *world) open(excused bool) (*Store, *recorder) {
	w.t.Helper()
	o := w.opts
	o.fs = w.disk.Process()
	s, err := Open(o)
	if err != nil {
		if !excused {
			w.t.Fatalf("open: %v", err)
		}
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat) {
			w.t.Fatalf("a crash was taken for damage: %v", err)
		}
		return nil, nil
	}
	r := &recorder{}
	if err := s.Start(r); err != nil {
		w.t.Fatalf("start: %v", err)
	}
	revision, entries, _ := r.snapshot()
	w.recovered(w.t, revision, entries)
	return s, r
}

// burst proposes some mutations, each guarded by what is known so far or by
// something older, and returns at once.
func (w *world) burst(s *Store, r *recorder, all *[]*sent, joined *sync.WaitGroup) {
	_, entries, _ := r.snapshot()
	for range 1 + w.rng.IntN(8) {
		p := &sent{mutation: w.mutation(entries)}
		*all = append(*all, p)
		joined.Add(1)
		s.Propose(p.mutation, func(o store.Outcome, err error) {
			p.outcome, p.err = o, err
			if p.answers++; p.answers == 1 {
				joined.Done()
			}
			if r.mu.Lock(); o.Revision > r.revision {
				r.problems = append(r.problems, fmt.Sprintf("revision %d was confirmed before it was applied", o.Revision))
			}
			r.mu.Unlock()
		})
	}
}

func (w *world) mutation(entries map[string]store.Entry) store.Mutation {
	var m store.Mutation
	for i, n := range w.rng.Perm(30)[:1+w.rng.IntN(4)] {
		key := fmt.Sprintf("/i/default/s/%02d", n)
		e := entries[key]
		g := store.Guard{Key: key, Aspect: store.Aspect(w.rng.IntN(2)), Revision: e.ModRevision}
		if g.Aspect == store.Create {
			g.Revision = e.CreateRevision
		}
		if w.rng.IntN(20) == 0 {
			g.Revision += 1 << 40 // which never comes true
		}
		m.Guards = append(m.Guards, g)
		switch {
		case i > 0 && w.rng.IntN(4) == 0: // only guarded
		case g.Revision > 0 && w.rng.IntN(4) == 0:
			m.Deletes = append(m.Deletes, key)
		default:
			w.serial++
			v := fmt.Sprintf("%d %s", w.serial, strings.Repeat("x", w.rng.IntN(1<<w.rng.IntN(11))))
			m.Puts = append(m.Puts, store.Put{Key: key, Value: []byte(v)})
		}
	}
	if len(m.Puts)+len(m.Deletes) == 0 {
		m.Puts = append(m.Puts, store.Put{Key: m.Guards[0].Key, Value: []byte{}})
	}
	return m
}

// live runs one process until it dies, at the latest after some bursts.
func (w *world) live(excused bool) {
	w.t.Helper()
	s, r := w.open(excused)
	if s == nil {
		return
	}
	var all []*sent
	var joined sync.WaitGroup
	for range 1 + w.rng.IntN(60) {
		w.burst(s, r, &all, &joined)
		if w.rng.IntN(3) > 0 {
			joined.Wait()
		}
	}
	_ = s.Close() // its error is that of the death, if there was one
	joined.Wait()
	w.answered(w.t, all)
	if _, _, problems := r.snapshot(); len(problems) > 0 {
		w.t.Fatalf("the applier saw: %v", problems)
	}
}

// idle opens the store and does nothing with it: what it then shows must be
// durable all the same, also where the process before could not make it so.
func (w *world) idle() {
	w.t.Helper()
	s, _ := w.open(false)
	if err := s.Close(); err != nil {
		w.t.Fatalf("close: %v", err)
	}
}

// dieAt makes the process die at a random operation, by a crash of the
// machine or by a kill; before that, writes may be cut short.
func (w *world) dieAt(crash bool, in int) {
	var mu sync.Mutex
	left := w.rng.IntN(in)
	rng := rand.New(rand.NewPCG(w.rng.Uint64(), 2))
	w.disk.SetFault(func(op crashfs.Op) crashfs.Fault {
		mu.Lock()
		defer mu.Unlock()
		if left--; left == 0 {
			if op.Kind == crashfs.Write { // let a part of it reach the system
				return crashfs.Fault{Err: errDying, Written: rng.IntN(op.Bytes + 1)}
			}
		}
		if left <= 0 {
			if crash {
				w.disk.Crash()
			} else {
				w.disk.Kill()
			}
			return crashfs.Fault{Err: errDying}
		}
		if op.Kind == crashfs.Write && rng.IntN(10) == 0 {
			return crashfs.Fault{Short: true, Written: 1 + rng.IntN(op.Bytes)}
		}
		return crashfs.Fault{}
	})
}

var errDying = errors.New("the process dies")

func TestCrashAnywhere(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed)
		for range 12 {
			crash := w.rng.IntN(4) > 0
			w.dieAt(crash, 300)
			w.live(true)
			// Whatever did not come to die goes on to die now.
			if crash {
				w.disk.Crash()
			} else {
				w.disk.Kill()
			}
		}
		w.live(false)
	})
}

// TestFailedSync lets a write or a sync of the log fail. What the failed
// process left counts only once another has opened the store, and then for
// good.
func TestFailedSync(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed)
		for range 8 {
			left := 1 + w.rng.IntN(40)
			kind := []crashfs.Kind{crashfs.Sync, crashfs.Sync, crashfs.Write, crashfs.SyncDir, crashfs.Rename}[w.rng.IntN(5)]
			var mu sync.Mutex
			w.disk.SetFault(func(op crashfs.Op) crashfs.Fault {
				mu.Lock()
				defer mu.Unlock()
				if op.Kind != kind {
					return crashfs.Fault{}
				}
				if left--; left != 0 {
					return crashfs.Fault{}
				}
				return crashfs.Fault{Err: syscall.EIO, Written: op.Bytes / 2}
			})
			w.live(true)
			w.disk.Kill()
			if w.rng.IntN(2) == 0 {
				w.idle()
			} else {
				w.live(false)
			}
			w.disk.Crash()
		}
		w.live(false)
	})
}

// TestFullDisk makes room and takes it away. A full disk refuses what would
// write, loses nothing, and needs nothing but room to go on.
func TestFullDisk(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed)
		s, r := w.open(false)
		full := 0
		for range 6 {
			w.disk.SetRoom(w.disk.Used() + w.rng.Int64N(40<<10))
			full += w.fill(s, r, 40)
			w.disk.SetRoom(-1)
			if n := w.fill(s, r, 1); n > 0 {
				t.Fatalf("%d mutations found the disk full after room was made", n)
			}
		}
		w.disk.SetRoom(w.disk.Used())
		full += w.fill(s, r, 40)
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		w.disk.Crash()
		w.live(false) // on a disk that is still full
		if full == 0 {
			t.Skip("the disk never was full")
		}
	})
}

// fill commits bursts one after the other, and counts those refused for room.
func (w *world) fill(s *Store, r *recorder, bursts int) (full int) {
	w.t.Helper()
	for range bursts {
		var all []*sent
		var joined sync.WaitGroup
		w.burst(s, r, &all, &joined)
		joined.Wait()
		w.answered(w.t, all)
		for _, p := range all {
			if errors.Is(p.err, store.ErrFull) {
				full++
			}
		}
	}
	return full
}
