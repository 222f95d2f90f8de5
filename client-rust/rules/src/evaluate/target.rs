use serde::{Deserialize, Serialize};

use super::rule;
use crate::address::{AddressKind, kind_of_address};
use crate::target::Target;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressInput {
    address: String,
}

#[derive(Serialize)]
struct AddressOutput {
    kind: &'static str,
}

pub(super) fn address(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: AddressInput| AddressOutput {
        kind: match kind_of_address(&input.address) {
            AddressKind::Dialable => "DIALABLE",
            AddressKind::Unspecified => "UNSPECIFIED",
            AddressKind::Malformed => "MALFORMED",
        },
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    target: String,
}

#[derive(Serialize)]
struct Output {
    error: String,
    namespace: String,
    service: String,
    endpoint: String,
}

pub(super) fn target(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let (target, error) = match Target::parse(&input.target) {
            Ok(target) => (target, String::new()),
            Err(error) => (Target::default(), error),
        };
        Output {
            error,
            namespace: target.namespace,
            service: target.service,
            endpoint: target.endpoint,
        }
    })
}
