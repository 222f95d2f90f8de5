//! Lookups and lists.

use std::sync::Arc;

use muster_proto::v1;
use muster_proto::v1::ErrorReason;
use tokio::time::Instant;

use super::check::{DEFAULT_PAGE_SIZE, MAX_LOOKUP_INSTANCES, MAX_PAGE_SIZE};
use super::core::Core;
use super::fault::Fault;
use super::selection::Selection;
use super::state::State;
use crate::instance::ServiceName;

impl Core {
    /// Reads a selector once.
    pub(super) fn lookup(
        &self,
        sel: &Selection,
        known: Option<&v1::KnownView>,
        now: Instant,
    ) -> Result<v1::LookupResponse, Fault> {
        let found = self.state.selected(sel);
        let count = found.instances.len();
        if count > MAX_LOOKUP_INSTANCES as usize {
            let text = format!(
                "the selector matches {count} instances and Lookup answers at most \
                 {MAX_LOOKUP_INSTANCES}; use Watch, or name fewer services"
            );
            return Err(Fault::new(ErrorReason::ResultTooLarge, text)
                .with("count", count)
                .with("maximum", MAX_LOOKUP_INSTANCES));
        }
        let header = self.header(sel, &found, now);
        let holds = |k: &v1::KnownView| {
            (k.epoch, k.view_id, k.digest, k.count)
                == (header.epoch, header.view_id, header.digest, header.count)
        };
        if known.is_some_and(holds) {
            return Ok(v1::LookupResponse {
                header: Some(header),
                result: v1::LookupResult::Unchanged as i32,
                ..Default::default()
            });
        }
        Ok(v1::LookupResponse {
            header: Some(header),
            instances: found.instances.iter().map(|i| (**i).clone()).collect(),
            services: found.services.iter().map(|s| (**s).clone()).collect(),
            result: v1::LookupResult::Full as i32,
            ..Default::default()
        })
    }

    /// Whether the history has reached a position; it never reaches one of another epoch.
    pub(super) fn reached(&self, wanted: &v1::Position) -> Result<bool, Fault> {
        let epoch = self.state.epoch;
        if epoch == wanted.epoch {
            return Ok(self.state.revision >= wanted.revision);
        }
        let text = format!(
            "min_position is of epoch {} and this server serves epoch {epoch}; read again without it",
            wanted.epoch
        );
        Err(Fault::new(ErrorReason::EpochChanged, text).with("epoch", epoch))
    }

    pub(super) fn view_behind(&self, wanted: &v1::Position) -> Fault {
        let revision = self.state.revision;
        let text = format!(
            "revision {} was asked for and this server is still at {revision}; try again, here or \
             elsewhere",
            wanted.revision
        );
        Fault::new(ErrorReason::ViewBehind, text).with("revision", revision)
    }

    /// Lists services by pages. A page token is the last service of the page before.
    pub(super) fn list_services(
        &self,
        request: &v1::ListServicesRequest,
    ) -> Result<v1::ListServicesResponse, Fault> {
        let size = match usize::try_from(request.page_size) {
            Ok(0) => DEFAULT_PAGE_SIZE,
            Ok(size) if size <= MAX_PAGE_SIZE => size,
            _ => {
                return Err(Fault::invalid(format!(
                    "page_size: {} must be 1 to {MAX_PAGE_SIZE}; leave it unset for \
                     {DEFAULT_PAGE_SIZE}",
                    request.page_size
                )));
            }
        };
        let after = parse_page_token(&request.page_token)?;
        let state = &self.state;
        let mut names = state.services.keys().filter(|n| {
            (request.namespace.is_empty() || n.namespace == request.namespace)
                && n.service.starts_with(&request.prefix)
                && after.as_ref().is_none_or(|after| *n > after)
        });
        let page: Vec<&ServiceName> = names.by_ref().take(size).collect();
        let more = names.next().is_some();
        let last = page.last().filter(|_| more);
        Ok(v1::ListServicesResponse {
            services: page.iter().map(|n| state.summary(n)).collect(),
            next_page_token: last.map(ToString::to_string).unwrap_or_default(),
            position: Some(v1::Position {
                epoch: state.epoch,
                revision: state.revision,
            }),
        })
    }
}

fn parse_page_token(token: &str) -> Result<Option<ServiceName>, Fault> {
    if token.is_empty() {
        return Ok(None);
    }
    let name = token
        .split_once('/')
        .map(|(namespace, service)| ServiceName::new(namespace, service));
    name.map(Some).ok_or_else(|| {
        Fault::invalid(format!(
            "page_token: {token:?} must be the next_page_token of the answer before, or empty"
        ))
    })
}

impl State {
    fn summary(&self, name: &ServiceName) -> v1::ServiceSummary {
        let mut sum = v1::ServiceSummary {
            state: self.services.get(name).map(|s| v1::ServiceState::clone(s)),
            ..Default::default()
        };
        let of = |(key, i): (&super::state::EntryName, _)| (key.service == *name).then_some(i);
        for i in self.instances.iter().filter_map(of) {
            let i: &Arc<v1::Instance> = i;
            sum.instances += 1;
            let count = match (i.lifecycle(), i.health()) {
                (v1::Lifecycle::Draining, _) => &mut sum.draining,
                (v1::Lifecycle::Starting, _) => &mut sum.starting,
                (_, v1::Health::Degraded) => &mut sum.degraded,
                (_, v1::Health::Unhealthy) => &mut sum.unhealthy,
                _ => &mut sum.healthy,
            };
            *count += 1;
        }
        sum
    }
}
