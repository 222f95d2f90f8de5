//! The connection's decisions, case by case and at random.

use super::*;
use proptest::prelude::*;

fn state(phase: Phase, since_ms: u64, failures: u32, wanted: bool) -> State {
    State {
        phase,
        since_ms,
        failures,
        wanted,
    }
}

#[test]
fn decisions() {
    use Phase::{Backoff, Connecting, Idle, Ready};
    let now = 20_000;
    let middle = 1 << 63;
    #[rustfmt::skip]
    let cases = [
        ("wanted: dial", State::NEW, Event::Wanted, state(Connecting, now, 0, true), Action::Dial),
        ("the peer spoke: ready", state(Connecting, 1, 3, true), Event::Opened, state(Ready, now, 3, true), Action::None),
        ("first failure", state(Connecting, 1, 0, true), Event::Failed, state(Backoff, now, 1, true), Action::Sleep(125)),
        ("second failure", state(Connecting, 1, 1, true), Event::Failed, state(Backoff, now, 2, true), Action::Sleep(225)),
        ("many failures: the cap", state(Connecting, 1, u32::MAX, true), Event::Failed, state(Backoff, now, u32::MAX, true), Action::Sleep(2525)),
        ("the delay is over", state(Backoff, 1, 4, true), Event::Elapsed, state(Connecting, now, 4, true), Action::Dial),
        ("another process: backoff is void", state(Backoff, 1, 4, true), Event::Renewed, state(Connecting, now, 0, true), Action::Dial),
        ("another process: dial it, not the last one", state(Connecting, 1, 4, true), Event::Renewed, state(Connecting, now, 0, true), Action::Dial),
        ("another process, connection fine", state(Ready, 1, 4, true), Event::Renewed, state(Ready, 1, 0, true), Action::None),
        ("lost after a long life: at once", state(Ready, 10_000, 4, true), Event::Lost, state(Connecting, now, 0, true), Action::Dial),
        ("lost after a short life: backoff", state(Ready, 10_001, 4, true), Event::Lost, state(Backoff, now, 5, true), Action::Sleep(1625)),
        ("lost, not wanted", state(Ready, 1, 4, false), Event::Lost, state(Idle, now, 0, false), Action::None),
        ("drained while connecting", state(Connecting, 1, 4, true), Event::Unwanted, state(Idle, now, 0, false), Action::Abandon),
        ("drained while waiting", state(Backoff, 1, 4, true), Event::Unwanted, state(Idle, now, 0, false), Action::Abandon),
        ("drained while ready: kept", state(Ready, 1, 4, true), Event::Unwanted, state(Ready, 1, 4, false), Action::None),
        ("wanted again while ready", state(Ready, 1, 4, false), Event::Wanted, state(Ready, 1, 4, true), Action::None),
        ("overtaken: elapsed", state(Ready, 1, 4, true), Event::Elapsed, state(Ready, 1, 4, true), Action::None),
        ("overtaken: failed", State::NEW, Event::Failed, State::NEW, Action::None),
    ];
    for (name, before, event, after, action) in cases {
        assert_eq!(
            connection(before, event, now, middle),
            (after, action),
            "{name}"
        );
    }
}

fn arbitrary_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Wanted),
        Just(Event::Unwanted),
        Just(Event::Renewed),
        Just(Event::Opened),
        Just(Event::Failed),
        Just(Event::Lost),
        Just(Event::Elapsed),
    ]
}

proptest! {
    /// What the endpoint's task relies on: it never holds an attempt, a delay or a connection
    /// that the phase does not name, and a wanted endpoint is never left alone.
    #[test]
    fn actions_and_phases_agree(
        events in proptest::collection::vec((arbitrary_event(), 0..20_000u64, any::<u64>()), 1..60),
    ) {
        let (mut state, mut now) = (State::NEW, 0);
        let (mut attempt, mut delay) = (false, false);
        for (event, later, word) in events {
            now += later;
            let before = state;
            let action;
            (state, action) = connection(before, event, now, word);
            match event {
                Event::Opened | Event::Failed if before.phase == Phase::Connecting => attempt = false,
                Event::Elapsed if before.phase == Phase::Backoff => delay = false,
                _ => {}
            }
            match action {
                Action::None => {}
                Action::Dial => (attempt, delay) = (true, false),
                Action::Sleep(ms) => {
                    prop_assert!((50..5000).contains(&ms), "{ms}");
                    (attempt, delay) = (false, true);
                }
                Action::Abandon => (attempt, delay) = (false, false),
            }
            prop_assert_eq!(attempt, state.phase == Phase::Connecting);
            prop_assert_eq!(delay, state.phase == Phase::Backoff);
            prop_assert!(!state.wanted || state.phase != Phase::Idle, "wanted, but idle");
            prop_assert!(action != Action::Dial || state.wanted, "dialled unwanted");
            prop_assert!(state.since_ms <= now);
            prop_assert!(state.phase != before.phase || action != Action::None || state.since_ms == before.since_ms);
        }
    }
}
