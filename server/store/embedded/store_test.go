package embedded

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded/internal/crashfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onDisk starts a store on a new disk in memory, with small files.
func onDisk(t *testing.T) (*Store, *crashfs.FS, *recorder) {
	t.Helper()
	disk := crashfs.New(1)
	s := mustOpen(t, Options{Dir: worldDir, SegmentBytes: 16 << 10, SnapshotBytes: 8 << 10, fs: disk.Process()})
	r := &recorder{}
	if err := s.Start(r); err != nil {
		t.Fatal(err)
	}
	return s, disk, r
}

func create(key string, value []byte) store.Mutation {
	return store.Mutation{Guards: []store.Guard{{Key: key}}, Puts: []store.Put{{Key: key, Value: value}}}
}

func propose(s *Store, m store.Mutation) *sent {
	p := &sent{mutation: m}
	s.Propose(m, func(o store.Outcome, err error) { p.outcome, p.err, p.answers = o, err, p.answers+1 })
	return p
}

// gate makes operations of a kind on files with a prefix wait until it opens.
type gate struct {
	open chan struct{}
	once sync.Once
}

func newGate(disk *crashfs.FS, kind crashfs.Kind, prefix string) *gate {
	g := &gate{open: make(chan struct{})}
	disk.SetFault(func(op crashfs.Op) crashfs.Fault {
		if op.Kind == kind && strings.HasPrefix(op.Path, worldDir+"/"+prefix) {
			<-g.open
		}
		return crashfs.Fault{}
	})
	return g
}

func (g *gate) lift() { g.once.Do(func() { close(g.open) }) }

// TestBatchesFormByThemselves: an idle store commits at once, and what comes
// while it syncs goes into one frame; nothing ever waits for a timer.
func TestBatchesFormByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s, disk, _ := onDisk(t)
		g := newGate(disk, crashfs.Sync, segmentPrefix)
		all := []*sent{propose(s, create("/0", nil))}
		synctest.Wait() // the first is being synced
		for _, key := range []string{"/1", "/2", "/3", "/1"} {
			all = append(all, propose(s, create(key, nil)))
		}
		synctest.Wait()
		for i, p := range all {
			if p.answers != 0 {
				t.Errorf("mutation %d was answered before the sync", i)
			}
		}
		g.lift()
		synctest.Wait()
		st := s.Stats()
		if st.Batches != 2 || st.Mutations != 4 || st.Commits != 2 || st.Revision != 2 || st.Entries != 4 {
			t.Errorf("got %+v, want 4 mutations in 2 batches", st)
		}
		if all[4].outcome.Failed == nil || all[4].outcome.Failed[0].ModRevision != 2 {
			t.Errorf("the second to create /1 got %+v", all[4])
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it waited %v", d)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFullQueueIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := crashfs.New(1)
		s := mustOpen(t, Options{Dir: worldDir, SegmentBytes: 4 << 20, fs: disk.Process()})
		if err := s.Start(&recorder{}); err != nil {
			t.Fatal(err)
		}
		g := newGate(disk, crashfs.Sync, segmentPrefix)
		first := propose(s, create("/first", nil))
		synctest.Wait()
		waiting := make([]*sent, QueueLength)
		for i := range waiting {
			waiting[i] = propose(s, create("/"+padded(uint64(i)), nil))
		}
		busy := propose(s, create("/busy", nil))
		synctest.Wait()
		if !errors.Is(busy.err, store.ErrBusy) || first.answers != 0 {
			t.Errorf("above the bound: %v, want ErrBusy", busy.err)
		}
		g.lift()
		synctest.Wait()
		for i, p := range waiting {
			if p.err != nil || !p.outcome.Committed() {
				t.Errorf("mutation %d, within the bound: %+v", i, p)
			}
		}
		later := propose(s, create("/later", nil))
		synctest.Wait()
		if later.err != nil {
			t.Errorf("after the queue was worked off: %v", later.err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFailedSyncIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, disk, r := onDisk(t)
		disk.SetFault(func(op crashfs.Op) crashfs.Fault {
			if op.Kind == crashfs.Sync {
				return crashfs.Fault{Err: syscall.EIO}
			}
			return crashfs.Fault{}
		})
		p := propose(s, create("/k", nil))
		<-s.Failed()
		synctest.Wait()
		disk.SetFault(nil)
		later := propose(s, create("/l", nil))
		synctest.Wait()
		_, probed := s.Probe(t.Context())
		for what, err := range map[string]error{"proposal": p.err, "later": later.err, "Err": s.Err(), "Probe": probed, "Close": s.Close()} {
			if !errors.Is(err, store.ErrFailed) || !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), segmentName(1)) {
				t.Errorf("%s: got %v, want ErrFailed for EIO in %s", what, err, segmentName(1))
			}
		}
		if revision, _, _ := r.snapshot(); revision != 0 {
			t.Errorf("revision %d was applied", revision)
		}
	})
}

// TestNoRoomToOverwrite: file systems that copy on write run out of room in
// allocated files, with any part of a frame written.
func TestNoRoomToOverwrite(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed)
		s, r := w.open(false)
		for range 5 {
			var mu sync.Mutex
			rng := rand.New(rand.NewPCG(w.rng.Uint64(), 6))
			w.disk.SetFault(func(op crashfs.Op) crashfs.Fault {
				mu.Lock()
				defer mu.Unlock()
				if op.Kind == crashfs.Write && op.Offset >= sectorBytes && op.Bytes != sectorBytes && rng.IntN(3) == 0 {
					return crashfs.Fault{Err: syscall.ENOSPC, Written: min(op.Bytes, rng.IntN(2*op.Bytes))}
				}
				return crashfs.Fault{}
			})
			for range 5 {
				w.fill(s, r, 1)
			}
			switch w.rng.IntN(3) {
			case 0:
				continue
			case 1:
				w.disk.Crash()
			case 2:
				w.disk.Kill()
			}
			_ = s.Close() // of a process that is dead
			s, r = w.open(false)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		w.disk.Crash()
		w.live(false)
	})
}

// fillUntil commits until the condition holds.
func fillUntil(t *testing.T, s *Store, holds func() bool) {
	t.Helper()
	for i := range 1000 {
		p := propose(s, create("/fill/"+padded(s.Stats().Revision), make([]byte, 500)))
		synctest.Wait()
		if p.err != nil {
			t.Fatal(p.err)
		}
		if holds() {
			return
		}
		if i == 999 {
			t.Fatalf("it never came to be: %+v", s.Stats())
		}
	}
}

func TestAFailedSnapshotIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, disk, _ := onDisk(t)
		disk.SetFault(func(op crashfs.Op) crashfs.Fault {
			if op.Kind == crashfs.Sync && strings.Contains(op.Path, snapshotPrefix) {
				return crashfs.Fault{Err: syscall.EIO}
			}
			return crashfs.Fault{}
		})
		fillUntil(t, s, func() bool { return s.Stats().SnapshotFailures == 1 })
		fillUntil(t, s, func() bool { return s.Stats().LogBytes > 40<<10 })
		if st := s.Stats(); st.SnapshotFailures != 1 || st.Snapshots != 0 {
			t.Errorf("no time has passed: %+v", st)
		}
		disk.SetFault(nil)
		time.Sleep(snapshotRetry) // virtual
		fillUntil(t, s, func() bool { return s.Stats().Snapshots == 1 })
		if st := s.Stats(); st.LogBytes > 8<<10 {
			t.Errorf("the log was not cut: %+v", st)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if paths := disk.Paths(snapshotPrefix); len(paths) != 1 {
			t.Errorf("snapshots: %v", paths)
		}
	})
}

// TestCommitsGoOnDuringASnapshot, which shows the state as it was when it
// began, and which Close gives up.
func TestCommitsGoOnDuringASnapshot(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, disk, _ := onDisk(t)
			g := newGate(disk, crashfs.Sync, snapshotPrefix)
			fillUntil(t, s, func() bool { return len(disk.Paths(snapshotPrefix)) == 1 })
			began := s.Stats().Revision
			fillUntil(t, s, func() bool { return s.Stats().Revision == began+100 })
			if closed {
				time.AfterFunc(time.Second, g.lift) // while Close waits
			} else {
				g.lift()
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			again := mustOpen(t, Options{Dir: worldDir, SegmentBytes: 16 << 10, fs: disk.Process()})
			if st := again.Stats(); st.Entries != int(began)+100 || st.Revision != began+100 {
				t.Errorf("after reopening: %+v, want %d entries", st, began+100)
			}
			for _, path := range disk.Paths(snapshotPrefix) {
				if strings.HasSuffix(path, tempSuffix) {
					t.Errorf("%s was left", path)
				}
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTheQueueIsBoundedInBytesToo(t *testing.T) {
	var q queue
	p := newProposal(create("/k", make([]byte, 1<<20-100)), nil)
	n := 0
	for q.add(p) {
		n++
	}
	if want := QueueBytes / p.bound; n != want {
		t.Errorf("it took %d mutations of %d bytes, want %d", n, p.bound, want)
	}
	if got := q.take(nil, frameLimit); len(got) != frameLimit/p.bound {
		t.Errorf("a batch of %d, want %d", len(got), frameLimit/p.bound)
	}
	if got := q.take(nil, 1); len(got) != 1 {
		t.Errorf("%d mutations, each larger than the limit, in a batch, want 1", len(got))
	}
	if !q.add(p) {
		t.Error("there is no room after a batch was taken")
	}
}

// TestStartingReadsNoMoreThanTwiceTheState: with everything overwritten again
// and again, log and files stay in proportion to the state.
func TestStartingReadsNoMoreThanTwiceTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, disk, _ := onDisk(t)
		revisions := make(map[string]uint64)
		for i := range 3000 {
			key := "/" + padded(uint64(i%50))
			m := store.Mutation{
				Guards: []store.Guard{{Key: key, Revision: revisions[key]}},
				Puts:   []store.Put{{Key: key, Value: make([]byte, 400)}},
			}
			p := propose(s, m)
			synctest.Wait()
			if !p.outcome.Committed() {
				t.Fatalf("%d: %+v", i, p)
			}
			revisions[key] = p.outcome.Revision
			if st := s.Stats(); st.LogBytes > 2*st.StateBytes+8<<10 {
				t.Fatalf("%d bytes of log for %d of state", st.LogBytes, st.StateBytes)
			}
			if used := disk.Used(); used > 160<<10 {
				t.Fatalf("%d bytes of files for %d of state", used, s.Stats().StateBytes)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
