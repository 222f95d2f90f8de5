//! Selectors that were checked.

use muster_proto::v1;
use muster_proto::v1::selector::Names;
use muster_rules::matching::{self, Filter};

use super::canonical::{canonical, view_id};
use super::check::{MAX_SERVICES_PER_SELECTOR, at_most};
use super::fault::Fault;
use super::matching::{candidate_of, filter_of};
use super::state::Entry;
use crate::instance::ServiceName;

/// A selector that was checked.
#[derive(Debug)]
pub(super) struct Selection {
    wanted: matching::Names,
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
            wanted: names_of(message.names),
        })
    }

    /// Whether the selector is about a service.
    pub(super) fn names(&self, name: &ServiceName) -> bool {
        self.wanted.matches(&name.namespace, &name.service)
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

/// The services that a selector is about.
fn names_of(names: Option<Names>) -> matching::Names {
    let mut wanted = matching::Names::default();
    match names {
        Some(Names::Services(list)) => {
            let full = |n: v1::ServiceName| format!("{}/{}", n.namespace, n.service);
            wanted.services = list.names.into_iter().map(full).collect();
        }
        Some(Names::Prefix(p)) => (wanted.namespace, wanted.prefix) = (p.namespace, p.prefix),
        None => {} // a selector that was checked has some
    }
    wanted
}
