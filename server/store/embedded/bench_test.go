package embedded

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

const benchValue = 250

// BenchmarkPropose commits registrations from one worker and from many, each
// of which waits for its answer.
func BenchmarkPropose(b *testing.B) {
	for _, workers := range []int{1, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			s := mustOpen(b, Options{Dir: b.TempDir()})
			if err := s.Start(&forgetful{}); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			proposeAll(b, s, workers, b.N)
			b.StopTimer()
			st := s.Stats()
			b.ReportMetric(float64(st.Durable.Microseconds())/float64(st.Batches), "µs/sync")
			b.ReportMetric(float64(st.Mutations)/float64(st.Batches), "mutations/batch")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkOpen opens a store of so many entries: all in the snapshot, and
// all in the snapshot and again in the log, which is the worst there is.
func BenchmarkOpen(b *testing.B) {
	for _, entries := range []int{100_000, 1_000_000} {
		for _, log := range []bool{false, true} {
			b.Run(fmt.Sprintf("entries=%d/log=%v", entries, log), func(b *testing.B) {
				o := Options{Dir: b.TempDir()}
				fillForBench(b, o, entries, log)
				var cpu time.Duration
				b.ResetTimer()
				for range b.N {
					before := cpuTime(b)
					s := mustOpen(b, o)
					b.StopTimer()
					cpu += cpuTime(b) - before
					b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/op")
					st := s.Stats()
					if st.Entries < entries {
						b.Fatalf("got %+v", st)
					}
					b.ReportMetric(float64(s.committer.keeper.bytes)/1e6, "snapshot-MB")
					b.ReportMetric(float64(st.LogBytes)/1e6, "log-MB")
					if err := s.Close(); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		}
	}
}

// cpuTime is what this process has used: what remains comparable when other
// programs want the machine too.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// forgetful is an applier that keeps nothing.
type forgetful struct{ recorder }

func (*forgetful) Apply([]store.Commit) {}

func benchKey(i int) string { return fmt.Sprintf("/i/default/service-%04d/instance-%07d", i%1000, i) }

func proposeAll(b *testing.B, s *Store, workers, n int) {
	b.Helper()
	value := make([]byte, benchValue)
	var joined sync.WaitGroup
	for w := range workers {
		joined.Go(func() {
			answers := make(chan error, 1)
			done := func(_ store.Outcome, err error) { answers <- err }
			for i := w; i < n; i += workers {
				s.Propose(create(benchKey(i), value), done)
				if err := <-answers; err != nil {
					b.Error(err)
				}
			}
		})
	}
	joined.Wait()
}

// fillForBench leaves a snapshot of so many entries and, if log says so, a log
// after it in which each of them is written once more.
func fillForBench(b *testing.B, o Options, entries int, log bool) {
	b.Helper()
	s := mustOpen(b, o)
	c := s.committer
	appendAll(b, c, entries)
	dir := &listing{dir: o.Dir}
	cluster, err := readMeta(vfs.OS{}, dir)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := writeSnapshot(vfs.OS{}, dir, cluster, c.state, c.log.newest, nil); err != nil {
		b.Fatal(err)
	}
	if log {
		appendAll(b, c, entries)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// appendAll commits all entries in batches of 100, as many workers would.
func appendAll(b *testing.B, c *committer, entries int) {
	b.Helper()
	const batch = 100
	value := make([]byte, benchValue)
	for i := 0; i < entries; i += batch {
		commit := store.Commit{Revision: c.state.revision + 1}
		for j := i; j < min(i+batch, entries); j++ {
			e := store.Entry{Key: benchKey(j), Value: value, CreateRevision: commit.Revision, ModRevision: commit.Revision}
			commit.Events = append(commit.Events, store.Event{Entry: &e})
		}
		if _, err := c.log.append([]store.Commit{commit}); err != nil {
			b.Fatal(err)
		}
		c.state.apply([]store.Commit{commit})
	}
}
