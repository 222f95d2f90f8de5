package rules

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The vectors compare what frames do, not how problems are worded; both
// languages word them alike.
func TestProblemsAreWordedAlike(t *testing.T) {
	header := func(revision, digest, count uint64) *FrameHeader {
		return &FrameHeader{Position: ViewPosition{7, revision}, Digest: digest, Count: count}
	}
	whole := func(h *FrameHeader, snapshot bool, from uint64) *Update[int, int] {
		return &Update[int, int]{Header: h, Position: ChunkFinal, Snapshot: snapshot, Cause: 1, From: from}
	}
	frames := NewFrames(&EntryType[int]{Kind: KindInstance}, &EntryType[int]{Kind: KindServiceState}, nil)
	results := []FrameResult{
		frames.Apply(whole(header(10, 0, 0), true, 0), nil, 0),
		frames.Progress(header(9, 0, 0)),
		frames.Progress(header(11, 0xa1, 2)),
		frames.Apply(whole(header(12, 0, 0), false, 8), nil, 0),
		frames.Apply(whole(header(12, 0xa2, 3), false, 10), nil, 0),
		frames.Apply(whole(header(9, 0, 0), true, 0), nil, 0),
		frames.Apply(whole(header(12, 0xa3, 4), true, 0), nil, 0),
	}
	var got []string
	for _, r := range results {
		got = append(got, r.Problem)
	}
	want := []string{
		"",
		"a progress to 7/9 from 7/10",
		"a progress left digest 0000000000000000 and count 0, its header says 00000000000000a1 and 2",
		"a delta from revision 8 to 7/12, at 7/10",
		"a delta left digest 0000000000000000 and count 0, its header says 00000000000000a2 and 3",
		"a snapshot at 7/9 after 7/10",
		"a snapshot left digest 0000000000000000 and count 0, its header says 00000000000000a3 and 4",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
