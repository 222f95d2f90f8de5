//! What a client counts.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a client counted since it was built. All but the streams are 0 in a healthy fleet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Stats { $($(#[$doc])* pub $name: u64,)* }

        /// The counters behind [`Stats`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        impl Counters {
            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Updates whose digest or count did not match.
    digest_mismatches,
    /// Snapshots that were accepted although they did not match.
    unverified_views,
    /// Times that a lower epoch had to be accepted.
    epoch_regressions,
    /// Snapshots sent because history was lost within an epoch.
    histories_lost,
    /// Frames that broke a rule of the protocol.
    violations,
    /// Watch streams that were opened.
    watch_streams,
    /// Keepalive streams that were opened.
    keepalive_streams,
    /// Registrations after a lost lease.
    reregistrations,
    /// Keepalives answered without confirmation.
    unconfirmed_leases,
}

/// A number that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
