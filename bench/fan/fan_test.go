package fan

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestStampsTellTheirAge(t *testing.T) {
	start := time.Unix(1_700_000_000, 123_456_789)
	for range 1000 {
		begun := start.Add(rand.N(time.Hour))
		age := rand.N(8 * time.Second)
		stamp := Stamp(begun)
		if stamp < 1 || stamp > 1_000_000 {
			t.Fatalf("stamp %d is no weight", stamp)
		}
		got := Since(stamp, begun.Add(age))
		if d := (got - age).Abs(); d > stampUnit {
			t.Fatalf("a stamp of %v, %v later, is said to be %v old", begun, age, got)
		}
	}
	if got := Since(Stamp(start.Add(time.Millisecond)), start); got != 0 {
		t.Errorf("a stamp from the next millisecond is %v old, not 0", got)
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < 10_000; i += 4 {
				h.Add(time.Duration(i+1) * time.Millisecond)
			}
		})
	}
	wg.Wait()
	for _, perMille := range []uint64{1, 10, 500, 900, 990, 999, 1000} {
		want := time.Duration(perMille) * 10 * time.Millisecond
		if got := h.Quantile(perMille); got < want || got > want+want/30 {
			t.Errorf("%d/1000 are below %v, want %v and at most 3 %% more", perMille, got, want)
		}
	}
	if h.Count() != 10_000 || h.Max() != 10*time.Second {
		t.Errorf("%d values up to %v, want 10000 up to 10s", h.Count(), h.Max())
	}
	if h.Reset(); h.Count() != 0 || h.Quantile(500) != 0 || h.Max() != 0 {
		t.Error("Reset left something")
	}
}

func TestBucketsFollowEachOther(t *testing.T) {
	last := -1
	for us := range int64(1 << 20) {
		b := bucket(us)
		if b != last && b != last+1 {
			t.Fatalf("%d us falls into bucket %d, the value before into %d", us, b, last)
		}
		if us > upper(b).Microseconds() || b > 0 && us <= upper(b-1).Microseconds() {
			t.Fatalf("%d us falls into bucket %d, which ends at %v", us, b, upper(b))
		}
		last = b
	}
}

// Watchers see changes in random steps, each at its own pace. No more than the
// window may be granted beyond what the slowest has seen, and all get through.
func TestWindow(t *testing.T) {
	for _, c := range []struct{ size, group, watchers, changes int }{
		{1, 1, 1, 50}, {1, 1, 7, 50}, {32, 1, 5, 500}, {256, 16, 9, 4096}, {64, 32, 3, 1024},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := NewWindow(c.size, c.group, c.watchers)
			var mu sync.Mutex
			written, seen := 0, make([]int, c.watchers)
			slowest := func() int {
				least := seen[0]
				for _, s := range seen {
					least = min(least, s)
				}
				return least
			}
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					for w.Take() {
						mu.Lock()
						written++
						if ahead := written - slowest(); ahead > c.size {
							t.Errorf("%+v: %d changes ahead of the slowest", c, ahead)
						}
						mu.Unlock()
					}
				})
			}
			for i := range c.watchers {
				wg.Go(func() {
					for at := 0; at < c.changes; {
						time.Sleep(rand.N(time.Millisecond))
						mu.Lock()
						to := min(at+rand.IntN(c.size)+1, written, c.changes)
						seen[i] = to
						mu.Unlock()
						w.Seen(uint64(at), uint64(to))
						at = to
					}
				})
			}
			time.Sleep(time.Minute)
			if got := w.Done(); got < uint64(c.changes) {
				t.Errorf("%+v: everybody has seen %d", c, got)
			}
			w.Close()
			wg.Wait()
		})
	}
}
