//! What requests meet, by example.

use super::super::endpoint::EndpointKey;
use super::super::planning::Planned;
use super::*;
use crate::error::Reason;
use muster_rules::usable::Reach;

fn text(mode: &Mode) -> String {
    match mode {
        Mode::Serve(_) => "serve".to_owned(),
        Mode::Wait => "wait".to_owned(),
        Mode::Fail(failure) => failure.text(),
    }
}

#[test]
fn modes() {
    let slot = Planned {
        key: EndpointKey::plaintext("a:1"),
        weight: 1,
        connect: true,
        generation: 0,
    };
    let planned = |why: &[Why]| {
        let mut planning = Planning::default();
        planning.why = why.to_vec();
        planning.slots = vec![slot.clone(); why.len()];
        planning
    };
    let of = |weight, reach, failed_ms| SlotState {
        weight,
        reach,
        failed_ms,
    };
    let absent = Known::Set(Some(Absence {
        reason: Reason::ServiceUnknown,
        text: "s was never registered".to_owned(),
    }));
    let known = &Known::Set(None);
    let away = of(1, Reach::Away, 5);
    let one: &[Why] = &[Why::Picked];
    type Case<'a> = (&'a str, &'a Known, &'a [Why], &'a [SlotState], &'a str);
    let cases: [Case<'_>; 10] = [
        ("nothing known", &Known::NotYet, &[], &[], "wait"),
        (
            "still nothing known",
            &Known::Late(Duration::from_secs(5)),
            &[],
            &[],
            "no view of s within 5s; still retrying [NO_VIEW]",
        ),
        (
            "empty",
            known,
            &[],
            &[],
            "s has no instances: nobody is registered [NO_INSTANCES]",
        ),
        (
            "empty with a cause",
            &absent,
            &[],
            &[],
            "s was never registered [SERVICE_UNKNOWN]",
        ),
        (
            "one ready",
            known,
            one,
            &[away, of(1, Reach::Ready, 0)],
            "serve",
        ),
        (
            "one coming",
            known,
            one,
            &[away, of(1, Reach::Coming, 0)],
            "wait",
        ),
        (
            "one failed",
            known,
            one,
            &[away],
            "none of 1 endpoint of s can be reached: a0: refused; still retrying [NO_READY_ENDPOINT]",
        ),
        (
            "all failed: the one that failed last",
            known,
            &[Why::Picked, Why::Picked, Why::Ejected],
            &[away, of(1, Reach::Away, 7), of(0, Reach::Away, 9)],
            "none of 3 endpoints of s can be reached: a1: refused; still retrying [NO_READY_ENDPOINT]",
        ),
        (
            "ready, but nobody takes requests",
            known,
            &[Why::Weightless, Why::Draining, Why::Draining],
            &[of(0, Reach::Ready, 0)],
            "s has 3 instances, none takes requests: 2 draining, 1 of weight 0 [NO_INSTANCES]",
        ),
        (
            "one without anything to dial",
            known,
            &[Why::NoEndpoint],
            &[],
            "s has 1 instance, none takes requests: 1 without a gRPC endpoint [NO_INSTANCES]",
        ),
    ];
    for (name, known, why, states, want) in cases {
        let failure = |index: usize| (format!("a{index}"), "refused".to_owned());
        let mode = mode("s", known, &planned(why), states, failure);
        assert_eq!(text(&mode), want, "{name}");
    }
}

#[test]
fn pins_to_instances_that_take_no_requests_say_why() {
    for why in [Why::Picked, Why::Panic, Why::Unhealthy, Why::Ejected] {
        assert!(unpinnable("s", "a", why).is_none(), "{why:?}");
    }
    for (why, what) in [
        (Why::Draining, "draining"),
        (Why::Subset, "for other clients"),
    ] {
        assert_eq!(
            unpinnable("s", "a", why).map(|failure| failure.text()),
            Some(format!(
                "instance \"a\" of s takes no requests: it is {what} [NO_INSTANCES]"
            ))
        );
    }
}
