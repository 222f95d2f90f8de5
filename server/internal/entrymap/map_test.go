package entrymap

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-registry/muster/server/store"
)

func contents(m *Map) map[string]*store.Entry {
	got := map[string]*store.Entry{}
	for e := range m.All {
		got[e.Key] = e
	}
	return got
}

// TestMapAgainstModel changes maps and copies of them at random: each is what
// a Go map would be, whatever becomes of those that it shares memory with.
func TestMapAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type pair struct {
			m    *Map
			want map[string]*store.Entry
		}
		all := []pair{{&Map{}, map[string]*store.Entry{}}}
		// Few hashes apart, so that buckets fill and are shared.
		keys := rapid.IntRange(1, rapid.SampledFrom([]int{3, 40, 20_000}).Draw(t, "spread"))
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			p := all[rapid.IntRange(0, len(all)-1).Draw(t, "map")]
			key := fmt.Sprint(keys.Draw(t, "key"))
			switch rapid.IntRange(0, 9).Draw(t, "action") {
			case 0:
				if len(all) < 6 {
					all = append(all, pair{p.m.Copy(), maps.Clone(p.want)})
				}
			case 1, 2, 3:
				if got := p.m.Delete(key); got != p.want[key] {
					t.Fatalf("deleted %v, want %v", got, p.want[key])
				}
				delete(p.want, key)
			default:
				e := &store.Entry{Key: key}
				if got := p.m.Set(e); got != p.want[key] {
					t.Fatalf("replaced %v, want %v", got, p.want[key])
				}
				p.want[key] = e
			}
		}
		for i, p := range all {
			if got := contents(p.m); !maps.Equal(got, p.want) || p.m.Len() != len(p.want) {
				t.Fatalf("map %d has %v, length %d, want %v", i, got, p.m.Len(), p.want)
			}
			for key, e := range p.want {
				if p.m.Get(key) != e || p.m.GetHashed(HashBytes([]byte(key)), []byte(key)) != e {
					t.Fatalf("map %d does not find %s", i, key)
				}
			}
		}
	})
}

// TestACopyIsReadWhileTheOriginalChanges is for the race detector.
func TestACopyIsReadWhileTheOriginalChanges(t *testing.T) {
	m := &Map{}
	for i := range 1000 {
		m.Set(&store.Entry{Key: fmt.Sprint(i)})
	}
	var readers sync.WaitGroup
	for round := range 20 {
		c, want := m.Copy(), m.Len()
		readers.Go(func() {
			if got := len(contents(c)); got != want {
				t.Errorf("round %d: %d entries, want %d", round, got, want)
			}
		})
		for i := range 100 {
			m.Set(&store.Entry{Key: fmt.Sprint(round*100 + i)})
			m.Delete(fmt.Sprint(i))
		}
	}
	readers.Wait()
}

// TestPartsAreFilledAtOnce fills a map, some of it shared with another, from
// several goroutines.
func TestPartsAreFilledAtOnce(t *testing.T) {
	m := &Map{}
	m.Set(&store.Entry{Key: "before"})
	before := m.Copy()
	m = before.Copy()
	const n, keys = 3, 5000
	parts := m.Split(n, keys)
	var joined sync.WaitGroup
	for i := range n {
		joined.Go(func() {
			for k := range keys {
				e := &store.Entry{Key: fmt.Sprint(k)}
				if hash := Hash(e.Key); Part(hash, n) == i {
					parts[i].SetHashed(hash, e)
				}
			}
		})
	}
	joined.Wait()
	m.Join(parts)
	if m.Len() != keys+1 || len(contents(m)) != keys+1 || before.Len() != 1 || len(contents(before)) != 1 {
		t.Errorf("%d entries (%d counted), want %d; %d before, want 1", len(contents(m)), m.Len(), keys+1, len(contents(before)))
	}
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m, keys := &Map{}, make([]string, n)
			for i := range keys {
				keys[i] = fmt.Sprintf("/l/%032x", i*7919)
				m.Set(&store.Entry{Key: keys[i]})
			}
			i := 0
			for b.Loop() {
				if i += 7919; i >= n {
					i %= n
				}
				if m.Get(keys[i]) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

// BenchmarkSet replaces an entry and publishes a copy, as the view does with
// each commit.
func BenchmarkSet(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m, entries := &Map{}, make([]*store.Entry, n)
			for i := range entries {
				entries[i] = &store.Entry{Key: fmt.Sprintf("/l/%032x", i*7919)}
				m.Set(entries[i])
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if i += 7919; i >= n {
					i %= n
				}
				m.Set(entries[i])
				m.Copy()
			}
		})
	}
}
