package lease

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

func benchTable(leases int) (*Table, []Key) {
	t, keys := NewTable(start), make([]Key, leases)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable
	for i := range keys {
		keys[i] = Key{random.Uint64(), random.Uint64()}
		t.Put(keys[i].ID(), 15*time.Second, 1, start)
	}
	random.Shuffle(leases, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return t, keys
}

// renewAll renews leases in requests of 256, as clients do.
func renewAll(b *testing.B, t *Table, keys []Key, now time.Time) {
	b.Helper()
	var out Renewal
	for from := 0; from < len(keys); from += 256 {
		t.Renew(keys[from:min(from+256, len(keys))], 0, now, &out)
		if len(out.Exceptions) > 0 {
			b.Fatal("not confirmed")
		}
	}
}

// BenchmarkConfirm renews leases in requests of 256.
func BenchmarkConfirm(b *testing.B) {
	for _, leases := range []int{1_000, 50_000, 1_000_000} {
		b.Run(fmt.Sprint(leases), func(b *testing.B) {
			t, keys := benchTable(leases)
			now := start
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Millisecond)
				renewAll(b, t, keys, now)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*leases), "ns/lease")
		})
	}
}

// BenchmarkParseKey reads one lease_id.
func BenchmarkParseKey(b *testing.B) {
	id := []byte("0123456789abcdef0123456789abcdef")
	for b.Loop() {
		if _, ok := ParseKey(id); !ok {
			b.Fatal("not read")
		}
	}
}

// BenchmarkSweeper is what the sweeper costs while leases are renewed each 5 s:
// it puts off those whose old deadline has come. An iteration is 5 s of it.
func BenchmarkSweeper(b *testing.B) {
	for _, leases := range []int{50_000, 1_000_000} {
		b.Run(fmt.Sprint(leases), func(b *testing.B) {
			const tick, ticks = 10 * time.Millisecond, 500
			t, keys := benchTable(leases)
			now := start
			var swept time.Duration
			for b.Loop() {
				for i := range ticks {
					now = now.Add(tick)
					renewAll(b, t, keys[i*leases/ticks:(i+1)*leases/ticks], now)
					began := time.Now()
					if due := t.Tick(now, 1024); due != nil {
						b.Fatal("expired")
					}
					swept += time.Since(began)
				}
			}
			b.ReportMetric(100*swept.Seconds()/(float64(b.N)*ticks*tick.Seconds()), "%core")
		})
	}
}

// BenchmarkMemory is what a lease takes, as the garbage collector sees it.
func BenchmarkMemory(b *testing.B) {
	const leases = 1_000_000
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		t, keys := benchTable(leases)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/leases-16, "B/lease")
		runtime.KeepAlive(t)
		runtime.KeepAlive(keys)
	}
}
