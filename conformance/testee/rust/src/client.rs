//! Commands about a client as a whole.

use muster_client::{Client, ClientBuilder, FixedToken, TlsConfig, TokenFile};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::command::{Answer, Command, Failure, duration, millis};
use crate::say;
use crate::testee::Testee;

/// Changes the TLS settings, and passes the builder on.
fn secured(
    builder: ClientBuilder,
    secure: &mut Option<TlsConfig>,
    change: impl FnOnce(TlsConfig) -> TlsConfig,
) -> ClientBuilder {
    *secure = Some(change(secure.take().unwrap_or_default()));
    builder
}

impl Testee {
    /// `client [NAME] servers=HOST:PORT,... [ttl=] [name=] [freshness=FRESH,STALE] [tls-ca=]
    /// [tls-cert=] [tls-key=] [tls-name=] [token=] [token-file=] [cache=DIR] [region=]
    /// [zone=]`; `client env=yes ...` makes it of the environment, which names the servers.
    pub(crate) fn new_client(&self, c: &Command) -> Answer {
        let servers = c.with.get("servers").map_or("", String::as_str);
        let servers = servers.split(',').filter(|s| !s.is_empty());
        let given = |name: &str| c.with.get(name).map_or("", String::as_str);
        let mut secure = None;
        let mut builder = if c.with.contains_key("env") {
            Client::from_environment()?
        } else {
            Client::builder(servers)
        };
        for (name, value) in &c.with {
            builder = match name.as_str() {
                "servers" | "env" => builder,
                "name" => builder.name(value),
                "ttl" => builder.ttl(duration(value)?),
                "freshness" => {
                    let (fresh, stale) = value.split_once(',').unwrap_or((value, ""));
                    builder.freshness(duration(fresh)?, duration(stale)?)
                }
                "tls-ca" => secured(builder, &mut secure, |s| s.ca_file(value)),
                "tls-cert" => secured(builder, &mut secure, |s| s.cert_file(value)),
                "tls-key" => secured(builder, &mut secure, |s| s.key_file(value)),
                "tls-name" => secured(builder, &mut secure, |s| s.server_name(value)),
                "cache" => builder.cache_dir(value),
                "region" | "zone" => builder.locality(given("region"), given("zone")),
                "token" => builder.token(FixedToken::new(value)),
                "token-file" => builder.token(TokenFile::new(value)),
                other => return Err(c.unknown(other)),
            };
        }
        if let Some(secure) = secure {
            builder = builder.tls(secure);
        }
        self.keep_client(c.name(), builder.build()?);
        Ok(Value::Null)
    }

    pub(crate) async fn ready(&self, c: &Command) -> Answer {
        let client = self.client(c)?;
        match c.bounded(client.ready()).await? {
            Some(result) => result?,
            None => match client.status().error {
                Some(e) => return Err(e.into()),
                None => return Err(Failure::Cancelled),
            },
        }
        Ok(Value::Null)
    }

    pub(crate) fn status(&self, c: &Command) -> Answer {
        let s = self.client(c)?.status();
        Ok(json!({
            "registrations": s.registrations,
            "subscriptions": s.subscriptions,
            "about": {
                "server": s.server,
                "cluster": s.cluster_id,
                "epoch": s.written.epoch.to_string(),
                "revision": s.written.revision.to_string(),
                "error": s.error.as_ref().map(say::error),
            },
        }))
    }

    /// All under `about`: counts depend on timing. Scenarios name those that do not.
    pub(crate) fn stats(&self, c: &Command) -> Answer {
        let s = self.client(c)?.stats();
        Ok(json!({ "about": {
            "digest_mismatches": s.digest_mismatches,
            "unverified_views": s.unverified_views,
            "epoch_regressions": s.epoch_regressions,
            "histories_lost": s.histories_lost,
            "watch_streams": s.watch_streams,
            "keepalive_streams": s.keepalive_streams,
            "reregistrations": s.reregistrations,
            "unconfirmed_leases": s.unconfirmed_leases,
            "cache_errors": s.cache_errors,
        } }))
    }

    /// `close [NAME]`.
    pub(crate) async fn close_client(&self, c: &Command) -> Answer {
        let mut c = c.clone();
        if !c.name().is_empty() {
            c.client = c.name().to_owned();
        }
        let began = Instant::now();
        self.client(&c)?.close().await;
        Ok(json!({ "about": { "took_ms": millis(began.elapsed()) } }))
    }
}
