package fan

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	subBits = 5 // 32 buckets per doubling: values are known to 3 %
	buckets = 40 << subBits
)

// Histogram counts durations of 1 us and more, known to 3 %. All methods may be
// called concurrently.
type Histogram struct {
	counts [buckets]atomic.Uint64
	max    atomic.Int64
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	us := d.Microseconds()
	h.counts[bucket(us)].Add(1)
	for {
		have := h.max.Load()
		if us <= have || h.max.CompareAndSwap(have, us) {
			return
		}
	}
}

// Count is how many durations were counted.
func (h *Histogram) Count() uint64 {
	var n uint64
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Quantile is the duration below which perMille thousandths of all are; 0 if
// nothing was counted.
func (h *Histogram) Quantile(perMille uint64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	var n uint64
	for i := range h.counts {
		n += h.counts[i].Load()
		if n*1000 >= total*perMille {
			return min(upper(i), h.Max())
		}
	}
	return h.Max()
}

// Max is the longest duration counted.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) * time.Microsecond }

// Reset forgets everything. Durations that are added meanwhile may be lost.
func (h *Histogram) Reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
	h.max.Store(0)
}

func bucket(us int64) int {
	v := uint64(max(us, 0)) //nolint:gosec // not negative
	if v < 1<<subBits {
		return int(v) //nolint:gosec // below 32
	}
	shift := bits.Len64(v) - subBits - 1
	return min(shift<<subBits+int(v>>shift), buckets-1) //nolint:gosec // below 64
}

// upper is the end of a bucket.
func upper(i int) time.Duration {
	if i < 1<<(subBits+1) {
		return time.Duration(i) * time.Microsecond
	}
	shift := i>>subBits - 1
	v := int64(i-shift<<subBits+1)<<shift - 1
	return time.Duration(v) * time.Microsecond
}
