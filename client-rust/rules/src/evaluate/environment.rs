use serde::{Deserialize, Serialize};

use super::rule;
use crate::environment::Settings;
use crate::overrides::Override;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    variables: Vec<Variable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct Output {
    error: String,
    servers: Vec<String>,
    name: String,
    ttl_ms: i64,
    #[serde(skip_serializing_if = "is_zero")]
    grace_period_ms: i64,
    tls_ca: String,
    tls_cert: String,
    tls_key: String,
    tls_server_name: String,
    token_file: String,
    cache_dir: String,
    region: String,
    zone: String,
    overrides: Vec<OverrideOutput>,
    unknown: Vec<String>,
}

#[derive(Serialize)]
struct OverrideOutput {
    namespace: String,
    service: String,
    addresses: Vec<String>,
}

impl From<Override> for OverrideOutput {
    fn from(o: Override) -> OverrideOutput {
        OverrideOutput {
            namespace: o.namespace,
            service: o.service,
            addresses: o.addresses,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

pub(super) fn environment(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let variables = input.variables.iter();
        let parsed = Settings::parse(variables.map(|v| (v.name.as_str(), v.value.as_str())));
        let (s, error) = match parsed {
            Ok(s) => (s, String::new()),
            Err(error) => (Settings::default(), error),
        };
        Output {
            error,
            servers: s.servers,
            name: s.name,
            ttl_ms: s.ttl_ms,
            grace_period_ms: s.grace_period_ms,
            tls_ca: s.tls_ca,
            tls_cert: s.tls_cert,
            tls_key: s.tls_key,
            tls_server_name: s.tls_server_name,
            token_file: s.token_file,
            cache_dir: s.cache_dir,
            region: s.region,
            zone: s.zone,
            overrides: s.overrides.into_iter().map(Into::into).collect(),
            unknown: s.unknown,
        }
    })
}
