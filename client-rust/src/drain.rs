//! How a drain ended: [`DrainReport`].

use std::fmt;
use std::time::Duration;

use muster_proto::v1;

use crate::instance::duration_from_wire;
use crate::kinds::Position;
use crate::messages;

/// One watcher that a drain waited for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainWatcher {
    /// The name that the client gave itself; may be empty.
    pub client_name: String,
    /// Where it connects from.
    pub address: String,
}

/// How a drain ended. Prints as people read it: `drained: 14/14 watchers confirmed in 38ms`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Whether every live watcher confirmed before the deadline.
    pub complete: bool,
    /// Watchers that confirmed.
    pub confirmed: u32,
    /// Watchers that had not confirmed.
    pub behind: u32,
    /// Watchers without the means to confirm; the change was sent to them.
    pub unconfirmable: u32,
    /// Watchers that went away meanwhile.
    pub disconnected: u32,
    /// Who is behind; at most 20.
    pub behind_watchers: Vec<DrainWatcher>,
    /// How long answers from before the drain may still be used by those who asked without
    /// watching: wait this long before stopping.
    pub safe_after: Duration,
    /// Where the instances became DRAINING.
    pub position: Position,
    /// How long the drain took, seen from this process.
    pub took: Duration,
}

impl DrainWatcher {
    /// How texts call it: by its name, or else by its address.
    pub(crate) fn called(&self) -> &str {
        if self.client_name.is_empty() {
            &self.address
        } else {
            &self.client_name
        }
    }
}

impl DrainReport {
    pub(crate) fn from_wire(r: v1::DrainResponse, took: Duration) -> DrainReport {
        DrainReport {
            complete: r.result == v1::DrainResult::Complete as i32,
            confirmed: r.confirmed,
            behind: r.behind,
            unconfirmable: r.unconfirmable,
            disconnected: r.disconnected,
            behind_watchers: r
                .behind_watchers
                .into_iter()
                .map(|w| DrainWatcher {
                    client_name: w.client_name,
                    address: w.address,
                })
                .collect(),
            safe_after: duration_from_wire(r.safe_after.as_ref()).unwrap_or_default(),
            position: Position::new(r.epoch, r.revision),
            took,
        }
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&messages::drained(self))
    }
}
