//! The vectors compare what frames do, not how problems are worded; both languages word them alike.

use muster_rules::digest::{EntryKey, KIND_INSTANCE};
use muster_rules::entry_set::Entry;
use muster_rules::frames::{
    CHUNK_FINAL, FrameHeader, Frames, InstanceEntry, Outcome, Update, ViewPosition,
};

/// The entry of a set that stays empty.
#[derive(Clone)]
struct Nothing;

impl Entry for Nothing {
    const KIND: u8 = KIND_INSTANCE;

    fn key(&self) -> EntryKey<'_> {
        ("", "", "")
    }

    fn stamp(&self) -> (u64, u64) {
        (0, 0)
    }
}

impl InstanceEntry for Nothing {
    fn as_unconfirmed(&self) -> Self {
        Self
    }
}

fn header(revision: u64, digest: u64, count: u64) -> FrameHeader {
    FrameHeader {
        position: ViewPosition { epoch: 7, revision },
        digest,
        count,
        ..FrameHeader::default()
    }
}

fn whole(header: FrameHeader, snapshot: bool, from: u64) -> Update<Nothing, Nothing> {
    Update {
        header: Some(header),
        index: 0,
        position: CHUNK_FINAL,
        snapshot,
        cause: 1,
        from,
        instances: Vec::new(),
        services: Vec::new(),
        removals: Vec::new(),
    }
}

fn problem(outcome: Outcome) -> String {
    match outcome {
        Outcome::Gap(text) | Outcome::Violation(text) | Outcome::Mismatch(text) => text,
        Outcome::Staged | Outcome::Applied(_) => String::new(),
    }
}

#[test]
fn problems_are_worded_alike() {
    let mut frames = Frames::default();
    let got = [
        frames.apply(whole(header(10, 0, 0), true, 0), &[], 0),
        frames.progress(Some(header(9, 0, 0))),
        frames.progress(Some(header(11, 0xa1, 2))),
        frames.apply(whole(header(12, 0, 0), false, 8), &[], 0),
        frames.apply(whole(header(12, 0xa2, 3), false, 10), &[], 0),
        frames.apply(whole(header(9, 0, 0), true, 0), &[], 0),
        frames.apply(whole(header(12, 0xa3, 4), true, 0), &[], 0),
    ];
    let want = [
        "",
        "a progress to 7/9 from 7/10",
        "a progress left digest 0000000000000000 and count 0, its header says 00000000000000a1 and 2",
        "a delta from revision 8 to 7/12, at 7/10",
        "a delta left digest 0000000000000000 and count 0, its header says 00000000000000a2 and 3",
        "a snapshot at 7/9 after 7/10",
        "a snapshot left digest 0000000000000000 and count 0, its header says 00000000000000a3 and 4",
    ];
    assert_eq!(got.map(problem), want);
}
