//! The project's conformance vectors, as far as they concern clients.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use muster_proto::v1;
use muster_proto::v1::watch_response::Frame;
use muster_rules::cache_file::{decode_cache_file, encode_cache_file};
use prost::Message;
use serde_json::Value;

use crate::cache_view::{DiskView, cache_name};
use crate::digest::Digest;
use crate::frame::{Broken, FrameState, Outcome};
use crate::instance::ServiceState;
use crate::intent::{self, Facts, Intent};
use crate::kinds::RemovalReason;
use crate::view::View;

/// The cases of a file; none if this is the crate alone, without the repository around it.
fn vectors(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conformance/vectors")
        .join(name);
    match fs::read(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        bytes => Some(serde_json::from_slice(&bytes.expect("readable")).expect("JSON")),
    }
}

fn cases(file: &Value) -> &Vec<Value> {
    file["cases"].as_array().expect("cases")
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn signed(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

#[test]
fn vectors_intent() {
    let Some(file) = vectors("intent.json") else {
        return;
    };
    for c in cases(&file) {
        let state = state(&c["state"]);
        let got = intent::of_service(Facts {
            forbidden: c["forbidden"] == true,
            present: number(&c["instances"]) > 0,
            recovering: c["recovering"] == true,
            state: state.as_ref(),
            last_removal: c["last_removal"].as_str().map(removal),
        });
        let got = if c["received"] == true {
            got
        } else {
            Intent::NotYet
        };
        assert_eq!(got.as_str(), text(&c["intent"]), "{}", c["name"]);
    }
    for c in list(&file, "overall") {
        let got = intent::overall(list(c, "intents").iter().map(|i| named(text(i))));
        assert_eq!(got.as_str(), text(&c["overall"]), "{c}");
    }
}

fn named(name: &str) -> Intent {
    use Intent as I;
    let all = [
        I::Present,
        I::NeverSeen,
        I::AllDeregistered,
        I::AllExpired,
        I::FilteredToNone,
        I::Forbidden,
        I::Held,
        I::Recovering,
        I::NotYet,
    ];
    all.into_iter()
        .find(|i| i.as_str() == name)
        .expect("an intent")
}

fn removal(name: &str) -> RemovalReason {
    let name = name.trim_start_matches("REMOVAL_REASON_");
    let number = v1::RemovalReason::from_str_name(&format!("REMOVAL_REASON_{name}"));
    RemovalReason::from_wire(number.expect("a reason") as i32)
}

/// A service state from its JSON, as far as intents depend on it.
fn state(value: &Value) -> Option<ServiceState> {
    if value.is_null() {
        return None;
    }
    let emptied = value["emptied"].as_object().map(|e| v1::Emptied {
        reason: removal(e.get("reason").map_or("UNKNOWN", text)).to_wire(),
        ..Default::default()
    });
    Some(ServiceState::from_wire(v1::ServiceState {
        holds: vec![v1::GuardHold::default(); list(value, "holds").len()],
        emptied,
        ..Default::default()
    }))
}

/// What a client holds, in the form of the vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    position: (String, String),
    digest: (String, String),
    instances: BTreeMap<String, String>,
    services: BTreeMap<String, String>,
    unconfirmed: Vec<String>,
    unverified: bool,
}

impl Held {
    fn of(state: &FrameState) -> Held {
        let (position, Digest { sum, count }) = (state.position(), state.set().digest());
        let all = state.instances();
        let (unconfirmed, set): (Vec<_>, Vec<_>) = all.iter().partition(|i| i.unconfirmed);
        let services = state.set().services();
        Held {
            position: (position.epoch.to_string(), position.revision.to_string()),
            digest: (sum.to_string(), count.to_string()),
            instances: set
                .iter()
                .map(|i| (i.key.to_string(), i.modify_revision.to_string()))
                .collect(),
            services: services
                .iter()
                .map(|s| (s.name.to_string(), s.modify_revision.to_string()))
                .collect(),
            unconfirmed: unconfirmed.iter().map(|i| i.key.to_string()).collect(),
            unverified: state.is_unverified(),
        }
    }

    fn from(view: &Value) -> Held {
        let map = |field: &str| {
            let entries = view[field].as_object().into_iter().flatten();
            entries
                .map(|(k, v)| (k.clone(), text(v).to_owned()))
                .collect()
        };
        let pair = |a: &str, b: &str| (text(&view[a]).to_owned(), text(&view[b]).to_owned());
        Held {
            position: pair("epoch", "revision"),
            digest: pair("digest", "count"),
            instances: map("instances"),
            services: map("services"),
            unconfirmed: list(view, "unconfirmed")
                .iter()
                .map(|k| text(k).to_owned())
                .collect(),
            unverified: view["unverified"] == true,
        }
    }
}

#[test]
fn vectors_frames() {
    let Some(file) = vectors("frames.json") else {
        return;
    };
    for c in cases(&file) {
        let mut state = FrameState::default();
        state.begin_stream(false);
        if let Some(start) = c["start"].as_str().filter(|s| !s.is_empty()) {
            let (outcome, _) = step(&mut state, &file["starts"][start]);
            assert_eq!(outcome, "APPLIED", "{}", c["name"]);
            state.begin_stream(true);
        }
        for (n, s) in list(c, "steps").iter().enumerate() {
            check(&mut state, s, &format!("{}, step {n}", c["name"]));
        }
    }
}

fn check(state: &mut FrameState, s: &Value, name: &str) {
    if let Some(reopen) = s["reopen"].as_str() {
        let resumed = reopen == "RESUME" && state.known().is_some();
        state.begin_stream(resumed);
        return;
    }
    let before = Held::of(state);
    let (outcome, gone) = step(state, s);
    assert_eq!(outcome, text(&s["outcome"]), "{name}");
    let want = if outcome == "APPLIED" {
        Held::from(&s["view"])
    } else {
        before
    };
    assert_eq!(Held::of(state), want, "{name}");
    if let Some(removed) = s["removed"].as_object() {
        let removed: BTreeMap<String, String> = removed
            .iter()
            .map(|(k, v)| (k.clone(), text(v).to_owned()))
            .collect();
        assert_eq!(gone, removed, "{name}");
    }
}

/// Applies a frame; names the outcome and what left.
fn step(state: &mut FrameState, s: &Value) -> (&'static str, BTreeMap<String, String>) {
    let frame = v1::WatchResponse::decode(unhex(text(&s["wire"])).as_slice()).expect("a frame");
    let now = signed(&s["now_ms"]);
    let outcome = match frame.frame.expect("a frame") {
        Frame::Snapshot(s) => state.snapshot(s, &[], now),
        Frame::Delta(d) => state.delta(d, &[], now),
        Frame::Progress(p) => state.progress(&p),
        Frame::Opened(_) => panic!("not a frame of a view"),
    };
    let gone = match &outcome {
        Outcome::Swapped(swap) => &swap.gone[..],
        Outcome::Moved(gone) => gone,
        Outcome::Staged | Outcome::Broken(_) => &[],
    };
    let gone = gone
        .iter()
        .map(|(k, r)| (k.to_string(), r.to_string()))
        .collect();
    let name = match outcome {
        Outcome::Staged => "STAGED",
        Outcome::Swapped(_) | Outcome::Moved(_) => "APPLIED",
        Outcome::Broken(Broken::Gap) => "GAP",
        Outcome::Broken(Broken::Violation(_)) => "VIOLATION",
        Outcome::Broken(Broken::Mismatch) => "MISMATCH",
    };
    (name, gone)
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("hex")
        })
        .collect()
}

/// Has what encoders may disagree on.
fn cached_selector() -> crate::Selector {
    let names = ["secret", "pay", "pay"].map(|s| crate::ServiceName::new("shop", s));
    crate::Selector::services(names)
        .version_range(">=1.0.0")
        .capability("b")
        .capability("a")
        .zones(["eu-1a", "eu-1b"])
        .metadata("tier", ["silver", "gold"])
        .metadata("any", [""; 0])
        .shard_id(3)
        .healths([crate::Health::Degraded, crate::Health::Healthy])
}

/// What any client wrote is read, and written again alike.
#[tokio::test]
async fn cache_files_are_those_of_the_other_client() {
    let Some(file) = vectors("cache_view.json") else {
        return;
    };
    let selector = cached_selector();
    let key = selector.canonical();
    let clock = crate::view::Clock::start(crate::freshness::Ages::default());
    for c in cases(&file) {
        let bytes = unhex(text(&c["bytes"]));
        let f = decode_cache_file(&bytes).expect("a cache file");
        assert_eq!(cache_name(&key), text(&c["file"]));
        let written_ms = f.written_ms;
        let age_ms = f.age_ms;
        let d = DiskView::of(f, &key, 30_000, signed(&c["now_ms"])).expect("a view");
        let mut v = View::empty(selector.clone().into(), clock);
        d.show(&mut v);
        let age = v.timing.map(|t| t.age_then_ms);
        assert_eq!(age, Some(signed(&c["age_ms"])));
        assert_eq!(d.cluster_id, text(&c["cluster_id"]));
        let instances = v.instances().iter().map(|i| {
            let address = &i.endpoints[0].address;
            format!("{} {address} {} {}", i.key, i.locality.zone, i.health)
        });
        assert!(instances.eq(list(c, "instances").iter().map(text)));
        let services = v.services().iter().map(|s| {
            let policy = s.policy.as_ref().expect("a policy");
            format!("{} {}", s.name, policy.locality_rule)
        });
        assert!(services.eq(list(c, "services").iter().map(text)));
        let forbidden = v.forbidden().iter().map(ToString::to_string);
        assert!(forbidden.eq(list(c, "forbidden").iter().map(text)));

        let again = v.to_cache_file(&key, &d.cluster_id, written_ms);
        let mut again = decode_cache_file(&again).expect("a cache file");
        again.age_ms = age_ms;
        assert_eq!(encode_cache_file(&again), bytes, "written again");
    }
}
