//! The conformance vectors of servers.

use muster_proto::v1;
use muster_proto::v1::register_request::Claim as Claimed;
use prost::Message;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

use crate::testing::canonical::{canonical, view_id};
use crate::testing::claim::{Claim, judge};
use crate::testing::resume::{Decision, Present, decide_resume};
use crate::testing::state::Lease;

/// Reads a file of the conformance vectors, which are not part of this crate.
fn cases(name: &str, list: &str) -> Vec<Value> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/vectors");
    if !dir.exists() {
        return Vec::new(); // this is the crate alone
    }
    let text = std::fs::read_to_string(dir.join(name)).expect("the vectors");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let cases = file[list].as_array().expect("cases").clone();
    assert!(!cases.is_empty());
    cases
}

fn number(v: &Value) -> u64 {
    v.as_str().expect("a number").parse().expect("a number")
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap_or_default()
}

fn unhex(v: &Value) -> Vec<u8> {
    let digits = text(v).as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hex");
        u8::from_str_radix(pair, 16).expect("hex")
    };
    digits.map(byte).collect()
}

#[test]
fn vectors_resume() {
    for c in cases("resume.json", "cases") {
        let server = &c["server"];
        if server["probe"] == "NONE" {
            continue; // one registry is always its newest
        }
        let present = Present {
            epoch: number(&server["epoch"]),
            revision: number(&server["revision"]),
            view_id: number(&server["view_id"]),
            digest: number(&server["digest"]),
            count: number(&server["count"]),
            logs_from: number(&server["logs_from"]),
            last_change: number(&server["last_change"]),
        };
        let k = &c["resume"];
        let known = (!k.is_null()).then(|| v1::KnownView {
            epoch: number(&k["epoch"]),
            revision: number(&k["revision"]),
            view_id: number(&k["view_id"]),
            digest: number(&k["digest"]),
            count: number(&k["count"]),
        });
        let d = &c["decision"];
        let want = match (text(&d["frame"]), text(&d["error"])) {
            ("SNAPSHOT", _) => {
                let cause = format!("SNAPSHOT_CAUSE_{}", text(&d["cause"]));
                Decision::Snapshot(v1::SnapshotCause::from_str_name(&cause).expect("a cause"))
            }
            ("DELTA", _) => Decision::Delta,
            ("PROGRESS", _) => Decision::Progress,
            (_, "EPOCH_BEHIND") => Decision::EpochBehind,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            decide_resume(&present, known.as_ref()),
            want,
            "{}",
            c["name"]
        );
    }
}

#[test]
fn vectors_register() {
    for c in cases("register.json", "cases") {
        let p = &c["present"];
        let present = (!p.is_null()).then(|| Lease {
            id: text(&p["lease_id"]).into(),
            epoch: number(&p["epoch"]),
            incarnation: number(&p["incarnation"]),
            request_id: text(&p["request_id"]).into(),
            ttl: Duration::ZERO,
            deadline: None,
        });
        let r = &c["request"];
        let previous = r.get("previous").map(|p| {
            Claimed::Previous(v1::PreviousLease {
                lease_id: text(&p["lease_id"]).into(),
                epoch: number(&p["epoch"]),
                incarnation: number(&p["incarnation"]),
            })
        });
        let take_over = r.get("take_over").map(|t| {
            let incarnations = t["incarnations"].as_array().expect("a list");
            Claimed::TakeOver(v1::TakeOver {
                incarnations: incarnations.iter().map(number).collect(),
            })
        });
        let request = v1::RegisterRequest {
            request_id: text(&r["request_id"]).into(),
            claim: previous.or(take_over),
            ..Default::default()
        };
        let got = match judge(present.as_ref(), &request) {
            Claim::Create => "CREATE",
            Claim::Retry => "RETRY",
            Claim::Replace => "REPLACE",
            Claim::TakeOver => "TAKE_OVER",
            Claim::Exists => "INSTANCE_EXISTS",
            Claim::Fenced => "FENCED",
        };
        assert_eq!(got, c["decision"], "{}", c["name"]);
    }
}

#[test]
fn vectors_view_id() {
    let selector = |c: &Value| v1::Selector::decode(unhex(&c["wire"]).as_slice()).expect("decodes");
    for c in cases("view_id.json", "cases") {
        let form = canonical(&selector(&c)).expect("a canonical form");
        assert_eq!(form, unhex(&c["canonical"]), "{}", c["name"]);
        let id = view_id(&form, text(&c["access_class"]));
        assert_eq!(id, number(&c["view_id"]), "{}", c["name"]);
    }
    for c in cases("view_id.json", "refused") {
        let refused = canonical(&selector(&c)).expect_err("refused");
        assert_eq!(
            refused.reason,
            v1::ErrorReason::InvalidArgument,
            "{}",
            c["name"]
        );
    }
}
