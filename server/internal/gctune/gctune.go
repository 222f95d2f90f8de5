// Package gctune runs the garbage collector as suits a registry: rarely while
// the heap is small, often enough that a large one stays small, not at all
// while a store is being loaded, and once when everything has gone quiet.
//
// Go's default lets the heap double between two collections. A registry of a
// thousand instances lives in a few megabytes and would collect them dozens of
// times a second; one of a million would hold twice what it needs. So the room
// between two collections is [Room]: at least 64 MiB, else 40 % of what lives.
//
// An operator who sets GOGC decides instead: then nothing here has any effect.
// GOMEMLIMIT is the runtime's business in any case, and goes before all this.
//
// The settings are those of the process. Use one [Tuner] at a time.
package gctune

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	leastRoom   = 64 << 20
	roomPercent = 40
	// goHeap is what Go takes the heap for if it is smaller.
	goHeap = 4 << 20
	// every is how often the collector's settings are looked at.
	every = time.Second
	// quietTicks is after how many of these without much allocation garbage is
	// collected and the memory given back, and quietBytes what is not much.
	quietTicks = 3
	quietBytes = 1 << 20
	// worthwhile is how much garbage there must be for that, at least.
	worthwhile = 8 << 20
)

// Room is how much may be allocated between two collections, in bytes, when so
// many live.
func Room(live uint64) uint64 { return max(leastRoom, live*roomPercent/100) }

// Tuner is what holds the settings. A nil Tuner does nothing.
type Tuner struct {
	ours     bool
	previous int
	stop     chan struct{}
	once     sync.Once
	joined   sync.WaitGroup
}

// Load turns the collector off, for loading a store: almost all that is
// allocated then stays. Start, or Stop, must follow.
func Load() *Tuner {
	t := &Tuner{stop: make(chan struct{}), ours: os.Getenv("GOGC") == ""}
	if t.ours {
		t.previous = debug.SetGCPercent(-1)
	}
	return t
}

// Start collects what the loading left, beside whatever else goes on, and from
// then on follows what lives.
func (t *Tuner) Start() {
	if t == nil || !t.ours {
		return
	}
	t.joined.Go(func() {
		// With the collector off, nobody who allocates meanwhile has to help.
		debug.FreeOSMemory()
		w := watch{last: read()}
		debug.SetGCPercent(percent(w.last))
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-t.stop:
				return
			}
			s := read()
			debug.SetGCPercent(percent(s))
			if w.quietAt(s) {
				debug.FreeOSMemory()
			}
		}
	})
}

// Stop puts back what was set before Load. It is idempotent.
func (t *Tuner) Stop() {
	if t == nil || !t.ours {
		return
	}
	t.once.Do(func() {
		close(t.stop)
		t.joined.Wait()
		debug.SetGCPercent(t.previous)
	})
}

// sample is what the runtime says of itself. Bytes and cycles.
type sample struct {
	live      uint64 // after the last collection
	scanned   uint64 // stacks and globals
	heap      uint64 // live, and garbage
	allocated uint64 // ever
}

func read() sample {
	s := [...]metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/scan/stack:bytes"},
		{Name: "/gc/scan/globals:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(s[:])
	v := func(i int) uint64 {
		if s[i].Value.Kind() != metrics.KindUint64 {
			return 0 // a later Go has no such figure: as if there were none of it
		}
		return s[i].Value.Uint64()
	}
	return sample{live: v(0), scanned: v(1) + v(2), heap: v(3), allocated: v(4)}
}

// percent is Go's setting for the Room of what lives. Go takes its share of
// all that is scanned, and of no less than a few megabytes.
func percent(s sample) int {
	return int(Room(s.live) * 100 / max(goHeap, s.live+s.scanned))
}

// watch looks for the moment when everything has gone quiet.
type watch struct {
	last  sample
	ticks int // for which it has been quiet
}

// quietAt tells whether now is the time to collect, and to give memory back to
// the system: once in each quiet time, if it is worth it.
func (w *watch) quietAt(s sample) bool {
	if s.allocated-w.last.allocated > quietBytes {
		w.ticks = 0
	} else {
		w.ticks++
	}
	w.last = s
	return w.ticks == quietTicks && s.heap >= s.live+worthwhile
}
