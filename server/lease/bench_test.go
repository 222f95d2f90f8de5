package lease

import (
	"fmt"
	"testing"
	"time"
)

const benchLeases = 50_000

func benchTable(b *testing.B) (*Table, []string) {
	b.Helper()
	t, ids := NewTable(start), make([]string, benchLeases)
	for i := range ids {
		ids[i] = fmt.Sprintf("%032x", i)
		t.Put(ids[i], 15*time.Second, 1, start)
	}
	return t, ids
}

// BenchmarkConfirm renews 50,000 leases in requests of 256, as clients do.
func BenchmarkConfirm(b *testing.B) {
	t, ids := benchTable(b)
	now := start
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		for from := 0; from < len(ids); from += 256 {
			if x := t.ConfirmAll(ids[from:min(from+256, len(ids))], now, nil); x != nil {
				b.Fatal("not confirmed")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchLeases), "ns/lease")
}

// BenchmarkTick is the sweeper's look at 50,000 leases that are renewed each 5 s:
// it reschedules those whose old deadline has come.
func BenchmarkTick(b *testing.B) {
	t, ids := benchTable(b)
	now := start
	ticks := 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(50 * time.Millisecond)
		if ticks++; ticks%100 == 0 {
			t.ConfirmAll(ids, now, nil)
		}
		if due := t.Tick(now, 1024); due != nil {
			b.Fatal("expired")
		}
	}
}
