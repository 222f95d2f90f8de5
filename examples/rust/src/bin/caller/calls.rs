//! Calling, counting, and telling what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use muster_client::tonic_0_14::{Channel, reason_of};
use muster_client::{Code, Reason, Source, Subscription};
use muster_examples::greeter::greeter_service_client::GreeterServiceClient;
use muster_examples::greeter::{GreetManyRequest, GreetRequest};
use muster_examples::jsonl;
use serde::Serialize;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};
use tonic::{Request, Status};

use crate::BoxError;
use crate::signals::Shutdown;

/// Counts of calls between two sums.
#[derive(Default, Serialize)]
struct Counts {
    ok: u64,
    failed: u64,
    by_instance: BTreeMap<String, u64>,
}

/// What all workers count together.
#[derive(Default)]
pub(crate) struct Totals(Mutex<Counts>);

impl Totals {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns the counts and begins anew.
    fn take(&self) -> Counts {
        let mut taken = Counts::default();
        self.count(|counts| std::mem::swap(counts, &mut taken));
        taken
    }
}

/// One worker: it calls at its share of the rate. A call in flight at the end still gets its
/// answer.
pub(crate) struct Worker {
    pub(crate) greeter: GreeterServiceClient<Channel>,
    pub(crate) name: String,
    pub(crate) pause: Duration,
    pub(crate) timeout: Duration,
    /// Greetings that each call asks for on a stream; 0 makes plain calls.
    pub(crate) greetings: u32,
    pub(crate) totals: Arc<Totals>,
}

impl Worker {
    pub(crate) async fn run(mut self, shutdown: Shutdown) -> Result<(), BoxError> {
        let mut ticks = interval(self.pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut end = std::pin::pin!(shutdown.wait());
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                _ = ticks.tick() => {}
            }
            match self.greet().await {
                Ok(id) => self.totals.count(|counts| {
                    counts.ok += 1;
                    *counts.by_instance.entry(id).or_default() += 1;
                }),
                Err(status) => {
                    self.totals.count(|counts| counts.failed += 1);
                    tell_failed(&status);
                }
            }
        }
    }

    /// Makes one call and returns who answered it.
    async fn greet(&mut self) -> Result<String, Status> {
        let name = self.name.clone();
        let count = self.greetings;
        if count == 0 {
            let mut request = Request::new(GreetRequest { name });
            request.set_timeout(self.timeout);
            return Ok(self.greeter.greet(request).await?.into_inner().instance_id);
        }
        let mut request = Request::new(GreetManyRequest { name, count });
        request.set_timeout(self.timeout);
        let mut stream = self.greeter.greet_many(request).await?.into_inner();
        let (mut id, mut number) = (String::new(), 0);
        while let Some(answer) = stream.message().await? {
            id = answer.instance_id;
            number += 1;
        }
        if number == count {
            return Ok(id);
        }
        Err(Status::data_loss(format!(
            "{number} of {count} greetings came"
        )))
    }
}

/// Writes why a call failed.
fn tell_failed(status: &Status) {
    jsonl::write(
        "failed",
        &json!({
            "code": Code::from_number(status.code() as u32).as_str(),
            "reason": reason_of(status).map_or("", Reason::as_str),
            "message": status.message(),
        }),
    );
}

/// Writes the counts at every interval and once at the end.
pub(crate) async fn sums(
    pause: Duration,
    subscription: Subscription,
    totals: Arc<Totals>,
    shutdown: Shutdown,
) -> Result<(), BoxError> {
    let mut ticks = interval(pause);
    let mut end = std::pin::pin!(shutdown.wait());
    let mut ended = false;
    while !ended {
        tokio::select! {
            () = &mut end => ended = true,
            _ = ticks.tick() => {}
        }
        let view = subscription.view();
        let mut line = serde_json::to_value(totals.take())?;
        line["age_ms"] = json!(u64::try_from(view.age().as_millis())?);
        line["source"] = json!(match view.source() {
            Source::Registry => "REGISTRY",
            _ => "MEMORY",
        });
        jsonl::write("calls", &line);
    }
    Ok(())
}
