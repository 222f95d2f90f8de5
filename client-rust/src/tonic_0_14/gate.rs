//! Admission to one connection, with an end that can be waited for.

use std::sync::atomic::{AtomicU64, Ordering};

const GONE: u64 = 1 << 63;
const PAUSED: u64 = 1 << 62;
const SHUT: u64 = GONE | PAUSED;

/// Lets requests through until it is shut.
///
/// The count of requests that are passing and the marks that shut the gate share one word. So
/// whoever shuts it and then sees the count at 0 knows that no request passes any more: what a
/// drain acknowledgement promises.
#[derive(Debug, Default)]
pub(crate) struct Gate(AtomicU64);

impl Gate {
    /// Passes, unless the gate is shut. The pass ends when it is dropped, before any await.
    pub(crate) fn enter(&self) -> Option<Pass<'_>> {
        let pass = Pass(self);
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        (before & SHUT == 0).then_some(pass)
    }

    /// Shuts the gate for good.
    pub(crate) fn shut(&self) {
        self.0.fetch_or(GONE, Ordering::AcqRel);
    }

    /// Shuts the gate until [`Gate::resume`].
    pub(crate) fn pause(&self) {
        self.0.fetch_or(PAUSED, Ordering::AcqRel);
    }

    /// Ends a pause.
    pub(crate) fn resume(&self) {
        self.0.fetch_and(!PAUSED, Ordering::AcqRel);
    }

    /// Whether requests may pass.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) & SHUT == 0
    }

    /// Whether the gate is shut for good.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.load(Ordering::Acquire) & GONE != 0
    }

    /// Returns when no request is passing. A pass spans no await, so this takes no time to speak of.
    pub(crate) async fn cleared(&self) {
        while self.0.load(Ordering::Acquire) & !SHUT != 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// A request that is passing.
#[derive(Debug)]
pub(crate) struct Pass<'a>(&'a Gate);

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn shut_paused_open() {
        let gate = Gate::default();
        assert!(gate.enter().is_some());
        gate.pause();
        assert!(gate.enter().is_none() && !gate.is_open() && !gate.is_gone());
        gate.resume();
        assert!(gate.enter().is_some() && gate.is_open());
        gate.shut();
        gate.resume();
        assert!(gate.enter().is_none() && gate.is_gone());
        assert_eq!(
            gate.0.load(Ordering::Acquire) & !SHUT,
            0,
            "refused passes are counted out"
        );
    }

    /// After `pause` and `cleared`, nobody is inside and nobody gets in.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn cleared_means_nobody_passes() {
        for _ in 0..200 {
            let gate = Arc::new(Gate::default());
            let cleared = Arc::new(AtomicBool::new(false));
            let walkers: Vec<_> = (0..2)
                .map(|_| {
                    let (gate, cleared) = (Arc::clone(&gate), Arc::clone(&cleared));
                    tokio::task::spawn_blocking(move || {
                        while let Some(pass) = gate.enter() {
                            assert!(!cleared.load(Ordering::Acquire), "inside after cleared");
                            drop(pass);
                        }
                    })
                })
                .collect();
            gate.pause();
            gate.cleared().await;
            cleared.store(true, Ordering::Release);
            for walker in walkers {
                walker.await.unwrap();
            }
        }
    }
}
