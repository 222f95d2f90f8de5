//! Which servers of a registry a client tries, and in which order.

use crate::address::{AddressKind, kind_of_address};
use crate::environment::is_printable;
use crate::name::LONGEST_NAME;
use crate::quote::quote;
use crate::random::below;

/// One server of a registry, as a list of servers names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `host:port`.
    pub address: String,
    /// The zone that it runs in; empty if the list does not say.
    pub zone: String,
}

impl Server {
    /// Reads `host:port` or `host:port@zone`. The address must be `DIALABLE`, the zone 1 to 63 bytes
    /// of printable ASCII.
    ///
    /// # Errors
    ///
    /// The text, and what was expected.
    pub fn parse(text: &str) -> Result<Server, String> {
        let (address, zone) = match text.rsplit_once('@') {
            Some((address, zone)) => (address, Some(zone)),
            None => (text, None),
        };
        let zone_is_wrong = zone.is_some_and(|z| {
            z.is_empty() || z.len() > LONGEST_NAME || !z.bytes().all(is_printable)
        });
        if kind_of_address(address) != AddressKind::Dialable || zone_is_wrong {
            let text = quote(text);
            return Err(format!("{text} is no host:port, such as 127.0.0.1:7070"));
        }
        Ok(Server {
            address: address.to_owned(),
            zone: zone.unwrap_or_default().to_owned(),
        })
    }
}

/// The order, as indexes, in which a client tries servers: those of its own zone, whose number is
/// returned too, and then the others. Each part begins at a place that `word` chooses, so that
/// clients spread over them, and keeps the order of the list. Without a zone, or without a server in
/// it, all of them count as own.
#[must_use]
pub fn order_servers(servers: &[Server], zone: &str, word: u64) -> (Vec<usize>, usize) {
    let (mut own, mut others): (Vec<usize>, Vec<usize>) =
        (0..servers.len()).partition(|i| !zone.is_empty() && servers[*i].zone == zone);
    let home = own.len();
    rotate(&mut own, word);
    rotate(&mut others, word);
    own.append(&mut others);
    let home = if home == 0 { own.len() } else { home };
    (own, home)
}

fn rotate(list: &mut [usize], word: u64) {
    let first = below(word, list.len() as u64);
    list.rotate_left(usize::try_from(first).unwrap_or_default());
}

/// The order in which a client that leaves server `from` by choice looks for the next one, as
/// positions in the order of [`order_servers`]: servers of its own zone first, `from` itself last
/// among its like.
#[must_use]
pub fn handover_order(servers: usize, home: usize, from: usize) -> Vec<usize> {
    let (before, begin, end) = if from >= home {
        (0..home, home, servers)
    } else {
        (0..0, 0, home)
    };
    before
        .chain(from + 1..end)
        .chain(begin..=from)
        .chain(end..servers)
        .collect()
}
