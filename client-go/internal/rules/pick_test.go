package rules

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func BenchmarkPick(b *testing.B) {
	for _, slots := range []int{3, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(slots), func(b *testing.B) {
			states := make([]SlotState, slots)
			loads := make([]uint64, slots)
			for n := range states {
				states[n].Weight, loads[n] = rand.Uint64N(100)+1, rand.Uint64N(10)
			}
			table := UsableOf(states).Table
			load := func(position int) uint64 { return loads[position] }
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := Pick(&table, rand.Uint64(), rand.Uint64(), nil, 0, Nobody, load); !ok {
					b.Fatal("nothing was picked")
				}
			}
		})
	}
}

func BenchmarkPlan(b *testing.B) {
	candidates := make([]Candidate, 1000)
	for n := range candidates {
		candidates[n] = Candidate{Key: SlotKey{Address: fmt.Sprint("10.0.0.1:", n)}, Weight: 100, Version: "1.2.3", Region: "eu", Zone: "eu-a"}
	}
	policy := Policy{VersionShares: []VersionShare{{Range: ">=2.0.0", Share: 1000}}}
	for b.Loop() {
		if p := PlanOf(candidates, policy, Self{Region: "eu", Zone: "eu-a"}); len(p.Slots) != DefaultSubsetSize {
			b.Fatal(len(p.Slots))
		}
	}
}

func BenchmarkRing(b *testing.B) {
	slots := make([]RingSlot, DefaultSubsetSize)
	for n := range slots {
		slots[n] = RingSlot{SlotKey{Address: fmt.Sprint("10.0.0.1:", n)}, 100}
	}
	for b.Loop() {
		NewRing(slots)
	}
}
