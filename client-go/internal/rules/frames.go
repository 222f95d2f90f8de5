package rules

import "fmt"

const (
	// mismatchesAccepted is how many mismatching snapshots within
	// mismatchWindowMs make the last of them be taken as it is.
	mismatchesAccepted = 3
	mismatchWindowMs   = 60_000
)

// Numbers of the contract that frames are judged by.
const (
	// ChunkPartial and ChunkFinal are positions of chunks.
	ChunkPartial = 1
	ChunkFinal   = 2
	// CauseHistoryLost is the cause of a snapshot whose revision may be lower.
	CauseHistoryLost = 5
	// ReasonSnapshotAbsent is why an unconfirmed instance goes in the end.
	ReasonSnapshotAbsent = 6
)

// ViewPosition is a place in history.
type ViewPosition struct {
	Epoch, Revision uint64
}

// before tells whether p is of an older history, or earlier in the same one.
func (p ViewPosition) before(o ViewPosition) bool {
	return p.Epoch < o.Epoch || p.Epoch == o.Epoch && p.Revision < o.Revision
}

// FrameHeader is what a frame says of the view after it.
type FrameHeader struct {
	ViewID        uint64
	Position      ViewPosition
	Digest, Count uint64
	// Recovering: the registry lost history, and instances are coming back.
	Recovering bool
}

// Update is a chunk of a snapshot or of a delta.
type Update[I, S any] struct {
	// Header is nil if the frame had none.
	Header *FrameHeader
	// Index and Position of the chunk; Position is 0 if the frame had none.
	Index    uint32
	Position int32
	// Snapshot tells it from a delta. Cause is of a snapshot, From of a delta.
	Snapshot bool
	Cause    int32
	From     uint64
	// Instances and Services are there afterwards, Removals are not.
	Instances []I
	Services  []S
	Removals  []Removed
}

// Removed is an entry that left, and why.
type Removed struct {
	Kind   int32
	Key    EntryKey
	Reason int32
}

// FrameOutcome is what a frame did.
type FrameOutcome string

// Outcomes of frames. After the last three the view is as it was and the stream
// of no use.
const (
	// FrameStaged: a chunk was put aside, and nothing changed.
	FrameStaged FrameOutcome = "STAGED"
	// FrameApplied: the view moved.
	FrameApplied FrameOutcome = "APPLIED"
	// FrameGap: the update starts elsewhere; reopen with the own position.
	FrameGap FrameOutcome = "GAP"
	// FrameViolation: the server broke a rule; reopen with the own position.
	FrameViolation FrameOutcome = "VIOLATION"
	// FrameMismatch: digest or count do not match; reopen without position.
	FrameMismatch FrameOutcome = "MISMATCH"
)

// FrameResult is what a frame did, and to whom.
type FrameResult struct {
	Outcome FrameOutcome
	// Problem says for people what was wrong; empty if nothing was.
	Problem string
	// Snapshot is true if the whole set was replaced, for Cause.
	Snapshot bool
	Cause    int32
	// Gone are the instances that left, with reasons; a snapshot gives none.
	Gone []Removed
}

// Known is a position to resume from.
type Known struct {
	Position              ViewPosition
	ViewID, Digest, Count uint64
}

// Frames is what a client holds of one view, and what is under way to it. It is
// not safe for concurrent use.
type Frames[I, S any] struct {
	instances *EntryType[I]
	services  *EntryType[S]
	mark      func(I) I

	set EntrySet[I, S]
	// unconfirmed are instances of a lost history that did not come back yet:
	// sorted, outside of the digest, with keys that set lacks.
	unconfirmed []I
	held        bool
	position    ViewPosition
	viewID      uint64
	// floor is where the stream continues from; zero if it was opened without
	// position, so that whatever snapshot comes is taken.
	floor ViewPosition
	stage *Update[I, S]
	// unverified: the set was taken although it did not match.
	unverified bool
	// distrusted: an update did not match, so the position is not resumed from.
	distrusted bool
	mismatches []int64
}

// NewFrames holds nothing. mark makes the copy of an instance that says that it
// is unconfirmed.
func NewFrames[I, S any](instances *EntryType[I], services *EntryType[S], mark func(I) I) Frames[I, S] {
	return Frames[I, S]{instances: instances, services: services, mark: mark}
}

// Set is what the last verified update left, without unconfirmed instances.
func (f *Frames[I, S]) Set() EntrySet[I, S] { return f.set }

// Unconfirmed are the instances that are kept beyond the set, sorted.
func (f *Frames[I, S]) Unconfirmed() []I { return f.unconfirmed }

// Position is where the set is; zero before the first one.
func (f *Frames[I, S]) Position() ViewPosition { return f.position }

// ViewID is of the view that the set is of.
func (f *Frames[I, S]) ViewID() uint64 { return f.viewID }

// Unverified tells whether the set was taken although it did not match.
func (f *Frames[I, S]) Unverified() bool { return f.unverified }

// Known is the position to resume from; false without a verified set.
func (f *Frames[I, S]) Known() (Known, bool) {
	ok := f.held && !f.unverified && !f.distrusted
	return Known{f.position, f.viewID, f.set.Digest, f.set.Count()}, ok
}

// BeginStream discards what was under way. resumed tells whether the stream was
// opened with Known.
func (f *Frames[I, S]) BeginStream(resumed bool) {
	f.stage, f.floor = nil, ViewPosition{}
	if resumed {
		f.floor = f.position
	}
}

// DropStage forgets the chunks of an update that will not be completed.
func (f *Frames[I, S]) DropStage() { f.stage = nil }

// Apply takes a chunk of a snapshot or delta, and the update after its last.
// forbidden services are not kept as unconfirmed.
func (f *Frames[I, S]) Apply(u *Update[I, S], forbidden []EntryKey, nowMs int64) FrameResult {
	r := f.stageChunk(u)
	if r.Outcome == FrameStaged && u.Position != ChunkFinal {
		return r
	}
	whole := f.stage
	f.stage = nil
	switch {
	case r.Outcome != FrameStaged:
		return r
	case whole.Snapshot:
		return f.finishSnapshot(whole, forbidden, clampMs(nowMs))
	default:
		return f.finishDelta(whole)
	}
}

// Progress verifies, then moves.
func (f *Frames[I, S]) Progress(h *FrameHeader) FrameResult {
	staged := f.stage != nil
	f.stage = nil
	switch {
	case h == nil:
		return violation("a progress without header")
	case staged:
		return violation("a progress between the chunks of an update")
	case !f.held:
		return violation("a progress before the first snapshot")
	case h.Position.Epoch != f.position.Epoch || h.Position.before(f.position):
		return violation(fmt.Sprintf("a progress to %s from %s", h.Position, f.position))
	case !f.unverified && !f.set.matches(h):
		return f.mismatch("a progress", &f.set, h)
	}
	f.settle(h)
	return FrameResult{Outcome: FrameApplied, Gone: f.endRecovery(h)}
}

// stageChunk checks a chunk against those before it and puts it aside.
func (f *Frames[I, S]) stageChunk(u *Update[I, S]) FrameResult {
	switch {
	case u.Header == nil:
		return violation("an update without header")
	case u.Position != ChunkPartial && u.Position != ChunkFinal:
		return violation("a chunk of no known position")
	case f.stage == nil && u.Index != 0:
		return violation("an update that begins in the middle")
	}
	var bad FrameResult
	if f.stage == nil {
		bad = f.checkStart(u)
	} else {
		bad = f.stage.checkNext(u)
	}
	if bad.Outcome != "" {
		return bad
	}
	f.stage = f.stage.with(u)
	// Whatever an update brings is in the set afterwards: more cannot be right,
	// and a server that sends for ever must not fill this process's memory.
	if uint64(len(f.stage.Instances)+len(f.stage.Services)) > u.Header.Count {
		return violation("more entries than the set will have")
	}
	return FrameResult{Outcome: FrameStaged}
}

// with is the chunks so far and the next one; u itself if it is the first.
func (s *Update[I, S]) with(u *Update[I, S]) *Update[I, S] {
	if s == nil {
		first := *u
		return &first
	}
	s.Header, s.Index = u.Header, u.Index
	s.Instances = append(s.Instances, u.Instances...)
	s.Services = append(s.Services, u.Services...)
	s.Removals = append(s.Removals, u.Removals...)
	return s
}

// checkStart tells whether an update may begin where it does.
func (f *Frames[I, S]) checkStart(u *Update[I, S]) (bad FrameResult) {
	to := u.Header.Position
	if !u.Snapshot {
		if !f.held || to.Epoch != f.position.Epoch || u.From != f.position.Revision || to.Revision <= u.From || u.Header.ViewID != f.viewID {
			return FrameResult{Outcome: FrameGap, Problem: fmt.Sprintf("a delta from revision %d to %s, at %s", u.From, to, f.position)}
		}
		return bad
	}
	lost := u.Cause == CauseHistoryLost && to.Epoch == f.floor.Epoch
	if to.before(f.floor) && !lost {
		return violation(fmt.Sprintf("a snapshot at %s after %s", to, f.floor))
	}
	return bad
}

// checkNext tells whether a chunk continues the staged update.
func (s *Update[I, S]) checkNext(u *Update[I, S]) (bad FrameResult) {
	a, b := *s.Header, *u.Header
	a.Recovering, b.Recovering = false, false
	switch {
	case u.Index != s.Index+1 || u.Snapshot != s.Snapshot || u.Cause != s.Cause || u.From != s.From:
		return violation("chunks out of order")
	case a != b:
		return violation("chunks of one update with different headers")
	default:
		return bad
	}
}

// String is "epoch/revision".
func (p ViewPosition) String() string { return fmt.Sprintf("%d/%d", p.Epoch, p.Revision) }

func violation(problem string) FrameResult {
	return FrameResult{Outcome: FrameViolation, Problem: problem}
}
