package main

import musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"

const (
	first     = musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST
	newEpoch  = musterv1.SnapshotCause_SNAPSHOT_CAUSE_NEW_EPOCH
	compacted = musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED
	lost      = musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_LOST

	expired      = musterv1.RemovalReason_REMOVAL_REASON_EXPIRED
	deregistered = musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED
	filteredOut  = musterv1.RemovalReason_REMOVAL_REASON_FILTERED_OUT
)

// none is no content.
var none = set{}

// held is what most cases start from: two instances and the state at 7/20.
var held = at(7, 20, pod("a", 11), pod("b", 12), state(10))

// old is what the cases of lost history start from.
var old = at(7, 20, pod("a", 11), pod("b", 12), pod("c", 13), state(10))

func snapshotCases() []frameCase {
	empty, full := at(7, 9), at(7, 21, pod("a", 11), pod("c", 21), state(10))
	older := at(7, 15, pod("a", 11), state(10))
	wrongDigest, wrongCount := full.header(), full.header()
	wrongDigest.Digest++
	wrongCount.Count++
	return []frameCase{
		{"a first snapshot", "", []frameStep{applied(snapshot(full.header(), whole, first, full), full.view())}},
		{"an empty snapshot is a view", "", []frameStep{applied(snapshot(empty.header(), whole, first, none), empty.view())}},
		{"a snapshot replaces everything", "held", []frameStep{applied(snapshot(full.header(), whole, compacted, full), full.view())}},
		{"a snapshot of another digest", "held", []frameStep{broken("MISMATCH", "digest", snapshot(wrongDigest, whole, compacted, full))}},
		{"a snapshot of another count", "held", []frameStep{broken("MISMATCH", "count", snapshot(wrongCount, whole, compacted, full))}},
		{"a first snapshot of another digest leaves nothing", "", []frameStep{broken("MISMATCH", "digest", snapshot(wrongDigest, whole, first, full))}},
		{"a snapshot with an entry twice", "held", []frameStep{broken("VIOLATION", "entry twice",
			snapshot(full.header(), whole, compacted, at(7, 21, pod("a", 11), pod("a", 11), state(10))))}},
		{"revisions do not fall within an epoch", "held", []frameStep{broken("VIOLATION", "regression", snapshot(older.header(), whole, compacted, older))}},
		{"but for lost history", "held", []frameStep{applied(snapshot(older.header(), whole, lost, older), older.view())}},
		{"a snapshot at the client's own revision", "held", []frameStep{applied(snapshot(held.header(), whole, compacted, held), held.view())}},
		{"a new epoch may have lower revisions", "held", []frameStep{applied(snapshot(at(8, 2, pod("a", 2)).header(), whole, newEpoch, at(8, 2, pod("a", 2))), at(8, 2, pod("a", 2)).view())}},
		{"a snapshot without header", "held", []frameStep{broken("VIOLATION", "no header", snapshot(nil, whole, compacted, full))}},
	}
}

func deltaCases() []frameCase {
	after := at(7, 23, pod("a", 22), pod("c", 23), state(10))
	change := at(0, 0, pod("a", 22), pod("c", 23))
	retagged := pod("a", 11)
	retagged.Tag++
	reused := at(7, 23, retagged, pod("b", 12), state(10))
	emptied := at(7, 23)
	return []frameCase{
		{"changes and removals", "held", []frameStep{applied(delta(after.header(), whole, 20, change, gone("b", expired)), after.view(),
			removed("b", "EXPIRED"))}},
		{"one delta after the other", "held", []frameStep{
			applied(delta(at(7, 21, pod("a", 21), pod("b", 12), state(10)).header(), whole, 20, at(0, 0, pod("a", 21))), at(7, 21, pod("a", 21), pod("b", 12), state(10)).view()),
			applied(delta(at(7, 22, pod("a", 21), state(22)).header(), whole, 21, at(0, 0, state(22)), gone("b", filteredOut)), at(7, 22, pod("a", 21), state(22)).view(),
				removed("b", "FILTERED_OUT")),
		}},
		{"a delta to the empty set", "held", []frameStep{applied(delta(emptied.header(), whole, 20, none, gone("a", deregistered), gone("b", expired), stateGone()), emptied.view(),
			removed("a", "DEREGISTERED", "b", "EXPIRED"))}},
		{"a service state changes", "held", []frameStep{applied(delta(at(7, 21, pod("a", 11), pod("b", 12), state(21)).header(), whole, 20, at(0, 0, state(21))),
			at(7, 21, pod("a", 11), pod("b", 12), state(21)).view())}},
		{"a delta from a later revision", "held", []frameStep{broken("GAP", "from_revision", delta(after.header(), whole, 21, change, gone("b", expired)))}},
		{"a delta from an earlier revision", "held", []frameStep{broken("GAP", "from_revision", delta(after.header(), whole, 19, change, gone("b", expired)))}},
		{"a delta that does not rise", "held", []frameStep{broken("GAP", "revision", delta(held.header(), whole, 20, none))}},
		{"a delta of another epoch", "held", []frameStep{broken("GAP", "epoch", delta(at(8, 23, pod("a", 22), pod("c", 23), state(10)).header(), whole, 20, change, gone("b", expired)))}},
		{"a delta before the first snapshot", "", []frameStep{broken("GAP", "no view", delta(after.header(), whole, 20, change))}},
		{"a delta that forgets a change", "held", []frameStep{broken("MISMATCH", "digest", delta(after.header(), whole, 20, at(0, 0, pod("a", 22)), gone("b", expired)))}},
		{"a delta that forgets a removal", "held", []frameStep{broken("MISMATCH", "count", delta(after.header(), whole, 20, change))}},
		{"another history that reused a revision", "held", []frameStep{broken("MISMATCH", "tag", delta(reused.header(), whole, 20, none))}},
		{"a removal of what is not held", "held", []frameStep{applied(delta(at(7, 23, pod("a", 11), pod("b", 12), state(10)).header(), whole, 20, none, gone("x", expired)),
			at(7, 23, pod("a", 11), pod("b", 12), state(10)).view())}},
		{"an entry twice", "held", []frameStep{broken("VIOLATION", "entry twice", delta(after.header(), whole, 20, at(0, 0, pod("a", 22), pod("c", 23), pod("c", 23)), gone("b", expired)))}},
		{"an entry that is changed and removed", "held", []frameStep{broken("VIOLATION", "entry twice", delta(after.header(), whole, 20, change, gone("b", expired), gone("c", expired)))}},
	}
}

func chunkCases() []frameCase {
	full := at(7, 30, pod("a", 11), pod("c", 25), pod("d", 26), state(10))
	after := at(7, 23, pod("a", 22), pod("c", 23), state(10))
	h := after.header()
	other := at(7, 24, pod("a", 22), pod("c", 23), state(10)).header()
	begin := staged(delta(h, chunk(0, false), 20, at(0, 0, pod("a", 22))))
	bad := func(name string, f frameOnly) frameCase {
		return frameCase{name, "held", []frameStep{begin, broken("VIOLATION", "BAD_CHUNK", f)}}
	}
	unplaced := &musterv1.Chunk{}
	return []frameCase{
		{"a snapshot in three chunks", "", []frameStep{
			staged(snapshot(full.header(), chunk(0, false), first, at(0, 0, pod("d", 26), state(10)))),
			staged(snapshot(full.header(), chunk(1, false), first, at(0, 0, pod("a", 11)))),
			applied(snapshot(full.header(), chunk(2, true), first, at(0, 0, pod("c", 25))), full.view()),
		}},
		{"a delta in two chunks", "held", []frameStep{begin, applied(delta(h, chunk(1, true), 20, at(0, 0, pod("c", 23)), gone("b", expired)), after.view(),
			removed("b", "EXPIRED"))}},
		{"a final chunk without content", "held", []frameStep{
			staged(delta(h, chunk(0, false), 20, at(0, 0, pod("a", 22), pod("c", 23)), gone("b", expired))),
			applied(delta(h, chunk(1, true), 20, none), after.view(), removed("b", "EXPIRED")),
		}},
		{"staged chunks change nothing: a broken stream drops them", "held", []frameStep{
			begin, reopen("RESUME"),
			applied(delta(h, whole, 20, at(0, 0, pod("a", 22), pod("c", 23)), gone("b", expired)), after.view(), removed("b", "EXPIRED")),
		}},
		{"the stage does not survive a new stream", "held", []frameStep{
			begin, reopen("RESUME"),
			broken("VIOLATION", "BAD_CHUNK", delta(h, chunk(1, true), 20, at(0, 0, pod("c", 23)), gone("b", expired))),
		}},
		bad("a chunk is missing", delta(h, chunk(2, true), 20, at(0, 0, pod("c", 23)), gone("b", expired))),
		bad("a chunk comes twice", delta(h, chunk(0, false), 20, at(0, 0, pod("a", 22)))),
		bad("the header changes", delta(other, chunk(1, true), 20, at(0, 0, pod("c", 23)), gone("b", expired))),
		bad("from_revision changes", delta(h, chunk(1, true), 19, at(0, 0, pod("c", 23)), gone("b", expired))),
		bad("a snapshot between chunks", snapshot(full.header(), whole, compacted, full)),
		bad("a progress between chunks", progress(held.header())),
		bad("an entry in two chunks", delta(h, chunk(1, true), 20, at(0, 0, pod("a", 22), pod("c", 23)), gone("b", expired))),
		bad("changed in one chunk, removed in another", delta(h, chunk(1, true), 20, at(0, 0, pod("c", 23)), gone("a", expired), gone("b", expired))),
		{"an update begins at chunk 1", "held", []frameStep{broken("VIOLATION", "BAD_CHUNK", delta(h, chunk(1, true), 20, none))}},
		{"a chunk without position", "held", []frameStep{broken("VIOLATION", "BAD_CHUNK", delta(h, unplaced, 20, none))}},
		{"an update without chunk", "held", []frameStep{broken("VIOLATION", "BAD_CHUNK", delta(h, nil, 20, none))}},
	}
}

func progressCases() []frameCase {
	later := at(7, 40, pod("a", 11), pod("b", 12), state(10))
	other := at(7, 40, pod("a", 11), state(10))
	return []frameCase{
		{"a progress moves forward", "held", []frameStep{applied(progress(later.header()), later.view())}},
		{"a progress where the client is", "held", []frameStep{applied(progress(held.header()), held.view())}},
		{"a delta continues from a progress", "held", []frameStep{
			applied(progress(later.header()), later.view()),
			applied(delta(at(7, 41, pod("a", 11), state(10)).header(), whole, 40, none, gone("b", deregistered)), at(7, 41, pod("a", 11), state(10)).view(),
				removed("b", "DEREGISTERED")),
		}},
		{"a progress of another set", "held", []frameStep{broken("MISMATCH", "digest", progress(other.header()))}},
		{"a progress does not go back", "held", []frameStep{broken("VIOLATION", "regression", progress(at(7, 19, pod("a", 11), pod("b", 12), state(10)).header()))}},
		{"a progress of another epoch", "held", []frameStep{broken("VIOLATION", "epoch", progress(at(8, 40, pod("a", 11), pod("b", 12), state(10)).header()))}},
		{"a progress before the first snapshot", "", []frameStep{broken("VIOLATION", "no view", progress(later.header()))}},
	}
}

func recoveryCases() []frameCase {
	recovering := musterv1.ViewFlag_VIEW_FLAG_RECOVERING
	back := at(8, 3, pod("a", 2), state(1))
	withC := at(8, 4, pod("a", 2), pod("c", 4), state(1))
	restored := snapshot(back.header(recovering), whole, newEpoch, back)
	return []frameCase{
		{"while recovering, absent entries are kept as unconfirmed until they appear or the flag clears", "old", []frameStep{
			applied(restored, back.view(keyText("b"), keyText("c"))),
			applied(delta(withC.header(recovering), whole, 3, at(0, 0, pod("c", 4))), withC.view(keyText("b"))),
			applied(progress(at(8, 5, pod("a", 2), pod("c", 4), state(1)).header()), at(8, 5, pod("a", 2), pod("c", 4), state(1)).view(),
				removed("b", "SNAPSHOT_ABSENT")),
		}},
		{"keys that were removed since are not kept", "old", []frameStep{
			applied(snapshot(back.header(recovering), whole, newEpoch, back, gone("b", deregistered)), back.view(keyText("c"))),
		}},
		{"a removal lets go of an unconfirmed entry", "old", []frameStep{
			applied(restored, back.view(keyText("b"), keyText("c"))),
			applied(delta(at(8, 4, pod("a", 2), state(1)).header(recovering), whole, 3, none, gone("b", expired)),
				at(8, 4, pod("a", 2), state(1)).view(keyText("c")), removed("b", "EXPIRED")),
		}},
		{"a delta that clears the flag", "old", []frameStep{
			applied(restored, back.view(keyText("b"), keyText("c"))),
			applied(delta(withC.header(), whole, 3, at(0, 0, pod("c", 4))), withC.view(), removed("b", "SNAPSHOT_ABSENT")),
		}},
		{"a second snapshot while recovering", "old", []frameStep{
			applied(restored, back.view(keyText("b"), keyText("c"))),
			reopen("RESUME"),
			applied(snapshot(withC.header(recovering), whole, compacted, withC), withC.view(keyText("b"))),
		}},
		{"a new epoch without the flag keeps nothing", "old", []frameStep{applied(snapshot(back.header(), whole, newEpoch, back), back.view())}},
		{"within an epoch nothing is kept", "old", []frameStep{
			applied(snapshot(at(7, 30, pod("a", 11), state(10)).header(recovering), whole, compacted, at(7, 30, pod("a", 11), state(10))), at(7, 30, pod("a", 11), state(10)).view()),
		}},
	}
}

// later moves a step to a time.
func later(ms int64, s frameStep) frameStep {
	s.NowMs = ms
	return s
}

func mismatchCases() []frameCase {
	next := at(7, 30, pod("a", 11), pod("c", 25), state(10))
	h := next.header()
	h.Digest += 7
	wrong := broken("MISMATCH", "digest", snapshot(h, whole, first, next))
	taken := next.view()
	taken.Unverified = true
	moved := at(7, 31, pod("a", 31), pod("c", 25), state(10))
	movedHeader := moved.header()
	movedHeader.Digest += 7
	movedView := moved.view()
	movedView.Unverified = true
	healed := at(7, 32, pod("a", 31), state(10))
	return []frameCase{
		{"the third mismatching snapshot within 60 s is taken as unverified, until one matches", "held", []frameStep{
			later(1000, wrong), reopen("FRESH"), later(30_000, wrong), reopen("FRESH"),
			later(60_999, applied(snapshot(h, whole, first, next), taken)),
			later(61_500, applied(delta(movedHeader, whole, 30, at(0, 0, pod("a", 31))), movedView)),
			reopen("FRESH"),
			later(91_000, applied(snapshot(healed.header(), whole, first, healed), healed.view())),
		}},
		{"a mismatch of 60 s ago does not count", "held", []frameStep{
			later(1000, wrong), reopen("FRESH"), later(30_000, wrong), reopen("FRESH"), later(61_000, wrong),
		}},
		{"a matching snapshot between counts anew", "held", []frameStep{
			later(1000, wrong), reopen("FRESH"), later(2000, wrong), reopen("FRESH"),
			later(3000, applied(snapshot(held.header(), whole, first, held), held.view())), reopen("FRESH"),
			later(4000, wrong),
		}},
		{"mismatching deltas do not count", "held", []frameStep{
			later(1000, broken("MISMATCH", "digest", delta(h, whole, 20, none))), reopen("FRESH"),
			later(2000, wrong), reopen("FRESH"), later(3000, wrong),
		}},
	}
}
