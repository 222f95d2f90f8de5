package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Quantiles are those of the sorted values, within what a bucket holds.
func TestHistogramQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var h Histogram
		var values []time.Duration
		for range 1 + random.IntN(2_000) {
			// Of all magnitudes alike.
			d := time.Duration(random.Uint64() >> (1 + random.IntN(62)))
			values = append(values, d)
			h.Add(d)
		}
		slices.Sort(values)
		if h.Count() != uint64(len(values)) || h.Max() != values[len(values)-1] {
			t.Fatalf("count %d, max %v; want %d, %v", h.Count(), h.Max(), len(values), values[len(values)-1])
		}
		for _, share := range []float64{0, 0.01, 0.5, 0.9, 0.99, 1} {
			rank := max(int(share*float64(len(values))+0.5), 1)
			want, got := values[rank-1], h.Quantile(share)
			if got < want || got-want > want/subBuckets+1 {
				t.Fatalf("quantile %v of %d values is %v, want %v", share, len(values), got, want)
			}
		}
	}
}

func TestHistogramMerge(t *testing.T) {
	var a, b, both Histogram
	for i := range 100 {
		a.Add(time.Duration(i) * time.Microsecond)
		b.Add(time.Duration(i) * time.Millisecond)
		both.Add(time.Duration(i) * time.Microsecond)
		both.Add(time.Duration(i) * time.Millisecond)
	}
	a.Merge(&b)
	if a != both {
		t.Error("merged histograms differ from one that counted everything")
	}
}

func TestEmptyHistogram(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 {
		t.Errorf("quantile %v, max %v", h.Quantile(0.5), h.Max())
	}
	h.Add(-time.Second)
	if h.Quantile(1) != 0 || h.Count() != 1 {
		t.Errorf("a negative duration counts as %v, %d times", h.Quantile(1), h.Count())
	}
}
