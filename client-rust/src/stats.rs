//! What a client counts.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::client::Shared;
use crate::event::{Event, FrameFault, FrameKind, KeepaliveOutcome, StreamKind};
use crate::kinds::SnapshotCause;
use crate::registration::RegistrationState;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the client was built, and what there is now. What can go wrong is 0 in a
        /// healthy fleet. The metrics of docs/telemetry.md are made of the same events.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Registrations that are alive now.
            pub registrations: usize,
            /// Subscriptions that are open now, counted by distinct selector.
            pub subscriptions: usize,
            /// The greatest age of the views of the subscriptions that have one; 0 without any.
            pub oldest_view: Duration,
        }

        /// The counters behind [`Stats`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $($name: Counter,)* }

        impl Counters {
            pub(crate) fn read(&self) -> Stats {
                Stats {
                    $($name: self.$name.0.load(Ordering::Relaxed),)*
                    ..Stats::default()
                }
            }
        }
    };
}

counters! {
    /// Connections to servers that were made.
    connections,
    /// Attempts to reach a server that failed.
    connection_failures,
    /// Calls to the registry that ended.
    calls,
    /// Those of them that failed.
    call_failures,
    /// Attempts of all calls: as many as calls if none was repeated.
    call_attempts,
    /// Watch streams that were opened.
    watch_streams,
    /// Keepalive streams that were opened.
    keepalive_streams,
    /// Those of both that did not end by choice.
    broken_streams,
    /// Updates that views took over.
    frames,
    /// Updates whose digest or count did not match.
    digest_mismatches,
    /// Updates that broke a rule of the protocol.
    violations,
    /// Snapshots that were accepted although they did not match.
    unverified_views,
    /// Times that a lower epoch had to be accepted.
    epoch_regressions,
    /// Snapshots sent because history was lost within an epoch.
    histories_lost,
    /// Keepalives that confirmed a lease.
    keepalives,
    /// Keepalives answered without confirmation.
    unconfirmed_leases,
    /// Keepalives answered by the loss of the lease.
    lost_leases,
    /// Registrations after a lost lease.
    reregistrations,
    /// Drains that ended, by a report or an error.
    drains,
    /// Files of the disk cache that could not be written or read.
    cache_errors,
    /// RPCs of channels that ended.
    rpcs,
    /// Those of them that did not end OK.
    rpc_failures,
    /// RPCs that failed because nothing could be picked.
    pick_failures,
    /// Ejections of endpoints that failed calls.
    ejections,
    /// Times that a channel began to pick unhealthy instances.
    panics,
}

/// Reads the [`Stats`] of a client without keeping it open, from
/// [`Client::stats_reader`](crate::Client::stats_reader).
#[derive(Clone)]
pub struct StatsReader(Weak<Shared>);

impl StatsReader {
    pub(crate) fn new(shared: &Arc<Shared>) -> StatsReader {
        StatsReader(Arc::downgrade(shared))
    }

    /// What the client counted so far; none once it is gone.
    #[must_use]
    pub fn read(&self) -> Option<Stats> {
        Some(self.0.upgrade()?.stats())
    }
}

impl fmt::Debug for StatsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatsReader").finish_non_exhaustive()
    }
}

/// A number that only rises.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn add_if(&self, condition: bool) {
        self.add(u64::from(condition));
    }
}

impl Counters {
    /// Takes an event in.
    pub(crate) fn count(&self, event: &Event<'_>) {
        use RegistrationState::Registering;
        match event {
            Event::ServerConnected { .. } => self.connections.add(1),
            Event::ServerFailed { .. } => self.connection_failures.add(1),
            Event::CallFinished {
                result, attempts, ..
            } => {
                self.calls.add(1);
                self.call_attempts.add(u64::from(*attempts));
                self.call_failures.add_if(*result != "OK");
            }
            Event::StreamOpened { stream, .. } => match stream {
                StreamKind::Watch => self.watch_streams.add(1),
                StreamKind::Keepalive => self.keepalive_streams.add(1),
            },
            Event::StreamEnded { result, .. } => self.broken_streams.add_if(*result != "OK"),
            Event::RegistrationChanged { from, to, .. } => self
                .reregistrations
                .add_if(*from != Registering && *to == Registering),
            Event::KeepaliveAnswered { outcome, .. } => match outcome {
                KeepaliveOutcome::Confirmed => self.keepalives.add(1),
                KeepaliveOutcome::Unconfirmed => self.unconfirmed_leases.add(1),
                KeepaliveOutcome::Lost => self.lost_leases.add(1),
            },
            Event::DrainFinished { .. } => self.drains.add(1),
            _ => {
                self.count_frame(event);
                self.count_pick(event);
            }
        }
    }

    /// A file of the disk cache could not be written or read. It is logged, and no event.
    pub(crate) fn cache_failed(&self) {
        self.cache_errors.add(1);
    }

    fn count_frame(&self, event: &Event<'_>) {
        match event {
            Event::FrameApplied {
                frame,
                cause,
                unverified,
                ..
            } => {
                self.frames.add(1);
                self.histories_lost
                    .add_if(*cause == Some(SnapshotCause::HistoryLost));
                self.unverified_views
                    .add_if(*unverified && *frame == FrameKind::Snapshot);
            }
            Event::FrameRejected { fault, .. } => {
                self.digest_mismatches
                    .add_if(*fault == FrameFault::Mismatch);
                self.violations.add_if(*fault == FrameFault::Violation);
            }
            Event::EpochRegressed { .. } => self.epoch_regressions.add(1),
            _ => {}
        }
    }

    fn count_pick(&self, event: &Event<'_>) {
        match event {
            Event::RpcFinished { result, .. } => {
                self.rpcs.add(1);
                self.rpc_failures.add_if(*result != "OK");
            }
            Event::PickFailed { .. } => self.pick_failures.add(1),
            Event::EndpointEjected { .. } => self.ejections.add(1),
            Event::PanicChanged { panic, .. } => self.panics.add_if(*panic),
            _ => {}
        }
    }
}
