package section

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/muster-registry/muster/bench/fan"
)

// frameAge measures how old the oldest change of each frame was when the
// server made the frame. The server tells its uptime then, in whole
// milliseconds; when it started is taken from the frame that was fastest here,
// so that the age is too high by the time that this one took, if anything.
type frameAge struct {
	fan.Histogram
	started atomic.Int64
}

func newFrameAge() *frameAge {
	a := &frameAge{}
	a.started.Store(math.MaxInt64)
	return a
}

func (a *frameAge) add(f *fan.Frame, now time.Time) {
	if f.UptimeMs == 0 || f.Oldest == 0 {
		return
	}
	uptime := time.Duration(f.UptimeMs) * time.Millisecond
	start := now.Add(-uptime).UnixNano()
	for {
		known := a.started.Load()
		if start >= known {
			start = known
			break
		}
		if a.started.CompareAndSwap(known, start) {
			break
		}
	}
	a.Add(time.Duration(start-f.Oldest) + uptime)
}
