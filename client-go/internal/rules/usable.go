package rules

import "math/bits"

// Reach is what a slot's connection can do for calls at one moment.
type Reach uint8

const (
	// ReachReady takes calls.
	ReachReady Reach = iota
	// ReachComing may become ready without a delay: it is being connected, is
	// about to be, or was lost this instant.
	ReachComing
	// ReachAway waits for its next attempt.
	ReachAway
)

// SlotState is a slot of a plan with what is known of its connection.
type SlotState struct {
	// Weight is the slot's share of new calls; 0 takes none.
	Weight uint64
	// Reach of its connection.
	Reach Reach
	// FailedMs is when its last attempt failed, on any clock that never steps.
	FailedMs int64
}

// Mode is what calls meet.
type Mode uint8

const (
	// ModeServe means that there is a table to pick from.
	ModeServe Mode = iota
	// ModeWait means that nothing is ready, but something soon is, or has failed.
	ModeWait
	// ModeEmpty means that no slot takes calls. The plan tells why.
	ModeEmpty
	// ModeUnreachable means that every slot that takes calls has failed.
	ModeUnreachable
)

// Usable is what a plan comes to with the connections as they are.
type Usable struct {
	// Mode decides which of the others has a meaning.
	Mode Mode
	// Table is what to pick from in ModeServe.
	Table Table
	// Failed is the slot that failed last in ModeUnreachable, the first of
	// several.
	Failed int
}

// UsableOf decides what calls meet. It never mixes: a table has only slots that
// are ready, and calls wait only if none is.
func UsableOf(slots []SlotState) Usable {
	u := Usable{Mode: ModeEmpty}
	var ready int
	for i, s := range slots {
		if s.Weight == 0 {
			continue
		}
		switch {
		case s.Reach == ReachReady:
			ready++
			u.Mode = ModeServe
		case ready > 0:
		case s.Reach == ReachComing:
			u.Mode = ModeWait
		case u.Mode == ModeEmpty, u.Mode == ModeUnreachable && s.FailedMs > slots[u.Failed].FailedMs:
			u.Mode, u.Failed = ModeUnreachable, i
		}
	}
	if ready > 0 {
		u.Table = tableOf(slots, ready)
	}
	return u
}

// tableOf lists the ready slots with the sums of their weights.
func tableOf(slots []SlotState, ready int) Table {
	t := Table{Slots: make([]int, 0, ready), Prefix: make([]uint64, 0, ready)}
	shift := shiftToFit(slots)
	var sum uint64
	for i, s := range slots {
		if s.Weight > 0 && s.Reach == ReachReady {
			sum += max(s.Weight>>shift, 1)
			t.Slots, t.Prefix = append(t.Slots, i), append(t.Prefix, sum)
		}
	}
	return t
}

// shiftToFit is by how many bits to shift weights to the right, each staying at
// least 1, so that the sum of the ready ones fits into 64 bits.
func shiftToFit(slots []SlotState) (shift uint) {
	for {
		var sum, carry uint64
		for _, s := range slots {
			if s.Weight > 0 && s.Reach == ReachReady && carry == 0 {
				sum, carry = bits.Add64(sum, max(s.Weight>>shift, 1), 0)
			}
		}
		if carry == 0 {
			return shift
		}
		shift++
	}
}
