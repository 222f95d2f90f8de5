//! Commands about gRPC channels.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::uri::PathAndQuery;
use muster_client::tonic_0_14::{self, HashKey, PickExplanation, PinnedInstance, WaitForReady};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::client::Grpc;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::command::{Answer, Command, Failure, millis, number};
use crate::load::{Counts, Load};
use crate::testee::Testee;

/// Answers with the name of who serves it.
pub(crate) const ECHO: &str = "/conformance.Echo/Name";
/// Bounds a call without option `timeout`.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than the deadline of any call, which then decides.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// A gRPC channel, and the load on it.
pub(crate) struct Wire {
    channel: tonic_0_14::Channel,
    pub(crate) counts: watch::Sender<Counts>,
    /// Which backend answered a key last.
    keys: Mutex<HashMap<String, String>>,
    pub(crate) load: tokio::sync::Mutex<Option<Load>>,
    pub(crate) end: CancellationToken,
}

/// How one call is to be made.
pub(crate) struct Wish {
    pub(crate) limit: Duration,
    wait: bool,
    delay: String,
    key: String,
    pin: Option<String>,
}

impl Default for Wish {
    fn default() -> Wish {
        Wish {
            limit: CALL_TIMEOUT,
            wait: false,
            delay: String::new(),
            key: String::new(),
            pin: None,
        }
    }
}

impl Wire {
    /// Makes one call and returns who answered.
    pub(crate) async fn echo(&self, wish: &Wish) -> Result<String, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready()
            .await
            .map_err(|e| Status::unknown(format!("not ready: {e:?}")))?;
        // The protobuf form of a Rust String is google.protobuf.StringValue.
        let mut request = Request::new(wish.delay.clone());
        request.set_timeout(wish.limit);
        let extensions = request.extensions_mut();
        if wish.wait {
            extensions.insert(WaitForReady::up_to(FOR_EVER));
        }
        if !wish.key.is_empty() {
            extensions.insert(HashKey::new(&wish.key));
        }
        if let Some(id) = &wish.pin {
            extensions.insert(PinnedInstance::new(id.as_str()));
        }
        let codec = ProstCodec::<String, String>::default();
        let answer = grpc.unary(request, PathAndQuery::from_static(ECHO), codec);
        Ok(answer.await?.into_inner())
    }

    /// Notes who answered a key, and tells whether somebody else did before.
    fn moved(&self, key: &str, who: &str) -> bool {
        if key.is_empty() {
            return false;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let before = keys.insert(key.to_owned(), who.to_owned());
        before.is_some_and(|before| before != who)
    }

    pub(crate) fn explain_pick(&self) -> PickExplanation {
        self.channel.explain_pick()
    }

    pub(crate) async fn close(&self) {
        self.end.cancel();
        self.unload().await;
        self.channel.close(Duration::from_secs(1)).await;
    }
}

impl Testee {
    /// `channel NAME TARGET`.
    pub(crate) fn open_channel(&self, c: &Command) -> Answer {
        let channel = tonic_0_14::Channel::new(&self.client(c)?, c.arg(1, "TARGET")?)?;
        let wire = Wire {
            channel,
            counts: watch::Sender::default(),
            keys: Mutex::default(),
            load: tokio::sync::Mutex::default(),
            end: CancellationToken::new(),
        };
        let name = c.name().to_owned();
        self.held().channels.insert(name, Arc::new(wire));
        Ok(Value::Null)
    }

    pub(crate) fn wire(&self, c: &Command) -> Result<Arc<Wire>, Failure> {
        match self.held().channels.get(c.name()) {
            Some(wire) => Ok(wire.clone()),
            None => Err(c.missing("channel")),
        }
    }

    /// `call NAME [timeout=] [wait=yes] [delay=] [hash=] [pin=]`, waiting for readiness, answered
    /// after a delay, by the hash of a key, to one instance. With `times=N` it makes so many, one
    /// after the other; with `keys=N` one with each of so many keys. The first error is the answer.
    pub(crate) async fn call(&self, c: &Command) -> Answer {
        let wire = self.wire(c)?;
        let given = |name: &str| c.with.get(name).cloned();
        let count = |name: &str| given(name).map(|text| number::<usize>(&text)).transpose();
        let (times, keys) = (count("times")?.unwrap_or(1), count("keys")?.unwrap_or(0));
        let mut wish = Wish {
            limit: c.duration("timeout")?.unwrap_or(CALL_TIMEOUT),
            wait: given("wait").is_some_and(|v| v == "yes"),
            delay: given("delay").unwrap_or_default(),
            key: given("hash").unwrap_or_default(),
            pin: given("pin"),
        };
        let (began, mut moved, mut last) = (Instant::now(), 0, String::new());
        let mut by = BTreeMap::<String, usize>::new();
        for n in 0..times.max(keys) {
            if keys > 0 {
                wish.key = format!("key {n}");
            }
            last = wire.echo(&wish).await?;
            *by.entry(last.clone()).or_default() += 1;
            moved += usize::from(wire.moved(&wish.key, &last));
        }
        let took = millis(began.elapsed());
        let mut about =
            json!({ "by": last, "took_ms": took, "backends": by.len(), "moved": moved });
        if times.max(keys) > 1 {
            about["by"] = json!(by);
        }
        Ok(json!({ "about": about }))
    }

    /// `hangup NAME`.
    pub(crate) async fn hangup(&self, c: &Command) -> Answer {
        self.wire(c)?.close().await;
        Ok(Value::Null)
    }
}
