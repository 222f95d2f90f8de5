use serde::{Deserialize, Serialize};

use super::rule;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    listener: String,
    advertise: String,
    pod_ip: String,
    interfaces: Vec<InterfaceAddress>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InterfaceAddress {
    interface: String,
    address: String,
}

#[derive(Serialize)]
struct Output {
    error: String,
    address: String,
}

pub(super) fn advertise(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let interfaces: Vec<(&str, &str)> = input
            .interfaces
            .iter()
            .map(|a| (a.interface.as_str(), a.address.as_str()))
            .collect();
        let (listener, wanted, pod_ip) = (&input.listener, &input.advertise, &input.pod_ip);
        match crate::advertise::advertise(listener, wanted, pod_ip, &interfaces) {
            Ok(address) => Output {
                error: String::new(),
                address,
            },
            Err(error) => Output {
                error,
                address: String::new(),
            },
        }
    })
}
