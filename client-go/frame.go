package muster

import (
	"fmt"
	"slices"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// mismatchesAccepted is how many mismatching snapshots within
	// mismatchWindowMs make the last of them be taken as it is.
	mismatchesAccepted = 3
	mismatchWindowMs   = 60_000
)

// fault is why a frame cannot be applied. The set stays as it was.
type fault int

const (
	// faultGap: the update starts elsewhere; reopen with the own position.
	faultGap fault = iota + 1
	// faultViolation: the server broke a rule; reopen with the own position.
	faultViolation
	// faultMismatch: digest or count do not match; reopen without position.
	faultMismatch
)

// frameError is a fault and what is wrong, for people.
type frameError struct {
	fault fault
	text  string
}

// applied is what a frame did.
type applied struct {
	// staged: a chunk was put aside, and nothing changed.
	staged bool
	// cause is set if a snapshot replaced the set.
	cause SnapshotCause
	// gone are the instances that left, with reasons.
	gone []Removal
}

// Removal is an instance that left a view.
type Removal struct {
	// Key of the instance.
	Key Key
	// Reason why it left.
	Reason RemovalReason

	ofService bool
}

// part is a chunk of a snapshot or a delta, in one form.
type part struct {
	header    *musterv1.ViewHeader
	chunk     *musterv1.Chunk
	cause     SnapshotCause // 0 for a delta
	from      uint64        // of a delta
	instances []*Instance
	services  []*ServiceState
	removals  []Removal
}

// frameState is what a client holds of one view, and what is under way to it.
// It is pure: it does no I/O and reads no clock.
type frameState struct {
	set viewSet
	// unconfirmed are entries of a lost history that did not come back yet:
	// sorted, outside of the digest, with keys that set lacks.
	unconfirmed []*Instance
	held        bool
	position    Position
	viewID      uint64
	// floor is where the stream continues from; zero if it was opened without
	// position, so that whatever snapshot comes is taken.
	floor Position
	stage *part
	next  uint32 // index of the next chunk
	// unverified: the set was taken although it did not match.
	unverified bool
	// distrusted: an update did not match, so the position is not resumed from.
	distrusted bool
	mismatches []int64
}

// distrust makes the next stream begin without position.
func (f *frameState) distrust() { f.distrusted = true }

// known is the position to resume from; nil without a verified set.
func (f *frameState) known() *musterv1.KnownView {
	if !f.held || f.unverified || f.distrusted {
		return nil
	}
	return &musterv1.KnownView{
		Epoch: f.position.Epoch, Revision: f.position.Revision,
		ViewId: f.viewID, Digest: f.set.digest, Count: f.set.count(),
	}
}

// beginStream discards what was under way. resumed tells whether the stream
// was opened with known.
func (f *frameState) beginStream(resumed bool) {
	f.stage, f.floor = nil, Position{}
	if resumed {
		f.floor = f.position
	}
}

// instances are all of them, sorted, unconfirmed ones among them.
func (f *frameState) instances() []*Instance { return mergeInstances(f.set.instances, f.unconfirmed) }

// snapshot applies a snapshot's chunk. forbidden services may not be kept.
func (f *frameState) snapshot(s *musterv1.Snapshot, forbidden []ServiceName, nowMs int64) (applied, *frameError) {
	p := newPart(s.GetHeader(), s.GetChunk(), s.GetInstances(), s.GetServices(), s.GetRemoved())
	p.cause = orDefault(SnapshotCause(s.GetCause()), SnapshotFirst)
	return f.part(p, forbidden, nowMs)
}

// delta applies a delta's chunk.
func (f *frameState) delta(d *musterv1.Delta, forbidden []ServiceName, nowMs int64) (applied, *frameError) {
	p := newPart(d.GetHeader(), d.GetChunk(), d.GetInstances(), d.GetServices(), d.GetRemovals())
	p.from = d.GetFromRevision()
	return f.part(p, forbidden, nowMs)
}

// progress verifies, then moves.
func (f *frameState) progress(p *musterv1.Progress) (applied, *frameError) {
	h := p.GetHeader()
	to := Position{h.GetEpoch(), h.GetRevision()}
	switch {
	case h == nil:
		return violation("a progress without header")
	case f.stage != nil:
		return violation("a progress between the chunks of an update")
	case !f.held:
		return violation("a progress before the first snapshot")
	case !to.atLeast(f.position):
		return violation(fmt.Sprintf("a progress to %v from %v", to, f.position))
	}
	if !matches(f.set, h) && !f.unverified {
		return applied{}, mismatch("a progress", f.set, h)
	}
	f.settle(h)
	return applied{gone: f.confirmAll(h)}, nil
}

func newPart(h *musterv1.ViewHeader, c *musterv1.Chunk, instances []*musterv1.Instance, services []*musterv1.ServiceState, removals []*musterv1.Removal) *part {
	p := &part{
		header:    h,
		chunk:     c,
		instances: make([]*Instance, len(instances)),
		services:  make([]*ServiceState, len(services)),
		removals:  make([]Removal, len(removals)),
	}
	for i, in := range instances {
		p.instances[i] = instanceFrom(in)
	}
	for i, s := range services {
		p.services[i] = serviceStateFrom(s)
	}
	for i, r := range removals {
		p.removals[i] = Removal{
			keyOf(r.GetKey()), orDefault(RemovalReason(r.GetReason()), RemovalUnknown),
			r.GetKind() == musterv1.EntryKind_ENTRY_KIND_SERVICE_STATE,
		}
	}
	return p
}

// part stages a chunk, and applies the update after its last.
func (f *frameState) part(p *part, forbidden []ServiceName, nowMs int64) (applied, *frameError) {
	last := p.chunk.GetPosition() == musterv1.ChunkPosition_CHUNK_POSITION_FINAL
	if err := f.stagePart(p); err != nil {
		f.stage = nil
		return applied{}, err
	}
	if !last {
		return applied{staged: true}, nil
	}
	update := f.stage
	f.stage = nil
	if update.cause != 0 {
		return f.finishSnapshot(update, forbidden, nowMs)
	}
	return f.finishDelta(update)
}

// stagePart checks a chunk against those before it and puts it aside.
func (f *frameState) stagePart(p *part) *frameError {
	position := p.chunk.GetPosition()
	switch {
	case p.header == nil:
		return violate("an update without header")
	case position != musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL && position != musterv1.ChunkPosition_CHUNK_POSITION_FINAL:
		return violate("a chunk of no known position")
	case f.stage == nil && p.chunk.GetIndex() != 0:
		return violate("an update that begins in the middle")
	case f.stage == nil:
		if err := f.checkStart(p); err != nil {
			return err
		}
		f.stage, f.next = p, 1
	default:
		if err := f.checkNext(p); err != nil {
			return err
		}
		f.next++
		f.stage.header = p.header
		f.stage.instances = append(f.stage.instances, p.instances...)
		f.stage.services = append(f.stage.services, p.services...)
		f.stage.removals = append(f.stage.removals, p.removals...)
	}
	// Whatever an update brings is in the set afterwards: more cannot be right,
	// and a server that sends for ever must not fill this process's memory.
	if uint64(len(f.stage.instances)+len(f.stage.services)) > f.stage.header.GetCount() {
		return violate("more entries than the set will have")
	}
	return nil
}

// checkStart tells whether an update may begin where it does.
func (f *frameState) checkStart(p *part) *frameError {
	to := Position{p.header.GetEpoch(), p.header.GetRevision()}
	if p.cause == 0 {
		if !f.held || to.Epoch != f.position.Epoch || p.from != f.position.Revision ||
			to.Revision <= p.from || p.header.GetViewId() != f.viewID {
			return &frameError{faultGap, fmt.Sprintf("a delta from revision %d to %v, at %v", p.from, to, f.position)}
		}
		return nil
	}
	behind := to.Epoch < f.floor.Epoch || to.Epoch == f.floor.Epoch && to.Revision < f.floor.Revision
	lost := p.cause == SnapshotHistoryLost && to.Epoch == f.floor.Epoch
	if behind && !lost {
		return violate(fmt.Sprintf("a snapshot at %v after %v", to, f.floor))
	}
	return nil
}

// checkNext tells whether a chunk continues the staged update.
func (f *frameState) checkNext(p *part) *frameError {
	a, b := f.stage.header, p.header
	switch {
	case p.chunk.GetIndex() != f.next, p.cause != f.stage.cause, p.from != f.stage.from:
		return violate("chunks out of order")
	case a.GetViewId() != b.GetViewId(), a.GetEpoch() != b.GetEpoch(), a.GetRevision() != b.GetRevision(),
		a.GetDigest() != b.GetDigest(), a.GetCount() != b.GetCount():
		return violate("chunks of one update with different headers")
	default:
		return nil
	}
}

func (f *frameState) finishDelta(p *part) (applied, *frameError) {
	next, ok := f.set.after(p.instances, p.services, p.removals)
	if !ok {
		return violation("an entry twice in one update")
	}
	if !matches(next, p.header) && !f.unverified {
		return applied{}, mismatch("a delta", next, p.header)
	}
	gone := f.goneFrom(p.removals)
	f.set = next
	f.settle(p.header)
	f.confirm(p.removals)
	return applied{gone: append(gone, f.confirmAll(p.header)...)}, nil
}

func (f *frameState) finishSnapshot(p *part, forbidden []ServiceName, nowMs int64) (applied, *frameError) {
	next, ok := f.set.replaced(p.instances, p.services)
	if !ok {
		return violation("an entry twice in one update")
	}
	if matches(next, p.header) {
		f.mismatches = nil
	} else if !f.acceptMismatch(nowMs) {
		return applied{}, mismatch("a snapshot", next, p.header)
	}
	f.unverified = !matches(next, p.header)
	if recovering(p.header) && f.held && f.position.Epoch < p.header.GetEpoch() {
		f.keepUnconfirmed(f.set.instances)
	}
	gone := f.goneFrom(p.removals)
	f.set = next
	f.settle(p.header)
	f.confirm(p.removals)
	f.unconfirmed = slices.DeleteFunc(f.unconfirmed, func(i *Instance) bool {
		return slices.Contains(forbidden, i.ServiceName())
	})
	f.confirmAll(p.header)
	return applied{cause: p.cause, gone: gone}, nil
}

// matches compares a set with what a header says of it.
func matches(s viewSet, h *musterv1.ViewHeader) bool {
	return s.digest == h.GetDigest() && s.count() == h.GetCount()
}

// acceptMismatch counts a mismatching snapshot; true if it is to be taken all
// the same. Once one was taken, the retries need not fail three times again.
func (f *frameState) acceptMismatch(nowMs int64) bool {
	f.mismatches = slices.DeleteFunc(f.mismatches, func(at int64) bool { return nowMs-at >= mismatchWindowMs })
	f.mismatches = append(f.mismatches, nowMs)
	return f.unverified || len(f.mismatches) >= mismatchesAccepted
}

// settle moves to a header's position. A verified set is verified from then on.
func (f *frameState) settle(h *musterv1.ViewHeader) {
	f.held = true
	f.position = Position{h.GetEpoch(), h.GetRevision()}
	f.viewID = h.GetViewId()
	f.floor = f.position
	f.distrusted = false
	if matches(f.set, h) {
		f.unverified, f.mismatches = false, nil
	}
}

// keepUnconfirmed keeps the instances of the old history.
func (f *frameState) keepUnconfirmed(old []*Instance) {
	kept := slices.Clone(f.unconfirmed)
	for _, i := range old {
		if _, ok := findInstance(f.unconfirmed, i.Key); ok {
			continue
		}
		c := *i
		c.Unconfirmed = true
		kept = append(kept, &c)
	}
	f.unconfirmed = mergeInstances(nil, kept)
}

// confirm lets go of unconfirmed entries whose keys appeared or were removed in
// the new history.
func (f *frameState) confirm(removals []Removal) {
	if len(f.unconfirmed) == 0 {
		return
	}
	removed := make(map[Key]bool, len(removals))
	for _, r := range removals {
		removed[r.Key] = !r.ofService
	}
	f.unconfirmed = slices.DeleteFunc(slices.Clone(f.unconfirmed), func(i *Instance) bool {
		_, appeared := f.set.find(i.Key)
		return appeared || removed[i.Key]
	})
}

// confirmAll lets go of all unconfirmed entries once recovery is over, and
// names them.
func (f *frameState) confirmAll(h *musterv1.ViewHeader) []Removal {
	if recovering(h) || len(f.unconfirmed) == 0 {
		return nil
	}
	gone := make([]Removal, len(f.unconfirmed))
	for i, in := range f.unconfirmed {
		gone[i] = Removal{Key: in.Key, Reason: RemovalSnapshotAbsent}
	}
	f.unconfirmed = nil
	return gone
}

// goneFrom is the part of removals that concerns instances held now.
func (f *frameState) goneFrom(removals []Removal) []Removal {
	var gone []Removal
	for _, r := range removals {
		_, held := f.set.find(r.Key)
		_, unconfirmed := findInstance(f.unconfirmed, r.Key)
		if !r.ofService && (held || unconfirmed) {
			gone = append(gone, r)
		}
	}
	return gone
}

func findInstance(sorted []*Instance, k Key) (*Instance, bool) {
	return viewSet{instances: sorted}.find(k)
}

func recovering(h *musterv1.ViewHeader) bool {
	return slices.Contains(h.GetFlags(), musterv1.ViewFlag_VIEW_FLAG_RECOVERING)
}

func isolated(h *musterv1.ViewHeader) bool {
	return slices.Contains(h.GetFlags(), musterv1.ViewFlag_VIEW_FLAG_ISOLATED)
}

func violation(text string) (applied, *frameError) { return applied{}, violate(text) }

func violate(text string) *frameError { return &frameError{faultViolation, text} }

func mismatch(what string, have viewSet, h *musterv1.ViewHeader) *frameError {
	return &frameError{faultMismatch, fmt.Sprintf("%s left digest %016x and count %d, its header says %016x and %d",
		what, have.digest, have.count(), h.GetDigest(), h.GetCount())}
}
