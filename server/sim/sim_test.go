package sim

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

const (
	steps        = 250
	seedsPerTest = 20
)

// seeds is how many worlds are tried: MUSTER_SIM_SEEDS, or 100, or 20 with
// -short. MUSTER_SIM_SEED tries one alone.
func seeds(t *testing.T) (first, n uint64) {
	read := func(name string, unset uint64) uint64 {
		v, err := strconv.ParseUint(os.Getenv(name), 10, 64)
		if err != nil {
			return unset
		}
		return v
	}
	if one := read("MUSTER_SIM_SEED", 0); one != 0 {
		return one, 1
	}
	if testing.Short() {
		return 1, read("MUSTER_SIM_SEEDS", 20)
	}
	t.Helper()
	return 1, read("MUSTER_SIM_SEEDS", 100)
}

func TestSimulation(t *testing.T) {
	first, n := seeds(t)
	r := &rules{n: map[string]int{}}
	for from := first; from < first+n; from += seedsPerTest {
		to := min(from+seedsPerTest, first+n)
		t.Run(fmt.Sprintf("seeds %d-%d", from, to-1), func(t *testing.T) {
			for seed := from; seed < to && !t.Failed(); seed++ {
				synctest.Test(t, func(t *testing.T) { newWorld(t, seed, r).run(steps) })
			}
		})
	}
	if n > 1 {
		judgeCoverage(t, r)
	}
}

// proven are the rules that every run of many seeds must put to the proof.
var proven = strings.Fields(`M1.4a M2.1a M2.2a M2.3f M2.4a M2.5a M2.5b M2.6a M2.6b M2.7a M2.8b
	M2.9a/first M2.9a/view M2.9a/ahead M2.9a/digest M2.9a/compacted M2.12/set M2.12/order M3.2a M5.7a
	M6.2a M6.2a/order M6.2a/lost M6.2c M6.4/on-time M6.8a M6.8b M6.9b/create M6.9b/fenced M6.9b/exists M7.6a emptied emptied/reason`)

func judgeCoverage(t *testing.T, r *rules) {
	for _, id := range proven {
		if r.n[id] == 0 {
			t.Errorf("rule %s was never put to the proof", id)
		}
	}
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(r.n)) {
		fmt.Fprintf(&b, " %s:%d", id, r.n[id])
	}
	t.Logf("proofs:%s", b.String())
}
