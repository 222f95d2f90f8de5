//! One page that tells why an instance is not picked.

use crate::client::{Client, Explain};
use crate::error::Reason;

use super::core::{Core, Mode};
use super::explain::explain;

/// What a client knows and why its open channels pick which instances, in lines for people:
/// [`Client::report`], and [`Channel::explain_pick`](super::Channel::explain_pick) of each channel,
/// sorted by service. Does no I/O.
///
/// Serve it as plain text, for example at `/debug/muster`, on a port that only operators reach: it
/// tells addresses and names of instances. With axum:
///
/// ```text
/// router.route("/debug/muster", get(|| async move { tonic_0_14::debug_page(&client) }))
/// ```
#[must_use]
pub fn debug_page(client: &Client) -> String {
    let mut channels = client.shared().explained();
    channels.sort();
    channels.insert(0, client.report());
    channels.join("\n") + "\n"
}

impl Explain for Core {
    fn explain(&self) -> Option<String> {
        let open = match &self.table.load().mode {
            Mode::Fail(failure) => failure.reason() != Reason::Closed,
            Mode::Serve(_) | Mode::Wait => true,
        };
        open.then(|| format!("channel {}", explain(self)))
    }
}
