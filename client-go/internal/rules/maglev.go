package rules

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// RingSize is how many places a ring has: a prime, a hundred times the
// instances that a client usually connects to (Eisenbud and others, "Maglev: a
// fast and reliable software network load balancer", 2016).
const RingSize = 65537

// ringWeight bounds the weights of a ring, so that no product overflows.
const ringWeight = 1 << 32

// Ring leads from a hash to a slot: each place holds the index of a slot.
type Ring []uint32

// RingSlot is a slot as a ring needs it.
type RingSlot struct {
	// Key of the slot.
	Key SlotKey
	// Weight is its share of the places; 0 has none.
	Weight uint64
}

// NewRing gives places to slots in proportion to their weights, at least one to
// each as long as there are places. Slots that come and go move few of the
// others' places. It is nil if no slot has a weight.
func NewRing(slots []RingSlot) Ring {
	turns := newTurns(slots)
	if len(turns) == 0 {
		return nil
	}
	ring := make(Ring, RingSize)
	for i := range ring {
		ring[i] = emptyPlace
	}
	heaviest := slices.MaxFunc(turns, func(a, b turn) int { return cmp.Compare(a.weight, b.weight) }).weight
	free := RingSize
	for round := uint64(1); ; round++ {
		for i := range turns {
			t := &turns[i]
			if round*t.weight < t.due {
				continue
			}
			t.due += heaviest
			t.take(ring)
			if free--; free == 0 {
				return ring
			}
		}
	}
}

const emptyPlace = ^uint32(0)

// turn is how a slot takes places: at, at + skip, at + 2 × skip and so on.
type turn struct {
	slot     uint32
	weight   uint64
	due      uint64
	at, skip uint64
}

func newTurns(slots []RingSlot) []turn {
	var shift uint
	for _, s := range slots {
		for s.Weight>>shift >= ringWeight {
			shift++
		}
	}
	var turns []turn
	var space []byte
	for i, s := range slots {
		if s.Weight == 0 {
			continue
		}
		space = s.Key.append(append(space[:0], 1))
		at := xxhash.Sum64(space) % RingSize
		space[0] = 2
		skip := xxhash.Sum64(space)%(RingSize-1) + 1
		turns = append(turns, turn{slot: uint32(i), weight: max(s.Weight>>shift, 1), at: at, skip: skip})
	}
	return turns
}

// take occupies the next free place of the slot's own order.
func (t *turn) take(ring Ring) {
	for ring[t.at] != emptyPlace {
		t.at = (t.at + t.skip) % RingSize
	}
	ring[t.at] = t.slot
}

// lookup walks from the hash's place to the first slot that is in the table and
// not excluded.
func (r Ring) lookup(t *Table, hash uint64, exclude int) (position int, ok bool) {
	at := hash % uint64(len(r))
	for range r {
		position, ok := slices.BinarySearch(t.Slots, int(r[at]))
		if ok && position != exclude {
			return position, true
		}
		if at++; at == uint64(len(r)) {
			at = 0
		}
	}
	return 0, false
}
