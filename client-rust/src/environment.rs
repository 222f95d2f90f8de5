//! Settings from environment variables.

use std::time::Duration;

use muster_rules::environment::Settings;

use crate::config::ClientBuilder;
use crate::error::{Error, Reason};
use crate::spec::{EndpointSpec, InstanceSpec};
use crate::token::TokenFile;

/// The settings that the process's environment names, for a builder on which more can be set.
pub(crate) fn builder() -> Result<ClientBuilder, Error> {
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let borrowed = variables.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    of(Settings::parse(borrowed).map_err(refused)?)
}

fn refused(problem: String) -> Error {
    Error::new(Reason::InvalidArgument, problem).about("new", "environment")
}

fn of(s: Settings) -> Result<ClientBuilder, Error> {
    if !s.unknown.is_empty() {
        let names = s.unknown.join(", ");
        tracing::warn!("environment variables that mean nothing: {names}; most likely misspelt");
    }
    let mut builder = ClientBuilder::new(s.servers)
        .name(s.name)
        .locality(s.region, s.zone);
    if let Some(ms) = u64::try_from(s.ttl_ms).ok().filter(|ms| *ms > 0) {
        builder = builder.ttl(Duration::from_millis(ms));
    }
    if let Some(ms) = u64::try_from(s.grace_period_ms).ok().filter(|ms| *ms > 0) {
        builder = builder.grace_period(Duration::from_millis(ms));
    }
    if !s.token_file.is_empty() {
        builder = builder.token(TokenFile::new(s.token_file));
    }
    if !s.cache_dir.is_empty() {
        builder = builder.cache_dir(s.cache_dir);
    }
    #[cfg(feature = "tls-ring")]
    if !(s.tls_ca.is_empty() && s.tls_cert.is_empty() && s.tls_server_name.is_empty()) {
        let mut tls = crate::tls::TlsConfig::new();
        if !s.tls_ca.is_empty() {
            tls = tls.ca_file(s.tls_ca);
        }
        if !s.tls_cert.is_empty() {
            tls = tls.cert_file(s.tls_cert).key_file(s.tls_key);
        }
        if !s.tls_server_name.is_empty() {
            tls = tls.server_name(s.tls_server_name);
        }
        builder = builder.tls(tls);
    }
    #[cfg(not(feature = "tls-ring"))]
    if !(s.tls_ca.is_empty() && s.tls_cert.is_empty() && s.tls_server_name.is_empty()) {
        let text =
            "environment: TLS is wanted, and this client was built without the feature tls-ring";
        return Err(Error::new(Reason::FeatureNotServed, text));
    }
    let overrides = s.overrides.into_iter().flat_map(|o| {
        let spec = InstanceSpec::new(o.namespace, o.service);
        let addresses = o.addresses.into_iter();
        addresses.map(move |a| spec.clone().endpoint(EndpointSpec::new("grpc", a)))
    });
    let overrides: Vec<InstanceSpec> = overrides.collect();
    if !overrides.is_empty() {
        builder = builder.overrides(overrides);
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(variables: &[(&str, &str)]) -> Result<ClientBuilder, Error> {
        let settings = Settings::parse(variables.iter().copied());
        of(settings.map_err(refused)?)
    }

    #[tokio::test]
    async fn from_environment() {
        let builder = parsed(&[
            ("MUSTER_SERVERS", "a:1@z1, b:1@z2"),
            ("MUSTER_NAME", "orders-3"),
            ("MUSTER_REGION", "r1"),
            ("MUSTER_ZONE", "z2"),
            ("MUSTER_OVERRIDE", "shop/pay=localhost:9000"),
            ("MUSTER_SERVER", "misspelt"),
        ]);
        let client = builder.expect("settings").build().expect("a client");
        assert_eq!(client.status().server, "b:1");
        assert_eq!(client.locality().zone, "z2");
        let pay = crate::Selector::service("shop", "pay");
        let view = client.subscribe(pay).expect("subscribed").view();
        assert_eq!(view.instances()[0].endpoints[0].address, "localhost:9000");
        client.close().await;
    }

    #[tokio::test]
    async fn wrong_environment_is_an_error_that_names_the_variable() {
        let e = parsed(&[("MUSTER_SERVERS", "registry")]).expect_err("no port");
        assert_eq!(
            e.to_string(),
            "muster: environment variable MUSTER_SERVERS is \"registry\": \"registry\" is no host:port, such as 127.0.0.1:7070 [INVALID_ARGUMENT]"
        );
        let token = [("MUSTER_SERVERS", "a:1"), ("MUSTER_TOKEN_FILE", "/token")];
        let e = parsed(&token)
            .expect("settings")
            .build()
            .expect_err("no TLS");
        assert!(e.to_string().contains("a token without TLS"), "{e}");
    }
}
