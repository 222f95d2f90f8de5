//! Modes by example and at random.

use super::*;
use crate::error::Reason;
use proptest::prelude::*;

fn candidate(key: &EndpointKey, weight: u64, phase: Phase, open: bool) -> Candidate<'_> {
    Candidate {
        key,
        weight,
        phase,
        open,
        failures: 2,
        error: Some("connection refused".into()),
    }
}

fn text(mode: &Mode) -> String {
    match mode {
        Mode::Serve => "serve".to_owned(),
        Mode::Wait => "wait".to_owned(),
        Mode::Fail(failure) => failure.to_status().message().to_owned(),
    }
}

#[test]
fn modes() {
    use Phase::{Backoff, Connecting, Idle, Ready};
    let key = EndpointKey::plaintext("10.0.0.1:80");
    let of = |weight, phase, open| candidate(&key, weight, phase, open);
    let absent = Known::Set(Some(Absence {
        reason: Reason::ServiceUnknown,
        text: "s was never registered".to_owned(),
    }));
    let refused = "10.0.0.1:80: connection refused (failures: 2)";
    let cases: [(&str, &Known, Vec<Candidate<'_>>, String); 11] = [
        ("nothing known", &Known::NotYet, vec![], "wait".into()),
        (
            "still nothing known",
            &Known::Late(Duration::from_secs(5)),
            vec![],
            "no view of s within 5s; still retrying [NO_VIEW]".into(),
        ),
        (
            "empty",
            &Known::Set(None),
            vec![],
            "s has no instances: nobody is registered [NO_INSTANCES]".into(),
        ),
        (
            "empty with a cause",
            &absent,
            vec![],
            "s was never registered [SERVICE_UNKNOWN]".into(),
        ),
        (
            "one ready",
            &Known::Set(None),
            vec![of(1, Backoff, false), of(1, Ready, true)],
            "serve".into(),
        ),
        (
            "one connecting",
            &Known::Set(None),
            vec![of(1, Backoff, false), of(1, Connecting, false)],
            "wait".into(),
        ),
        (
            "one just lost",
            &Known::Set(None),
            vec![of(1, Ready, false)],
            "wait".into(),
        ),
        (
            "one not started",
            &Known::Set(None),
            vec![of(1, Idle, false)],
            "wait".into(),
        ),
        (
            "all failed",
            &Known::Set(None),
            vec![of(1, Backoff, false)],
            format!(
                "no endpoint of s is ready: 1 of 1 could not be reached: {refused}; retrying [NO_READY_ENDPOINT]"
            ),
        ),
        (
            "ready, but weight 0",
            &Known::Set(None),
            vec![of(0, Ready, true), of(0, Idle, false)],
            "no endpoint of s is ready: all 2 take no new requests (weight 0) [NO_READY_ENDPOINT]"
                .into(),
        ),
        (
            "many failed",
            &Known::Set(None),
            vec![of(1, Backoff, false); 5],
            format!(
                "no endpoint of s is ready: 5 of 5 could not be reached: {refused}; {refused}; {refused}; and 2 more; retrying [NO_READY_ENDPOINT]"
            ),
        ),
    ];
    for (name, known, candidates, want) in cases {
        assert_eq!(text(&mode("s", known, &candidates)), want, "{name}");
    }
}

proptest! {
    /// Served if and only if somebody can be chosen; no wait without somebody to wait for.
    #[test]
    fn modes_follow_candidates(
        kinds in proptest::collection::vec((0..2u64, 0..4u8, any::<bool>()), 1..6),
    ) {
        let key = EndpointKey::plaintext("a:1");
        let phases = [Phase::Idle, Phase::Connecting, Phase::Ready, Phase::Backoff];
        let candidates: Vec<_> = kinds
            .iter()
            .map(|&(weight, phase, open)| {
                let phase = phases[usize::from(phase)];
                candidate(&key, weight, phase, open && phase == Phase::Ready)
            })
            .collect();
        let mode = mode("s", &Known::Set(None), &candidates);
        let usable = candidates.iter().any(|c| c.weight > 0 && c.open);
        let coming = candidates.iter().any(|c| c.weight > 0 && !c.open && c.phase != Phase::Backoff);
        match mode {
            Mode::Serve => prop_assert!(usable),
            Mode::Wait => prop_assert!(!usable && coming),
            Mode::Fail(_) => prop_assert!(!usable && !coming),
        }
    }
}
