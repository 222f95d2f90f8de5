//! Calls the rules by name with JSON, for the vectors and the differential fuzzer. The Go package
//! `client-go/internal/rules/evaluate` is the same.

mod advertise;
mod cache_age;
mod cache_file;
mod cache_room;
mod code;
mod connection;
mod digest;
mod environment;
mod errors;
mod frames;
mod hex;
mod maglev;
mod matching;
mod outlier;
mod pick;
mod plan;
mod random;
mod retry;
mod semver;
mod servers;
mod slot_key;
mod target;
mod text;
mod timing;
mod usable;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use code::CodeName;
pub(crate) use hex::Hex;
pub(crate) use text::Text;

type Evaluate = fn(&str) -> Result<String, serde_json::Error>;

/// One entry for each rule, by the name that vectors use; sorted.
const TABLE: &[(&str, Evaluate)] = &[
    ("address", target::address),
    ("advertise", advertise::advertise),
    ("backoff", timing::backoff),
    ("budget", retry::budget),
    ("cache_age", cache_age::cache_age),
    ("cache_file", cache_file::cache_file),
    ("cache_room", cache_room::cache_room),
    ("connection", connection::connection),
    ("digest", digest::digest),
    ("environment", environment::environment),
    ("errors", errors::errors),
    ("frames", frames::frames),
    ("freshness", timing::freshness),
    ("grace", timing::grace),
    ("keepalive", timing::keepalive),
    ("maglev", maglev::maglev),
    ("matching", matching::matching),
    ("outcome", outlier::outcome),
    ("outlier", outlier::outlier),
    ("pick", pick::pick),
    ("plan", plan::plan),
    ("random", random::random),
    ("retry", retry::retry),
    ("semver", semver::semver),
    ("semver_order", semver::semver_order),
    ("servers", servers::servers),
    ("target", target::target),
    ("usable", usable::usable),
];

/// The names of the rules, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// Evaluates a rule.
///
/// # Errors
///
/// The input is not one of that rule. What a rule refuses is part of its output.
pub fn call(rule: &str, input: &str) -> Result<String, String> {
    let (_, evaluate) = TABLE
        .iter()
        .find(|(name, _)| *name == rule)
        .ok_or_else(|| format!("there is no rule named {rule:?}"))?;
    evaluate(input).map_err(|e| format!("{rule}: {e}"))
}

/// Makes a table's entry of a function on decoded values.
pub(crate) fn rule<In: DeserializeOwned, Out: Serialize>(
    input: &str,
    evaluate: impl FnOnce(In) -> Out,
) -> Result<String, serde_json::Error> {
    serde_json::to_string(&evaluate(serde_json::from_str(input)?))
}
