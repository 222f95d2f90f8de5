//! Calling all the time, and counting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::channel::{Wire, Wish};
use crate::command::{Answer, Command, Failure, number};
use crate::testee::Testee;

/// Bounds how long `loaded` waits for counts.
const COUNTS_TIMEOUT: Duration = Duration::from_secs(15);

/// What came of calls since the counts were taken.
#[derive(Default)]
pub(crate) struct Counts {
    ok: u64,
    failed: u64,
    by: BTreeMap<String, u64>,
    last: Value,
}

impl Counts {
    /// Whether all backends answered as often as this.
    fn reach(&self, least: &BTreeMap<&str, u64>) -> bool {
        let told = |who: &str| self.by.get(who).copied().unwrap_or_default();
        least.iter().all(|(who, n)| told(who) >= *n)
    }
}

/// The task that calls.
pub(crate) struct Load {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Wire {
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
                Ok(who) => self.counts.send_modify(|c| {
                    c.ok += 1;
                    *c.by.entry(who).or_default() += 1;
                }),
                Err(status) => self.counts.send_modify(|c| {
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
        wire.counts.send_replace(Counts::default());
        let stop = CancellationToken::new();
        let task = tokio::spawn(wire.clone().work(every, stop.clone()));
        *load = Some(Load { stop, task });
        Ok(Value::Null)
    }

    /// `loaded NAME [by.BACKEND=N] [keep=yes]`: ends the load and tells how it went. It waits until
    /// the backends have answered so many calls since counting began, a while at most. With
    /// `keep=yes` the load goes on, counting anew.
    pub(crate) async fn loaded(&self, c: &Command) -> Answer {
        let wire = self.wire(c)?;
        let mut least = BTreeMap::new();
        for (option, n) in &c.with {
            if let Some(who) = option.strip_prefix("by.") {
                least.insert(who, number::<u64>(n)?);
            }
        }
        let mut counts = wire.counts.subscribe();
        let enough = counts.wait_for(|c| c.reach(&least));
        // If it does not come to that, the counts tell what is missing.
        let _ = tokio::time::timeout(COUNTS_TIMEOUT, enough).await;
        if c.with.get("keep").is_none_or(|v| v != "yes") {
            wire.unload().await;
        }
        let taken = wire.counts.send_replace(Counts::default());
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
