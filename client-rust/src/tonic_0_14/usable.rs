//! From a plan and its slots to what requests meet, by the rule `usable`, with the texts of
//! failures.

use std::time::Duration;

use muster_rules::plan::Why;
use muster_rules::usable::{SlotState, Usable, usable};

use super::core::Mode;
use super::endpoint::Absence;
use super::failure::Failure;
use super::messages;
use super::planning::Planning;

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

/// Decides what requests meet: slots, a wait or a failure. `failure` tells the address of a slot and
/// why it is not connected.
///
/// A wait ends by itself: attempts to connect are bounded, and so is the wait for a first view.
pub(crate) fn mode(
    target: &str,
    known: &Known,
    planning: &Planning,
    states: &[SlotState],
    failure: impl Fn(usize) -> (String, String),
) -> Mode {
    let absence = match known {
        Known::NotYet => return Mode::Wait,
        Known::Late(waited) => return Mode::Fail(Failure::no_view(target, *waited)),
        Known::Set(absence) => absence,
    };
    match usable(states) {
        Usable::Serve(table) => Mode::Serve(table),
        Usable::Wait => Mode::Wait,
        Usable::Empty if planning.why.is_empty() => {
            Mode::Fail(Failure::no_instances(target, absence.as_ref()))
        }
        Usable::Empty => {
            let text = messages::none_serves(target, &planning.why);
            Mode::Fail(Failure::none_serves(text))
        }
        Usable::Unreachable(index) => {
            let wanted = planning.slots.iter().filter(|slot| slot.connect).count();
            let (address, cause) = failure(index);
            let text = messages::no_ready_endpoint(target, wanted, &address, &cause);
            Mode::Fail(Failure::no_ready_endpoint(text))
        }
    }
}

/// Why a pin to an instance of this step fails; `None` if its slot decides.
pub(crate) fn unpinnable(target: &str, id: &str, why: Why) -> Option<Failure> {
    match why {
        Why::Picked | Why::Panic | Why::Unhealthy | Why::Ejected => None,
        why => Some(Failure::none_serves(messages::not_called(target, id, why))),
    }
}

#[cfg(test)]
#[path = "usable_tests.rs"]
mod tests;
