//! Calling all the time, and counting.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::channel::{Wire, Wish};
use crate::command::{Answer, Command, Failure};
use crate::testee::Testee;

/// What came of calls since the counts were taken.
#[derive(Default)]
pub(crate) struct Counts {
    ok: u64,
    failed: u64,
    by: BTreeMap<String, u64>,
    last: Value,
}

/// The task that calls.
pub(crate) struct Load {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Wire {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Calls one by one until it is stopped. A call under way still gets its answer.
    async fn work(self: Arc<Self>, every: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.end.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.echo(&Wish::default()).await {
                Ok(who) => self.count(|c| {
                    c.ok += 1;
                    *c.by.entry(who).or_default() += 1;
                }),
                Err(status) => self.count(|c| {
                    c.failed += 1;
                    c.last = Failure::from(status).fields();
                }),
            }
        }
    }

    pub(crate) async fn unload(&self) {
        if let Some(load) = self.load.lock().await.take() {
            load.stop.cancel();
            let _ = load.task.await;
        }
    }
}

impl Testee {
    /// `load NAME [every=10ms]`: begins to call all the time.
    pub(crate) fn load(&self, c: &Command) -> Answer {
        let wire = self.wire(c)?;
        let every = c.duration("every")?.unwrap_or(Duration::from_millis(10));
        let Ok(mut load) = wire.load.try_lock() else {
            return Err("load: the load is being changed".to_owned().into());
        };
        if load.is_some() {
            return Err("load: the channel is loaded already".to_owned().into());
        }
        wire.count(|c| *c = Counts::default());
        let stop = CancellationToken::new();
        let task = tokio::spawn(wire.clone().work(every, stop.clone()));
        *load = Some(Load { stop, task });
        Ok(Value::Null)
    }

    /// `loaded NAME [keep=yes]`: ends the load and tells how it went; with `keep=yes` it goes on,
    /// counting anew.
    pub(crate) async fn loaded(&self, c: &Command) -> Answer {
        let wire = self.wire(c)?;
        if c.with.get("keep").is_none_or(|v| v != "yes") {
            wire.unload().await;
        }
        let mut taken = Counts::default();
        wire.count(|c| std::mem::swap(c, &mut taken));
        let by: BTreeMap<_, _> = taken
            .by
            .iter()
            .map(|(who, n)| (who, n.to_string()))
            .collect();
        Ok(json!({ "about": {
            "ok": taken.ok, "failed": taken.failed, "by": by, "last": taken.last,
        } }))
    }
}
