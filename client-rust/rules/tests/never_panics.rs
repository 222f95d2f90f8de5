//! Whatever is read, nothing panics, and what is taken reads back the same.

use muster_rules::cache_file::{CacheFault, decode_cache_file, encode_cache_file};
use muster_rules::environment::Settings;
use muster_rules::evaluate;
use muster_rules::semver_range::Range;
use muster_rules::target::Target;
use proptest::prelude::*;
use xxhash_rust::xxh64::xxh64;

proptest! {
    #[test]
    fn target(text in "(muster:///)?[ -~é]{0,12}/[ -~]{0,12}(\\?endpoint=[a-z-]{0,4})?") {
        if let Ok(t) = Target::parse(&text) {
            let mut again = format!("muster:///{}/{}", t.namespace, t.service);
            if !t.endpoint.is_empty() {
                again = format!("{again}?endpoint={}", t.endpoint);
            }
            prop_assert_eq!(again, text);
        }
    }

    #[test]
    fn environment(name in "MUSTER_(OVERRIDE|TTL|GRACE_PERIOD|SERVERS|NAME)", value in "\\PC{0,40}|[0-9]{0,22}(ms|s|m|h)|[a-z/=:0-9;, ]{0,40}") {
        if let Err(e) = Settings::parse([(name.as_str(), value.as_str())]) {
            prop_assert!(e.contains(&name), "{e}");
        }
    }

    #[test]
    fn range(text in "([<>=!]{0,2}[0-9.]{0,8}(-[a-z0-9.]{0,4})? ?){0,4}") {
        if let Ok(r) = Range::parse(&text) {
            let again = Range::parse(&r.to_string());
            prop_assert_eq!(again.map(|a| a.to_string()), Ok(r.to_string()));
        }
    }

    #[test]
    fn cache_file(
        lengths in prop::collection::vec(0u64..4, 0..12), noise in prop::collection::vec(any::<u8>(), 0..40), at in 0usize..200
    ) {
        // Something like a body: lengths and what they announce, with noise in it.
        let mut body: Vec<u8> = Vec::new();
        for n in &lengths {
            body.extend(n.to_le_bytes());
            body.extend((0..*n).map(|_| 1));
        }
        let at = at.min(body.len());
        body.splice(at..at, noise);
        let _ = decode_cache_file(&body);
        let mut checked = (body.len() as u64).to_le_bytes().to_vec();
        checked.extend(&body);
        let mut file = b"MUSTLKG\n\x01\0\0\0".to_vec();
        file.extend(xxh64(&checked, 0).to_le_bytes());
        file.extend(checked);
        match decode_cache_file(&file) {
            Ok(read) => prop_assert_eq!(encode_cache_file(&read), file),
            Err(fault) => prop_assert_eq!(fault, CacheFault::Corrupted),
        }
    }

    #[test]
    fn any_input(rule in 0usize..64, text in "\\PC{0,60}") {
        if let Some(name) = evaluate::names().nth(rule) {
            let _ = evaluate::call(name, &text);
        }
    }

    #[test]
    fn frames(kinds in prop::collection::vec((0u8..4, any::<u8>(), 0i32..4), 0..8), now: i64) {
        let step = |(kind, n, position): &(u8, u8, i32)| {
            let kind = ["SNAPSHOT", "DELTA", "PROGRESS", "DROP"][usize::from(*kind)];
            format!(
                r#"{{"now_ms": {now}, "frame": {{"kind": "{kind}", "position": {position}, "index": {}, "header": {{"epoch": "{}", "revision": "{n}", "count": "{}"}},
                "removals": [{{"kind": {position}, "instance_id": "{n}"}}], "instances": [{{"instance_id": "{n}"}}]}}}}"#,
                n % 3, n / 64, n % 4
            )
        };
        let steps: Vec<String> = kinds.iter().map(step).collect();
        let input = format!(r#"{{"steps": [{}]}}"#, steps.join(","));
        prop_assert!(evaluate::call("frames", &input).is_ok());
    }
}
