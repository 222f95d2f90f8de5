//! The number of streams that a peer allows at once.
//!
//! h2 would queue what exceeds it, and everything in that queue dies with the connection, unsent
//! and unmarked. Requests wait here instead, where they can still go elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// A semaphore whose size follows the peer's settings.
#[derive(Debug)]
pub(crate) struct Quota {
    permits: Semaphore,
    size: AtomicUsize,
    /// Permits that are out and to be swallowed when they return, after the quota has shrunk.
    debt: AtomicUsize,
}

impl Quota {
    pub(crate) fn new(size: usize) -> Self {
        let size = size.min(Semaphore::MAX_PERMITS);
        Self {
            permits: Semaphore::new(size),
            size: AtomicUsize::new(size),
            debt: AtomicUsize::new(0),
        }
    }

    /// Takes a permit if one is free. Give it back with [`Quota::release`].
    pub(crate) fn try_take(&self) -> bool {
        self.permits
            .try_acquire()
            .map(tokio::sync::SemaphorePermit::forget)
            .is_ok()
    }

    /// Takes a permit when one is free, first come, first served. Give it back with
    /// [`Quota::release`]. Dropping the future takes none.
    pub(crate) async fn take(&self) {
        // The semaphore is never closed.
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
    }

    /// Gives a permit back.
    pub(crate) fn release(&self) {
        let swallowed = self
            .debt
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |debt| {
                debt.checked_sub(1)
            });
        if swallowed.is_err() {
            self.permits.add_permits(1);
        }
    }

    /// Changes the number of permits. Called by the connection's driver alone.
    pub(crate) fn resize(&self, size: usize) {
        let size = size.min(Semaphore::MAX_PERMITS);
        let before = self.size.swap(size, Ordering::AcqRel);
        if size < before {
            let surplus = before - size;
            let forgotten = self.permits.forget_permits(surplus);
            self.debt.fetch_add(surplus - forgotten, Ordering::AcqRel);
            return;
        }
        let growth = size - before;
        let debt = self
            .debt
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |debt| {
                Some(debt.saturating_sub(growth))
            })
            .unwrap_or_default();
        self.permits.add_permits(growth - debt.min(growth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Take,
        Release,
        Resize(usize),
    }

    fn arbitrary_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Take),
            2 => Just(Step::Release),
            1 => (0..6usize).prop_map(Step::Resize),
            1 => Just(Step::Resize(usize::MAX)),
        ]
    }

    proptest! {
        /// A permit is to be had if and only if fewer are out than the quota allows.
        #[test]
        fn as_many_as_allowed(steps in proptest::collection::vec(arbitrary_step(), 1..80)) {
            let quota = Quota::new(2);
            let (mut size, mut out) = (2usize, 0usize);
            for step in steps {
                match step {
                    Step::Take => {
                        let taken = quota.try_take();
                        prop_assert_eq!(taken, out < size, "{} out of {}", out, size);
                        out += usize::from(taken);
                    }
                    Step::Release if out > 0 => {
                        quota.release();
                        out -= 1;
                    }
                    Step::Release => {}
                    Step::Resize(to) => {
                        quota.resize(to);
                        size = to;
                    }
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn growth_wakes_those_who_wait() {
        let quota = Quota::new(1);
        assert!(quota.try_take());
        let waiting = quota.take();
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            () = &mut waiting => panic!("took a second permit of one"),
            () = tokio::task::yield_now() => {}
        }
        quota.resize(2);
        waiting.await;
        assert!(!quota.try_take());
    }
}
