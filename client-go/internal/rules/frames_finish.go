package rules

import (
	"fmt"
	"slices"
)

func (f *Frames[I, S]) finishDelta(u *Update[I, S]) FrameResult {
	instances, moved, once := f.instances.apply(f.set.Instances, f.instances.changes(u.Instances, u.Removals))
	services, movedToo, onceToo := f.services.apply(f.set.Services, f.services.changes(u.Services, u.Removals))
	if !once || !onceToo || f.unknownKind(u.Removals) {
		return violation("an entry twice in one update, or of no known kind")
	}
	next := EntrySet[I, S]{instances, services, f.set.Digest + moved + movedToo}
	if !f.unverified && !next.matches(u.Header) {
		return f.mismatch("a delta", &next, u.Header)
	}
	gone := f.heldOf(u.Removals)
	f.set = next
	f.settle(u.Header)
	f.confirm(u.Removals)
	return FrameResult{Outcome: FrameApplied, Gone: append(gone, f.endRecovery(u.Header)...)}
}

func (f *Frames[I, S]) finishSnapshot(u *Update[I, S], forbidden []EntryKey, nowMs int64) FrameResult {
	instances, sum, once := f.instances.replace(f.set.Instances, u.Instances)
	services, sumToo, onceToo := f.services.replace(f.set.Services, u.Services)
	if !once || !onceToo {
		return violation("an entry twice in one update")
	}
	next := EntrySet[I, S]{instances, services, sum + sumToo}
	verified := next.matches(u.Header)
	if verified {
		f.mismatches = nil
	} else if !f.acceptMismatch(nowMs) {
		return f.mismatch("a snapshot", &next, u.Header)
	}
	f.unverified = !verified
	if f.position.Epoch < u.Header.Position.Epoch {
		f.keepUnconfirmed()
	}
	f.set = next
	f.settle(u.Header)
	f.confirm(u.Removals)
	f.unconfirmed = slices.DeleteFunc(f.unconfirmed, func(i I) bool {
		key := f.instances.Key(i)
		return slices.Contains(forbidden, EntryKey{Namespace: key.Namespace, Service: key.Service})
	})
	f.endRecovery(u.Header)
	return FrameResult{Outcome: FrameApplied, Snapshot: true, Cause: u.Cause}
}

func (f *Frames[I, S]) unknownKind(removals []Removed) bool {
	return slices.ContainsFunc(removals, func(r Removed) bool { return r.Kind != f.instances.Kind && r.Kind != f.services.Kind })
}

// matches compares a set with what a header says of it.
func (s *EntrySet[I, S]) matches(h *FrameHeader) bool {
	return s.Digest == h.Digest && s.Count() == h.Count
}

// mismatch keeps the set as it is, but does not resume from it.
func (f *Frames[I, S]) mismatch(what string, have *EntrySet[I, S], h *FrameHeader) FrameResult {
	f.distrusted = true
	return FrameResult{Outcome: FrameMismatch, Problem: fmt.Sprintf("%s left digest %016x and count %d, its header says %016x and %d",
		what, have.Digest, have.Count(), h.Digest, h.Count)}
}

// acceptMismatch counts a mismatching snapshot; true if it is to be taken all
// the same. Once one was taken, the retries need not fail three times again.
func (f *Frames[I, S]) acceptMismatch(nowMs int64) bool {
	f.mismatches = slices.DeleteFunc(f.mismatches, func(at int64) bool { return nowMs-at >= mismatchWindowMs })
	f.mismatches = append(f.mismatches, nowMs)
	return f.unverified || len(f.mismatches) >= mismatchesAccepted
}

// settle moves to where a header is.
func (f *Frames[I, S]) settle(h *FrameHeader) {
	f.held, f.distrusted = true, false
	f.position, f.floor = h.Position, h.Position
	f.viewID = h.ViewID
}

// keepUnconfirmed keeps the instances of the old history.
func (f *Frames[I, S]) keepUnconfirmed() {
	kept := slices.Clone(f.unconfirmed)
	for _, i := range f.set.Instances {
		kept = append(kept, f.mark(i))
	}
	slices.SortFunc(kept, func(a, b I) int { return f.instances.Key(a).Compare(f.instances.Key(b)) })
	f.unconfirmed = kept
}

// confirm lets go of unconfirmed instances whose keys appeared or were removed
// in the new history.
func (f *Frames[I, S]) confirm(removals []Removed) {
	if len(f.unconfirmed) == 0 {
		return
	}
	removed := make(map[EntryKey]bool, len(removals))
	for _, r := range removals {
		if r.Kind == f.instances.Kind {
			removed[r.Key] = true
		}
	}
	f.unconfirmed = slices.DeleteFunc(slices.Clone(f.unconfirmed), func(i I) bool {
		key := f.instances.Key(i)
		_, appeared := f.instances.find(f.set.Instances, key)
		return appeared || removed[key]
	})
}

// endRecovery lets go of all unconfirmed instances once recovery is over, and
// names them.
func (f *Frames[I, S]) endRecovery(h *FrameHeader) []Removed {
	if h.Recovering {
		return nil
	}
	gone := make([]Removed, len(f.unconfirmed))
	for i, in := range f.unconfirmed {
		gone[i] = Removed{f.instances.Kind, f.instances.Key(in), ReasonSnapshotAbsent}
	}
	f.unconfirmed = nil
	return gone
}

// heldOf is the part of removals that concerns instances held now.
func (f *Frames[I, S]) heldOf(removals []Removed) []Removed {
	var gone []Removed
	for _, r := range removals {
		_, held := f.instances.find(f.set.Instances, r.Key)
		_, unconfirmed := f.instances.find(f.unconfirmed, r.Key)
		if r.Kind == f.instances.Kind && (held || unconfirmed) {
			gone = append(gone, r)
		}
	}
	return gone
}
