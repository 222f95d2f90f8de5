// Package health turns what several sources say of an instance into one
// verdict. It is pure.
package health

import (
	"slices"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	unset     = musterv1.Health_HEALTH_UNSPECIFIED
	healthy   = musterv1.Health_HEALTH_HEALTHY
	operator  = musterv1.HealthSource_HEALTH_SOURCE_OPERATOR
	maxReason = 256
)

// Verdict is the worst of the slots, except that an operator's slot decides
// alone. Without slots an instance is healthy.
func Verdict(slots []*musterv1.HealthSlot) musterv1.Health {
	v := healthy
	for _, s := range slots {
		if s.GetSource() == operator {
			return orHealthy(s.GetHealth())
		}
		v = max(v, orHealthy(s.GetHealth()))
	}
	return v
}

func orHealthy(h musterv1.Health) musterv1.Health {
	if h == unset {
		return healthy
	}
	return h
}

// Set returns the slots with one source's word replaced, sorted by source. A
// source other than an operator that says healthy has no slot. changed tells
// whether that differs from before; the time of a slot does not count.
func Set(slots []*musterv1.HealthSlot, slot *musterv1.HealthSlot) (next []*musterv1.HealthSlot, changed bool) {
	i := slices.IndexFunc(slots, func(s *musterv1.HealthSlot) bool { return s.GetSource() == slot.GetSource() })
	if orHealthy(slot.GetHealth()) == healthy && slot.GetSource() != operator {
		if i < 0 {
			return slots, false
		}
		return slices.Delete(slices.Clone(slots), i, i+1), true
	}
	if i >= 0 && slots[i].GetHealth() == slot.GetHealth() && slots[i].GetReason() == slot.GetReason() {
		return slots, false
	}
	next = slices.Clone(slots)
	if i >= 0 {
		next[i] = slot
		return next, true
	}
	next = append(next, slot)
	slices.SortFunc(next, func(a, b *musterv1.HealthSlot) int { return int(a.GetSource()) - int(b.GetSource()) })
	return next, true
}

// Trim cuts a reason to what the contract allows, at a rune's end.
func Trim(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	end := maxReason
	for end > 0 && reason[end]&0xC0 == 0x80 {
		end--
	}
	return reason[:end]
}
