//! What a connection's users share with it, and outlives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::endpoint::EndpointKey;
use super::gate::Gate;
use super::quota::Quota;
use super::wire::Wire;

/// One connection, but for the handle that sends: streams hold a lane, and must not keep a
/// connection open that nobody can send on.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Unique in the process.
    pub(crate) id: u64,
    pub(crate) key: EndpointKey,
    pub(crate) gate: Gate,
    pub(crate) quota: Quota,
    pub(crate) wire: Arc<Wire>,
    /// Requests in flight at the endpoint, over all its connections.
    in_flight: Arc<AtomicU64>,
    shut: Notify,
}

impl Lane {
    pub(crate) fn new(
        key: EndpointKey,
        wire: Arc<Wire>,
        quota: usize,
        in_flight: Arc<AtomicU64>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            key,
            gate: Gate::default(),
            quota: Quota::new(quota),
            wire,
            in_flight,
            shut: Notify::new(),
        }
    }

    /// Lets no more requests in, for good. Those in flight go on.
    pub(crate) fn retire(&self) {
        self.gate.shut();
        // Mark first, then wake: a request that was woken must not choose this lane again.
        self.shut.notify_waiters();
    }

    /// Lets no more requests in until the gate is resumed.
    pub(crate) fn pause(&self) {
        self.gate.pause();
        self.shut.notify_waiters();
    }

    /// Returns once requests can no longer enter.
    pub(crate) async fn shut(&self) {
        until(&self.shut, || !self.gate.is_open()).await;
    }

    /// Returns once requests can no longer enter, for good.
    pub(crate) async fn gone(&self) {
        until(&self.shut, || self.gate.is_gone()).await;
    }
}

/// Waits for a condition whose every change is followed by `notify_waiters`.
pub(crate) async fn until(changed: &Notify, mut holds: impl FnMut() -> bool) {
    loop {
        // Made before the look: it is woken by all notifications from here on.
        let notified = changed.notified();
        if holds() {
            return;
        }
        notified.await;
    }
}

/// A request's place on a connection: it counts as in flight, and as one of the peer's streams.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) lane: Arc<Lane>,
}

impl Place {
    /// Takes a place, waiting if the peer allows no more streams. `None` if the lane was shut
    /// meanwhile.
    pub(crate) async fn take(lane: &Arc<Lane>) -> Option<Self> {
        if !lane.quota.try_take() {
            tokio::select! {
                biased;
                () = lane.shut() => return None,
                () = lane.quota.take() => {}
            }
        }
        lane.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            lane: Arc::clone(lane),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lane.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.lane.quota.release();
    }
}
