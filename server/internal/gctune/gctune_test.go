package gctune

import (
	"runtime/debug"
	"testing"
)

func TestPercentLeavesTheRoom(t *testing.T) {
	for _, c := range []struct {
		name string
		sample
		want int
	}{
		{"NothingYet", sample{}, 1600},
		{"AThousandInstances", sample{live: 8 << 20}, 800},
		{"AMillion", sample{live: 900 << 20}, 40},
		{"ManyStacks", sample{live: 64 << 20, scanned: 64 << 20}, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := percent(c.sample); got != c.want {
				t.Errorf("%d %%, want %d", got, c.want)
			}
		})
	}
}

func TestQuietIsFoundOnce(t *testing.T) {
	var w watch
	allocated := uint64(0)
	tick := func(bytes, garbage uint64) bool {
		allocated += bytes
		return w.quietAt(sample{live: 100 << 20, heap: 100<<20 + garbage, allocated: allocated})
	}
	for i := range 10 {
		if tick(10<<20, 50<<20) {
			t.Fatalf("quiet after %d s of work", i)
		}
	}
	for i := 1; i < 10; i++ {
		if got := tick(1000, 50<<20); got != (i == quietTicks) {
			t.Errorf("after %d quiet seconds: %v", i, got)
		}
	}
	tick(10<<20, 50<<20)
	for range 10 {
		if tick(1000, 1<<20) {
			t.Error("a megabyte of garbage is worth no collection")
		}
	}
}

func now() int {
	p := debug.SetGCPercent(-1)
	debug.SetGCPercent(p)
	return p
}

func TestStopPutsBackWhatWas(t *testing.T) {
	t.Setenv("GOGC", "")
	before := now()
	tuner := Load()
	if p := now(); p != -1 {
		t.Errorf("%d %% while loading, want none", p)
	}
	tuner.Start()
	tuner.Stop()
	tuner.Stop()
	if p := now(); p != before {
		t.Errorf("%d %% after the stop, was %d", p, before)
	}
}

func TestTheOperatorDecides(t *testing.T) {
	t.Setenv("GOGC", "77")
	before := now()
	tuner := Load()
	tuner.Start()
	if p := now(); p != before {
		t.Errorf("%d %%, was %d", p, before)
	}
	tuner.Stop()
}
