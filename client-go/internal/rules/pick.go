package rules

import (
	"math"
	"math/bits"
)

// Table is the slots that calls can be sent to at one moment. It is immutable;
// positions in it are what [Pick] returns.
type Table struct {
	// Slots are the indexes of the plan's slots that are ready, rising.
	Slots []int
	// Prefix are the sums of the weights up to and including each slot; they
	// rise strictly.
	Prefix []uint64
}

// Nobody excludes no position from a pick.
const Nobody = -1

// Pick chooses the position of a slot for one call, but never exclude. ok is
// false if nothing else is there.
//
// Without a ring it is a choice of two: one slot drawn by r0 in proportion to
// the weights, another by r1 among the rest; the second is taken if it has room
// for the call where the first has none left, for their weights. With a ring it
// is the slot that the hash leads to. load tells the calls in flight at a
// position.
func Pick(t *Table, r0, r1 uint64, ring Ring, hash uint64, exclude int, load func(position int) uint64) (position int, ok bool) {
	if len(ring) > 0 {
		if position, ok := ring.lookup(t, hash, exclude); ok {
			return position, true
		}
	}
	left := len(t.Slots)
	if exclude >= 0 {
		left--
	}
	if left < 1 {
		return 0, false
	}
	first := t.draw(r0, exclude, Nobody)
	if left == 1 {
		return first, true
	}
	second := t.draw(r1, exclude, first)
	if hasRoom(load(second), t.weight(second), load(first), t.weight(first)) {
		return second, true
	}
	return first, true
}

// draw maps a word to a position in proportion to the weights, as if the
// positions a and b were not there.
func (t *Table) draw(word uint64, a, b int) int {
	if a > b {
		a, b = b, a
	}
	total := t.Prefix[len(t.Prefix)-1]
	point := Below(word, total-t.weight(a)-t.weight(b))
	// In rising order, so that each gap is where the point would meet it.
	for _, gap := range [...]int{a, b} {
		if gap >= 0 && point >= t.start(gap) {
			point += t.weight(gap)
		}
	}
	return t.at(point)
}

// at is the first position whose prefix sum exceeds a point.
func (t *Table) at(point uint64) int {
	low, high := 0, len(t.Prefix)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if t.Prefix[middle] > point {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// start is the sum of the weights before a position.
func (t *Table) start(position int) uint64 {
	if position == 0 {
		return 0
	}
	return t.Prefix[position-1]
}

// weight is that of a position; 0 for nobody.
func (t *Table) weight(position int) uint64 {
	if position < 0 {
		return 0
	}
	return t.Prefix[position] - t.start(position)
}

// hasRoom tells whether a slot, with the call that is to be placed, has no more
// load for its weight than another has without it. With equal weights that is
// less load; and while nothing is in flight, calls follow the weights exactly.
// The products have 128 bits.
func hasRoom(load, weight, otherLoad, otherWeight uint64) bool {
	high, low := bits.Mul64(withOne(load), otherWeight)
	otherHigh, otherLow := bits.Mul64(otherLoad, weight)
	return high < otherHigh || high == otherHigh && low <= otherLow
}

func withOne(load uint64) uint64 {
	if load == math.MaxUint64 {
		return load
	}
	return load + 1
}
