//! From what is known of the slots to the table that requests are spread over.

use std::sync::Arc;
use std::time::Duration;

use super::endpoint::{Absence, EndpointKey};
use super::failure::Failure;
use super::pick::Mode;
use super::state::Phase;

/// What is known of the target.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// Nothing yet, and calls still wait for it.
    NotYet,
    /// Nothing after this time.
    Late(Duration),
    /// A set, empty for this reason if it is empty.
    Set(Option<Absence>),
}

/// What a slot contributes.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) key: &'a EndpointKey,
    pub(crate) weight: u64,
    pub(crate) phase: Phase,
    /// Whether its connection takes requests.
    pub(crate) open: bool,
    pub(crate) failures: u32,
    pub(crate) error: Option<Arc<str>>,
}

impl Candidate<'_> {
    fn is_usable(&self) -> bool {
        self.weight > 0 && self.open
    }

    /// Whether it may become usable without a delay. A connection that is ready but not open was
    /// lost a moment ago: its task is about to decide.
    fn is_coming(&self) -> bool {
        self.weight > 0 && !self.open && self.phase != Phase::Backoff
    }
}

/// Decides what requests meet: entries, a wait or a failure.
///
/// A wait ends by itself: attempts to connect are bounded, and so is the wait for a first view.
pub(crate) fn mode(target: &str, known: &Known, candidates: &[Candidate<'_>]) -> Mode {
    match known {
        Known::NotYet => return Mode::Wait,
        Known::Late(waited) => return Mode::Fail(Failure::no_view(target, *waited).into()),
        Known::Set(absence) if candidates.is_empty() => {
            return Mode::Fail(Failure::no_instances(target, absence.as_ref()).into());
        }
        Known::Set(_) => {}
    }
    if candidates.iter().any(Candidate::is_usable) {
        return Mode::Serve;
    }
    if candidates.iter().any(Candidate::is_coming) {
        return Mode::Wait;
    }
    Mode::Fail(Failure::no_ready_endpoint(target, &causes(candidates)).into())
}

/// How many causes a message tells; more would bury the first.
const CAUSES: usize = 3;

fn causes(candidates: &[Candidate<'_>]) -> String {
    let count = candidates.len();
    let waiting: Vec<_> = candidates.iter().filter(|c| c.weight > 0).collect();
    if waiting.is_empty() {
        return format!("all {count} take no new requests (weight 0)");
    }
    let mut text = format!("{} of {count} could not be reached: ", waiting.len());
    for (index, candidate) in waiting.iter().take(CAUSES).enumerate() {
        if index > 0 {
            text.push_str("; ");
        }
        let error = candidate.error.as_deref().unwrap_or("not tried yet");
        text.push_str(&format!(
            "{}: {error} (failures: {})",
            candidate.key, candidate.failures
        ));
    }
    if waiting.len() > CAUSES {
        text.push_str(&format!("; and {} more", waiting.len() - CAUSES));
    }
    text.push_str("; retrying");
    text
}

#[cfg(test)]
#[path = "usable_tests.rs"]
mod tests;
