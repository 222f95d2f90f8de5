//! Commands about gRPC channels.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::uri::PathAndQuery;
use muster_client::tonic_0_14::{self, WaitForReady};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::client::Grpc;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::command::{Answer, Command, Failure, millis};
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
    pub(crate) counts: Mutex<Counts>,
    pub(crate) load: tokio::sync::Mutex<Option<Load>>,
    pub(crate) end: CancellationToken,
}

impl Wire {
    /// Makes one call and returns who answered.
    pub(crate) async fn echo(&self, limit: Duration, wait: bool) -> Result<String, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready()
            .await
            .map_err(|e| Status::unknown(format!("not ready: {e:?}")))?;
        // The protobuf form of a Rust String is google.protobuf.StringValue.
        let mut request = Request::new(String::new());
        request.set_timeout(limit);
        if wait {
            request
                .extensions_mut()
                .insert(WaitForReady::up_to(FOR_EVER));
        }
        let codec = ProstCodec::<String, String>::default();
        let answer = grpc.unary(request, PathAndQuery::from_static(ECHO), codec);
        Ok(answer.await?.into_inner())
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
            counts: Mutex::default(),
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

    /// `call NAME [timeout=] [wait=yes]`, waiting for readiness.
    pub(crate) async fn call(&self, c: &Command) -> Answer {
        let wire = self.wire(c)?;
        let limit = c.duration("timeout")?.unwrap_or(CALL_TIMEOUT);
        let wait = c.with.get("wait").is_some_and(|v| v == "yes");
        let began = Instant::now();
        let by = wire.echo(limit, wait).await?;
        let took = millis(began.elapsed());
        Ok(json!({ "about": { "by": by, "took_ms": took } }))
    }

    /// `hangup NAME`.
    pub(crate) async fn hangup(&self, c: &Command) -> Answer {
        self.wire(c)?.close().await;
        Ok(Value::Null)
    }
}
