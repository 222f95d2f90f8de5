// Package load puts load on servers and measures what comes of it: closed
// loops of workers, and streams with several requests under way.
package load

import (
	"math/bits"
	"time"
)

// subBuckets is how finely each power of two is divided: to 1/64, 1.6 %.
const subBuckets = 64

// Histogram counts durations. It is not for concurrent use: each worker has
// its own, and they are added up in the end.
type Histogram struct {
	counts [64 * subBuckets]uint64
	total  uint64
	max    time.Duration
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// Merge adds what another one counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// Count is how many durations were counted.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the longest one, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the duration that a share of all, from 0 to 1, does not exceed,
// within 1.6 %; 0 if there are none.
func (h *Histogram) Quantile(share float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := max(uint64(share*float64(h.total)+0.5), 1)
	var seen uint64
	for i, n := range h.counts {
		seen += n
		if seen >= rank {
			return min(time.Duration(upper(i)), h.max)
		}
	}
	return h.max
}

// bucket gives each of the first values its own bucket, and divides each
// further power of two by the bits that follow the highest.
func bucket(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - bits.Len64(subBuckets)
	return (shift+1)*subBuckets + int(v>>shift) - subBuckets
}

// upper is the highest value of a bucket.
func upper(i int) uint64 {
	if i < subBuckets {
		return uint64(i)
	}
	shift := i/subBuckets - 1
	return uint64(i%subBuckets+subBuckets+1)<<shift - 1
}
