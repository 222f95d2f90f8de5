package rules

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// subsetOf keeps the members of the first slots in an order that is the
// client's own, so that many clients with few connections each spread evenly
// (gRFC A68). A slot that comes or goes changes at most one of them.
func subsetOf(candidates []Candidate, members []int, size int, clientID uint64, why []Why) []int {
	if len(members) <= size {
		return members
	}
	type ranked struct {
		member int
		hash   uint64
	}
	order := make([]ranked, len(members))
	space := binary.LittleEndian.AppendUint64(nil, clientID)
	for n, i := range members {
		order[n] = ranked{i, xxhash.Sum64(candidates[i].Key.append(space[:8]))}
	}
	slices.SortStableFunc(order, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), CompareSlotKeys(candidates[a.member].Key, candidates[b.member].Key))
	})
	var kept []int
	slots := 0
	for n, r := range order {
		if n == 0 || candidates[r.member].Key != candidates[order[n-1].member].Key {
			slots++
		}
		if slots > size {
			why[r.member] = WhySubset
			continue
		}
		kept = append(kept, r.member)
	}
	return kept
}
