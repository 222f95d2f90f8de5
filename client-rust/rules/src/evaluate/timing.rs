use serde::{Deserialize, Serialize};

use super::{Text, rule};
use crate::backoff::{delay, failures_after_stream};
use crate::freshness::{Freshness, StreamClock, Timing, freshness_of};
use crate::grace::Grace;
use crate::keepalive::{answer_within, keepalive_due, lease_cap};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackoffInput {
    failures: u32,
    cap_ms: i64,
    word: Text<u64>,
    delivered: bool,
    lived_ms: i64,
}

#[derive(Serialize)]
struct BackoffOutput {
    delay_ms: i64,
    failures_after_stream: u32,
}

pub(super) fn backoff(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: BackoffInput| BackoffOutput {
        delay_ms: delay(input.failures, input.cap_ms, input.word.0),
        failures_after_stream: failures_after_stream(
            input.failures,
            input.delivered,
            input.lived_ms,
        ),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepaliveInput {
    ttl_ms: i64,
    word: Text<u64>,
}

#[derive(Serialize)]
struct KeepaliveOutput {
    due_ms: i64,
    answer_within_ms: i64,
    backoff_cap_ms: i64,
}

pub(super) fn keepalive(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: KeepaliveInput| KeepaliveOutput {
        due_ms: keepalive_due(input.ttl_ms, input.word.0),
        answer_within_ms: answer_within(input.ttl_ms),
        backoff_cap_ms: lease_cap(input.ttl_ms),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FreshnessInput {
    fresh_for_ms: i64,
    stale_for_ms: i64,
    doubtful: bool,
    frames: Vec<Frame>,
    /// Moments after the last frame.
    then_ms: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    received_ms: i64,
    server_uptime_ms: Text<u64>,
    data_age_ms: Text<u64>,
}

#[derive(Serialize)]
struct FreshnessOutput {
    ages_ms: Vec<i64>,
    then: Vec<FreshnessAt>,
}

#[derive(Serialize)]
struct FreshnessAt {
    age_ms: i64,
    freshness: &'static str,
    ends_ms: i64,
}

pub(super) fn freshness(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: FreshnessInput| {
        let mut clock = StreamClock::default();
        let mut timing = Timing::default();
        let mut ages_ms = Vec::new();
        for f in &input.frames {
            timing = clock.frame(f.received_ms, f.server_uptime_ms.0, f.data_age_ms.0);
            ages_ms.push(timing.age_ms(f.received_ms));
        }
        let at = |now: &i64| {
            let age_ms = timing.age_ms(*now);
            let (fresh_for, stale_for) = (input.fresh_for_ms, input.stale_for_ms);
            let (freshness, ends_ms) = freshness_of(age_ms, fresh_for, stale_for, input.doubtful);
            FreshnessAt {
                age_ms,
                freshness: match freshness {
                    Freshness::Fresh => "FRESH",
                    Freshness::Stale => "STALE",
                    Freshness::Expired => "EXPIRED",
                },
                ends_ms,
            }
        };
        FreshnessOutput {
            then: input.then_ms.iter().map(at).collect(),
            ages_ms,
        }
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GraceInput {
    period_ms: i64,
}

#[derive(Serialize)]
struct GraceOutput {
    watchers_ms: i64,
    answers_ms: i64,
    calls_ms: i64,
    deregister_ms: i64,
}

pub(super) fn grace(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: GraceInput| {
        let grace = Grace::of(input.period_ms);
        GraceOutput {
            watchers_ms: grace.watchers_ms,
            answers_ms: grace.answers_ms,
            calls_ms: grace.calls_ms,
            deregister_ms: grace.deregister_ms,
        }
    })
}
