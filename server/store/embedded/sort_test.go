package embedded

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-registry/muster/server/internal/entrymap"
	"github.com/muster-registry/muster/server/store"
)

// TestSortedIsKeyOrder, whatever is in the keys: few letters, zeros among
// them, so that keys begin alike and end within each other.
func TestSortedIsKeyOrder(t *testing.T) {
	piece := rapid.SampledFrom([]string{"", "\x00", "a", "b", "/", "\xff", "/i/default/", "aaaaaaaa", "\x00\x00\x00\x00\x00\x00\x00\x00"})
	rapid.Check(t, func(t *rapid.T) {
		m, want := &entrymap.Map{}, []string{}
		for range rapid.IntRange(0, 200).Draw(t, "keys") {
			key := "/"
			for range rapid.IntRange(0, 6).Draw(t, "pieces") {
				key += piece.Draw(t, "piece")
			}
			if m.Set(&store.Entry{Key: key}) == nil {
				want = append(want, key)
			}
		}
		slices.Sort(want)
		var got []string
		for _, e := range sorted(m, nil) {
			got = append(got, e.Key)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q\nwant %q", got, want)
		}
	})
}

// BenchmarkSorted sorts what a snapshot of so many instances and leases holds.
func BenchmarkSorted(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m, rng := &entrymap.Map{}, rand.New(rand.NewPCG(1, 2))
			for i := range n {
				m.Set(&store.Entry{Key: benchKey(i)})
				m.Set(&store.Entry{Key: fmt.Sprintf("/l/%016x%016x", rng.Uint64(), rng.Uint64())})
			}
			for b.Loop() {
				sorted(m, nil)
			}
		})
	}
}
