//! Tests of frame application: tables of what a server may get wrong, and random histories.

use super::*;
use crate::testset::{Model, removal, split};
use proptest::prelude::*;
use v1::RemovalReason as Why;
use v1::SnapshotCause as Cause;

fn ids(state: &FrameState) -> Vec<String> {
    state
        .instances()
        .iter()
        .map(|i| i.key.instance_id.clone())
        .collect()
}

/// A state that holds this model.
fn holding(m: &Model) -> FrameState {
    let mut state = FrameState::default();
    state.begin_stream(false);
    let outcome = state.snapshot(m.snapshot(Cause::First), &[], 0);
    assert!(matches!(outcome, Outcome::Swapped(_)), "{outcome:?}");
    state
}

fn is_violation(o: &Outcome) -> bool {
    matches!(o, Outcome::Broken(Broken::Violation(_)))
}

#[test]
fn snapshot_then_delta_then_progress() {
    let m = Model::with(1, 10, &["a", "b"]);
    let mut state = holding(&m);
    let mut next = m.clone();
    next.revision = 11;
    next.put("c");
    next.instances.remove("a");
    let outcome = state.delta(next.delta_from(&m, Why::Expired));
    let Outcome::Swapped(swap) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(swap.cause, None);
    assert_eq!(swap.gone[0].1, RemovalReason::Expired);
    assert_eq!(ids(&state), ["b", "c"]);
    next.revision = 15;
    assert_eq!(state.progress(&next.progress()), Outcome::Moved(vec![]));
    let known = state.known().expect("a position");
    assert_eq!(
        (known.revision, known.count, known.digest),
        (15, 3, next.header().digest)
    );
}

#[test]
fn chunks_are_staged_until_the_final_one() {
    let m = Model::with(1, 10, &["a", "b", "c"]);
    let mut state = FrameState::default();
    let mut parts = split(m.snapshot(Cause::First));
    let last = parts.pop().expect("a final chunk");
    for p in parts {
        assert_eq!(state.snapshot(p, &[], 0), Outcome::Staged);
        assert!(ids(&state).is_empty(), "nothing is shown before the end");
    }
    assert!(matches!(state.snapshot(last, &[], 0), Outcome::Swapped(_)));
    assert_eq!(ids(&state), ["a", "b", "c"]);
}

#[test]
fn broken_stream_discards_the_stage() {
    let m = Model::with(1, 10, &["a"]);
    let mut state = holding(&m);
    let mut next = m.clone();
    next.revision = 20;
    next.put("b");
    let first = split(next.snapshot(Cause::HistoryCompacted)).swap_remove(0);
    assert_eq!(state.snapshot(first, &[], 0), Outcome::Staged);
    state.begin_stream(true);
    assert_eq!(state.known().expect("a position").revision, 10);
    let d = next.delta_from(&m, Why::Expired);
    assert!(matches!(state.delta(d), Outcome::Swapped(_)));
    assert_eq!(ids(&state), ["a", "b"]);
}

#[test]
fn malformed_updates_are_violations() {
    let m = Model::with(1, 10, &["a", "b"]);
    let parts = split(m.snapshot(Cause::First));
    type Break = fn(&mut Vec<v1::Snapshot>);
    let cases: [(&str, Break); 9] = [
        ("begins in the middle", |p| {
            p.remove(0);
        }),
        ("a chunk is missing", |p| {
            p.remove(1);
        }),
        ("a chunk twice", |p| p.insert(1, p[0].clone())),
        ("no header", |p| p[0].header = None),
        ("no chunk", |p| p[0].chunk = None),
        ("no position", |p| {
            p[0].chunk.as_mut().expect("a chunk").position = 0;
        }),
        ("another revision", |p| {
            p[1].header.as_mut().expect("a header").revision = 11;
        }),
        ("another cause", |p| p[1].cause = Cause::NewEpoch as i32),
        ("too many entries", |p| {
            for part in p {
                part.header.as_mut().expect("a header").count = 1;
            }
        }),
    ];
    for (name, break_it) in cases {
        let mut state = FrameState::default();
        let mut parts = parts.clone();
        break_it(&mut parts);
        let outcomes: Vec<_> = parts
            .into_iter()
            .map(|p| state.snapshot(p, &[], 0))
            .collect();
        assert!(outcomes.iter().any(is_violation), "{name}: {outcomes:?}");
        assert!(ids(&state).is_empty(), "{name}");
    }
}

#[test]
fn delta_from_elsewhere_is_a_gap() {
    let m = Model::with(1, 10, &["a"]);
    let mut next = m.clone();
    next.revision = 11;
    next.put("b");
    type Break = fn(&mut v1::Delta);
    let cases: [(&str, Break); 5] = [
        ("from before", |d| d.from_revision = 9),
        ("from after", |d| d.from_revision = 11),
        ("other epoch", |d| {
            d.header.as_mut().expect("a header").epoch = 2;
        }),
        ("other view", |d| {
            d.header.as_mut().expect("a header").view_id = 1;
        }),
        ("no step", |d| {
            d.header.as_mut().expect("a header").revision = 10;
        }),
    ];
    for (name, break_it) in cases {
        let mut state = holding(&m);
        let mut d = next.delta_from(&m, Why::Expired);
        break_it(&mut d);
        assert!(
            matches!(state.delta(d), Outcome::Broken(Broken::Gap(_))),
            "{name}"
        );
        assert_eq!(ids(&state), ["a"], "{name}");
        assert!(state.known().is_some(), "{name}: the position is kept");
    }
    let mut nothing = FrameState::default();
    let d = next.delta_from(&m, Why::Expired);
    assert!(matches!(nothing.delta(d), Outcome::Broken(Broken::Gap(_))));
}

#[test]
fn mismatch_keeps_the_last_verified_set() {
    let m = Model::with(1, 10, &["a"]);
    let mut next = m.clone();
    next.revision = 11;
    next.put("b");
    let mut state = holding(&m);
    let mut d = next.delta_from(&m, Why::Expired);
    d.header.as_mut().expect("a header").digest ^= 1;
    assert!(matches!(
        state.delta(d),
        Outcome::Broken(Broken::Mismatch(_))
    ));
    assert_eq!(ids(&state), ["a"]);
    let mut d = next.delta_from(&m, Why::Expired);
    d.header.as_mut().expect("a header").count += 1;
    assert!(matches!(
        state.delta(d),
        Outcome::Broken(Broken::Mismatch(_))
    ));
    let mut p = m.progress();
    p.header.as_mut().expect("a header").digest ^= 1;
    assert!(matches!(
        state.progress(&p),
        Outcome::Broken(Broken::Mismatch(_))
    ));
    assert_eq!(state.known(), None, "it is not resumed from");
    state.begin_stream(false);
    let outcome = state.snapshot(next.snapshot(Cause::First), &[], 0);
    assert!(matches!(outcome, Outcome::Swapped(_)), "{outcome:?}");
    assert_eq!(state.known().expect("a position").revision, 11);
}

#[test]
fn third_mismatching_snapshot_is_taken_unverified() {
    let m = Model::with(1, 10, &["a"]);
    let mut bad = m.snapshot(Cause::First);
    bad.header.as_mut().expect("a header").digest ^= 1;
    // Two within the window, a third after it: still refused.
    let mut state = FrameState::default();
    for at in [0, 30_000, 61_000] {
        assert!(matches!(
            state.snapshot(bad.clone(), &[], at),
            Outcome::Broken(Broken::Mismatch(_))
        ));
    }
    assert!(matches!(
        state.snapshot(bad.clone(), &[], 62_000),
        Outcome::Swapped(_)
    ));
    assert!(state.is_unverified());
    assert_eq!(ids(&state), ["a"]);
    assert_eq!(state.known(), None, "it is not resumed from");
    // While unverified, updates go on without verification.
    let mut next = m.clone();
    next.revision = 11;
    next.put("b");
    let mut d = next.delta_from(&m, Why::Expired);
    d.header.as_mut().expect("a header").digest ^= 1;
    assert!(matches!(state.delta(d), Outcome::Swapped(_)));
    // A snapshot that matches ends it.
    state.begin_stream(false);
    assert!(matches!(
        state.snapshot(next.snapshot(Cause::First), &[], 99_000),
        Outcome::Swapped(_)
    ));
    assert!(!state.is_unverified());
    assert!(state.known().is_some());
}

#[test]
fn progress_must_not_go_back_or_come_early() {
    let m = Model::with(1, 10, &["a"]);
    let mut state = holding(&m);
    let mut earlier = m.clone();
    earlier.revision = 9;
    assert!(is_violation(&state.progress(&earlier.progress())));
    let mut other = m.clone();
    other.epoch = 2;
    assert!(is_violation(&state.progress(&other.progress())));
    assert!(is_violation(&state.progress(&v1::Progress::default())));
    assert!(is_violation(&FrameState::default().progress(&m.progress())));
    let first = split(m.snapshot(Cause::HistoryCompacted)).swap_remove(0);
    assert_eq!(state.snapshot(first, &[], 0), Outcome::Staged);
    assert!(is_violation(&state.progress(&m.progress())));
}

#[test]
fn snapshot_must_not_go_back_but_for_lost_history() {
    let m = Model::with(1, 10, &["a"]);
    let earlier = Model::with(1, 8, &["z"]);
    let mut state = holding(&m);
    state.begin_stream(true);
    assert!(is_violation(&state.snapshot(
        earlier.snapshot(Cause::HistoryCompacted),
        &[],
        0
    )));
    assert!(matches!(
        state.snapshot(earlier.snapshot(Cause::HistoryLost), &[], 0),
        Outcome::Swapped(_)
    ));
    // Opened without position, whatever comes is taken.
    let mut state = holding(&m);
    state.begin_stream(false);
    assert!(matches!(
        state.snapshot(earlier.snapshot(Cause::First), &[], 0),
        Outcome::Swapped(_)
    ));
    assert_eq!(ids(&state), ["z"]);
}

#[test]
fn recovering_keeps_old_entries_until_they_are_settled() {
    let old = Model::with(1, 10, &["a", "b", "c", "d"]);
    let mut new = Model::with(2, 3, &["a"]);
    new.recovering = true;
    let mut state = holding(&old);
    state.begin_stream(true);
    let mut s = new.snapshot(Cause::NewEpoch);
    s.removed = vec![removal("d", Why::Deregistered)];
    assert!(matches!(state.snapshot(s, &[], 0), Outcome::Swapped(_)));
    assert_eq!(ids(&state), ["a", "b", "c"]);
    let unconfirmed: Vec<bool> = state.instances().iter().map(|i| i.unconfirmed).collect();
    assert_eq!(unconfirmed, [false, true, true]);
    // b comes back, c is removed.
    let mut next = new.clone();
    next.revision = 4;
    next.put("b");
    let mut d = next.delta_from(&new, Why::Expired);
    d.removals.push(removal("c", Why::Deregistered));
    let outcome = state.delta(d);
    let Outcome::Swapped(swap) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(swap.gone.len(), 1);
    assert_eq!(swap.gone[0].1, RemovalReason::Deregistered);
    assert_eq!(ids(&state), ["a", "b"]);
    assert!(state.instances().iter().all(|i| !i.unconfirmed));
}

#[test]
fn recovering_ends_with_the_flag() {
    let old = Model::with(1, 10, &["a", "b"]);
    let mut new = Model::with(2, 3, &[]);
    new.recovering = true;
    let mut state = holding(&old);
    state.begin_stream(true);
    state.snapshot(new.snapshot(Cause::NewEpoch), &[], 0);
    assert_eq!(ids(&state), ["a", "b"]);
    // Another snapshot of the same epoch keeps them too.
    new.revision = 4;
    state.snapshot(new.snapshot(Cause::HistoryCompacted), &[], 0);
    assert_eq!(ids(&state), ["a", "b"]);
    new.recovering = false;
    let outcome = state.progress(&new.progress());
    let Outcome::Moved(gone) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(gone.len(), 2);
    assert!(ids(&state).is_empty());
}

#[test]
fn recovering_keeps_nothing_forbidden() {
    let old = Model::with(1, 10, &["a"]);
    let mut new = Model::with(2, 3, &[]);
    new.recovering = true;
    let mut state = holding(&old);
    state.begin_stream(true);
    let forbidden = [ServiceName::new("shop", "pay")];
    state.snapshot(new.snapshot(Cause::NewEpoch), &forbidden, 0);
    assert!(ids(&state).is_empty());
}

/// One step of a random history.
#[derive(Debug, Clone)]
enum Step {
    Put(u8),
    Remove(u8),
    /// Send what changed since the last update.
    Send,
    /// Reopen the stream; the server answers with a snapshot or a delta.
    Reopen {
        snapshot: bool,
    },
    /// Send what changed, with this byte of it damaged.
    Damage(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..12).prop_map(Step::Put),
        3 => (0u8..12).prop_map(Step::Remove),
        3 => Just(Step::Send),
        1 => any::<bool>().prop_map(|snapshot| Step::Reopen { snapshot }),
        1 => (0u8..4).prop_map(Step::Damage),
    ]
}

fn damage(d: &mut v1::Delta, how: u8) {
    let header = d.header.as_mut().expect("a header");
    match how {
        0 => header.digest ^= 1 << 40,
        1 => d.from_revision += 1,
        2 => {
            if d.instances.pop().is_none() {
                header.count += 1;
            }
        }
        _ => header.count = header.count.wrapping_add(1),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// After each complete update the client's set equals the server's; a damaged update changes
    /// nothing, and the next stream repairs it.
    #[test]
    fn set_follows_any_history(steps in prop::collection::vec(step(), 1..60)) {
        let mut server = Model::with(1, 10, &["a"]);
        let mut sent = server.clone();
        let mut state = holding(&server);
        for s in steps {
            match s {
                Step::Put(id) => {
                    server.revision += 1;
                    server.put(&format!("{id}"));
                }
                Step::Remove(id) => {
                    server.revision += 1;
                    server.instances.remove(&format!("{id}"));
                }
                Step::Send | Step::Damage(_) if server.revision == sent.revision => {
                    prop_assert_eq!(state.progress(&server.progress()), Outcome::Moved(vec![]));
                }
                Step::Send => {
                    let outcome = state.delta(server.delta_from(&sent, Why::Expired));
                    prop_assert!(matches!(outcome, Outcome::Swapped(_)), "{outcome:?}");
                    sent = server.clone();
                }
                Step::Reopen { snapshot } => {
                    state.begin_stream(true);
                    if snapshot {
                        for p in split(server.snapshot(Cause::HistoryCompacted)) {
                            let outcome = state.snapshot(p, &[], 0);
                            prop_assert!(!matches!(outcome, Outcome::Broken(_)), "{outcome:?}");
                        }
                        sent = server.clone();
                    }
                }
                Step::Damage(how) => {
                    let before = ids(&state);
                    let mut d = server.delta_from(&sent, Why::Expired);
                    damage(&mut d, how);
                    let outcome = state.delta(d);
                    prop_assert!(matches!(outcome, Outcome::Broken(_)), "{outcome:?}");
                    prop_assert_eq!(&ids(&state), &before);
                    if state.known().is_some() {
                        state.begin_stream(true);
                    } else {
                        state.begin_stream(false);
                        let outcome = state.snapshot(server.snapshot(Cause::First), &[], 0);
                        prop_assert!(matches!(outcome, Outcome::Swapped(_)), "{outcome:?}");
                        sent = server.clone();
                    }
                }
            }
            let want: Vec<String> = sent.instances.keys().cloned().collect();
            prop_assert_eq!(ids(&state), want);
            prop_assert_eq!(state.digest(), sent.header().digest);
        }
    }
}
