//! Selectors that were checked.

use muster_proto::v1;
use muster_proto::v1::selector::Names;
use muster_rules::matching::Filter;

use super::canonical::{canonical, view_id};
use super::check::{MAX_SERVICES_PER_SELECTOR, at_most};
use super::fault::Fault;
use super::matching::{candidate_of, filter_of};
use super::state::Entry;
use crate::instance::ServiceName;

/// A selector that was checked.
#[derive(Debug)]
pub(super) struct Selection {
    message: v1::Selector,
    filter: Option<Filter>,
    pub(super) view_id: u64,
}

impl Selection {
    /// Checks a selector.
    pub(super) fn compile(message: Option<v1::Selector>) -> Result<Selection, Fault> {
        let message = message.unwrap_or_default();
        let form = canonical(&message)?;
        if let Some(Names::Services(list)) = &message.names {
            at_most(
                "services_per_selector",
                MAX_SERVICES_PER_SELECTOR,
                list.names.len(),
            )?;
        }
        Ok(Selection {
            view_id: view_id(&form, ""),
            filter: message.filter.as_ref().map(filter_of),
            message,
        })
    }

    /// Whether the selector is about a service.
    pub(super) fn names(&self, name: &ServiceName) -> bool {
        match &self.message.names {
            Some(Names::Services(list)) => list
                .names
                .iter()
                .any(|n| n.namespace == name.namespace && n.service == name.service),
            Some(Names::Prefix(p)) => {
                (p.namespace.is_empty() || p.namespace == name.namespace)
                    && name.service.starts_with(&p.prefix)
            }
            None => false,
        }
    }

    /// Whether an entry is part of the view.
    pub(super) fn holds(&self, entry: Option<&Entry>) -> bool {
        match entry {
            Some(Entry::Service(s)) => self.names(&ServiceName::new(&s.namespace, &s.service)),
            Some(Entry::Instance(i)) => {
                self.names(&ServiceName::new(&i.namespace, &i.service))
                    && self
                        .filter
                        .as_ref()
                        .is_none_or(|f| f.matches(&candidate_of(i)))
            }
            None => false,
        }
    }
}
