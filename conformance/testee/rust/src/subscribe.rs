//! Commands about subscriptions, and `lookup`.

use std::collections::HashMap;

use futures_util::StreamExt;
use muster_client::{Picker, Position, Selector, ServiceName, Subscription, Update, Updates};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::command::{Answer, Command, Failure, named, number};
use crate::register::{HEALTHS, LIFECYCLES};
use crate::testee::Testee;
use crate::{say, view};

/// A handle, and the pickers that commands added.
pub(crate) struct Followed {
    subscription: Subscription,
    service: Option<ServiceName>,
    _following: DropGuard,
    pickers: HashMap<String, Picker>,
}

/// Reads services, or a prefix `NAMESPACE/PREFIX*`, and the options of a filter; with the only
/// service if there is one.
fn selector(c: &Command, names: &[String]) -> Result<(Selector, Option<ServiceName>), Failure> {
    let mut prefix = None;
    let mut services = Vec::new();
    for text in names {
        let (namespace, service) = text.split_once('/').unwrap_or((text, ""));
        match service.strip_suffix('*') {
            Some(begin) => prefix = Some(Selector::prefix(namespace, begin)),
            None => services.push(ServiceName::new(namespace, service)),
        }
    }
    let only = match (&prefix, services.as_slice()) {
        (None, [one]) => Some(one.clone()),
        _ => None,
    };
    let mut s = prefix.unwrap_or_else(|| Selector::services(services));
    for (name, value) in &c.with {
        s = filter(s, c, name, value)?;
    }
    Ok((s, only))
}

fn filter(s: Selector, c: &Command, name: &str, value: &str) -> Result<Selector, Failure> {
    let list = value.split(',');
    Ok(match name {
        "version" => s.version_range(value),
        "zone" => s.zones(list),
        "region" => s.regions(list),
        "id" => s.instance_ids(list),
        "endpoint" => s.endpoint_names(list),
        "capability" => list.fold(s, Selector::capability),
        "health" => {
            let all: Result<Vec<_>, _> = list.map(|text| named(text, HEALTHS)).collect();
            s.healths(all?)
        }
        "lifecycle" => {
            let all: Result<Vec<_>, _> = list.map(|text| named(text, LIFECYCLES)).collect();
            s.lifecycles(all?)
        }
        "timeout" | "linearizable" | "min" => s,
        other => match other.strip_prefix("metadata.") {
            Some(key) => s.metadata(key, list),
            None => return Err(c.unknown(other)),
        },
    })
}

/// Tells of the updates of a subscription until it ends.
async fn follow(name: String, mut updates: Updates, service: Option<ServiceName>) {
    while let Some(update) = updates.next().await {
        let update = match update {
            Ok(update) => update,
            Err(e) => return say::event(&name, "ended", say::error(&e)),
        };
        let mut fields = view::fields(update.view(), service.as_ref());
        let kind = match &update {
            Update::Snapshot {
                cause,
                upserted,
                removed,
                ..
            } => {
                fields["cause"] = cause.as_str().into();
                fields["upserted"] = view::instances(upserted);
                fields["removed"] = view::removals(removed);
                "snapshot"
            }
            Update::Delta {
                upserted, removed, ..
            } => {
                fields["upserted"] = view::instances(upserted);
                fields["removed"] = view::removals(removed);
                "delta"
            }
            Update::Freshness { from, to, .. } => {
                fields["from"] = from.as_str().into();
                fields["to"] = to.as_str().into();
                "freshness"
            }
            _ => "unknown",
        };
        say::event(&name, kind, fields);
    }
}

impl Testee {
    /// `subscribe NAME SERVICE... [filter]`. The channel `NAME` then shows its updates.
    pub(crate) fn subscribe(&self, c: &Command) -> Answer {
        let client = self.client(c)?;
        c.arg(1, "NAMESPACE/SERVICE")?;
        let (selector, service) = selector(c, &c.args[1..])?;
        let subscription = client.subscribe(selector)?;
        let name = c.name().to_owned();
        let stop = CancellationToken::new();
        let told = follow(name.clone(), subscription.updates(), service.clone());
        let following = stop.clone().run_until_cancelled_owned(told);
        self.tasks.spawn(following);
        let followed = Followed {
            subscription,
            service,
            _following: stop.drop_guard(),
            pickers: HashMap::new(),
        };
        self.held().subscriptions.insert(name, followed);
        Ok(Value::Null)
    }

    /// Does something with a subscription.
    fn followed<T>(
        &self,
        c: &Command,
        what: impl FnOnce(&mut Followed) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self.held().subscriptions.get_mut(c.name()) {
            Some(followed) => what(followed),
            None => Err(c.missing("subscription")),
        }
    }

    pub(crate) fn unsubscribe(&self, c: &Command) -> Answer {
        match self.held().subscriptions.remove(c.name()) {
            Some(_) => Ok(Value::Null),
            None => Err(c.missing("subscription")),
        }
    }

    /// `view NAME`.
    pub(crate) fn view(&self, c: &Command) -> Answer {
        self.followed(c, |f| {
            Ok(view::whole(&f.subscription.view(), f.service.as_ref()))
        })
    }

    /// `wait NAME LEAST [timeout=]`.
    pub(crate) async fn wait(&self, c: &Command) -> Answer {
        let (subscription, service) =
            self.followed(c, |f| Ok((f.subscription.clone(), f.service.clone())))?;
        let least = number(c.args.get(1).map_or("1", String::as_str))?;
        let view = match c.duration("timeout")? {
            None => subscription.wait(least).await?,
            Some(limit) => subscription.wait_timeout(least, limit).await?,
        };
        Ok(view::whole(&view, service.as_ref()))
    }

    /// `lookup SERVICE... [filter] [linearizable=yes] [min=EPOCH/REVISION] [timeout=]`.
    pub(crate) async fn lookup(&self, c: &Command) -> Answer {
        let (selector, service) = selector(c, &c.args)?;
        let mut lookup = self.client(c)?.lookup(selector);
        if c.with.get("linearizable").is_some_and(|v| v == "yes") {
            lookup = lookup.linearizable();
        }
        if let Some(text) = c.with.get("min") {
            let (epoch, revision) = text.split_once('/').unwrap_or((text, ""));
            lookup = lookup.min_position(Position::new(number(epoch)?, number(revision)?));
        }
        if let Some(limit) = c.duration("timeout")? {
            lookup = lookup.timeout(limit);
        }
        Ok(view::whole(&*lookup.await?, service.as_ref()))
    }

    /// `picker SUBSCRIPTION NAME`: it stands still until applied.
    pub(crate) fn add_picker(&self, c: &Command) -> Answer {
        let name = c.arg(1, "the picker's NAME")?.to_owned();
        self.followed(c, |f| {
            f.pickers.insert(name, f.subscription.add_picker());
            Ok(json!({}))
        })
    }

    /// `applied SUBSCRIPTION NAME`: brings a picker to the present view.
    pub(crate) fn applied(&self, c: &Command) -> Answer {
        let name = c.arg(1, "the picker's NAME")?;
        self.followed(c, |f| match f.pickers.get(name) {
            Some(picker) => {
                picker.applied(&f.subscription.view());
                Ok(json!({}))
            }
            None => Err(c.missing("picker")),
        })
    }

    /// `unpick SUBSCRIPTION NAME`: takes a picker away.
    pub(crate) fn close_picker(&self, c: &Command) -> Answer {
        let name = c.arg(1, "the picker's NAME")?;
        self.followed(c, |f| match f.pickers.remove(name) {
            Some(_) => Ok(json!({})),
            None => Err(c.missing("picker")),
        })
    }
}
