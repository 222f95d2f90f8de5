use serde::{Deserialize, Serialize};

use super::rule;
use crate::semver::Version;
use crate::semver_range::{Range, semver_matches};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    range: String,
    versions: Vec<String>,
}

#[derive(Serialize)]
struct Output {
    error: String,
    normalised: String,
    matches: Vec<bool>,
}

pub(super) fn semver(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let range = Range::parse(&input.range);
        let matches = |v: &String| semver_matches(&input.range, v);
        Output {
            matches: input.versions.iter().map(matches).collect(),
            normalised: range.as_ref().map(Range::to_string).unwrap_or_default(),
            error: range.err().unwrap_or_default(),
        }
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderInput {
    versions: Vec<String>,
}

#[derive(Serialize)]
struct OrderOutput {
    errors: Vec<String>,
    /// Compares each version with the one before it.
    order: Vec<i8>,
}

pub(super) fn semver_order(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: OrderInput| {
        let none = || Version {
            major: 0,
            minor: 0,
            patch: 0,
            prerelease: String::new(),
        };
        let (mut errors, mut versions) = (Vec::new(), Vec::new());
        for text in &input.versions {
            match Version::parse(text) {
                Ok(version) => {
                    errors.push(String::new());
                    versions.push(version);
                }
                Err(error) => {
                    errors.push(error);
                    versions.push(none());
                }
            }
        }
        let compare = |w: &[Version]| w[1].compare(&w[0]) as i8;
        OrderOutput {
            errors,
            order: versions.windows(2).map(compare).collect(),
        }
    })
}
