//! The project's conformance vectors, as far as they concern clients.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use muster_proto::v1;
use muster_rules::cache_file::{decode_cache_file, encode_cache_file};
use serde_json::Value;

use crate::cache_view::{DiskView, cache_name};
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
            filtered: c["filtered"] == true,
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
