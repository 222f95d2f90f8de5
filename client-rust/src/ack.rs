//! Acknowledgements that the open stream's server asked for. Pure.
//!
//! A server asks on the update that makes a drain visible. It is answered once the view *and*
//! everything that picks from it stopped choosing the instance, and after a random part of the
//! spread that the server named, so that not all clients answer at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::below;
use crate::kinds::Position;
use crate::watched::Watched;

/// What one view's server waits for. At most one per view: a later wish covers the earlier.
struct Wish {
    at: Position,
    /// When the random part of the spread is over.
    not_before: Instant,
    watched: Vec<Arc<Watched>>,
}

/// The wishes of one stream, by view id.
#[derive(Default)]
pub(crate) struct Acks {
    wishes: BTreeMap<u64, Wish>,
}

/// An acknowledgement to send: these views reached this position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) at: Position,
    pub(crate) view_ids: Vec<u64>,
}

/// What to do about acknowledgements now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Send(Ack),
    /// Look again then.
    At(Instant),
    /// Look again when something was asked for or applied.
    Wait,
}

impl Acks {
    /// Notes a wish for a view at a position, to be fulfilled once all who show the view, and
    /// their pickers, are there.
    pub(crate) fn want(
        &mut self,
        view_id: u64,
        at: Position,
        spread_ms: u32,
        watched: Vec<Arc<Watched>>,
        word: u64,
    ) {
        let spread = Duration::from_millis(below(word, u64::from(spread_ms) + 1));
        let mut not_before = Instant::now() + spread;
        if let Some(old) = self.wishes.get(&view_id).filter(|o| o.at.epoch == at.epoch) {
            // It covers the older wish too, which must not wait longer for it.
            not_before = not_before.min(old.not_before);
        }
        let wish = Wish {
            at,
            not_before,
            watched,
        };
        self.wishes.insert(view_id, wish);
    }

    /// The acknowledgement that can be sent now: the views that reached what was asked of them,
    /// and a revision that all of them reached.
    pub(crate) fn next(&self, now: Instant) -> Next {
        let mut ack: Option<Ack> = None;
        let mut wait: Option<Instant> = None;
        for (view_id, wish) in &self.wishes {
            let Some(reached) = wish.reached() else {
                continue;
            };
            if wish.not_before > now {
                wait = Some(wait.map_or(wish.not_before, |w| w.min(wish.not_before)));
                continue;
            }
            let ack = ack.get_or_insert_with(|| Ack {
                at: reached,
                view_ids: Vec::new(),
            });
            // Another epoch's wish waits for the next acknowledgement.
            if ack.at.epoch == reached.epoch {
                ack.at = ack.at.min(reached);
                ack.view_ids.push(*view_id);
            }
        }
        match (ack, wait) {
            (Some(ack), _) => Next::Send(ack),
            (None, Some(at)) => Next::At(at),
            (None, None) => Next::Wait,
        }
    }

    /// Takes back what an acknowledgement covered.
    pub(crate) fn sent(&mut self, ack: &Ack) {
        self.wishes
            .retain(|id, wish| !(ack.view_ids.contains(id) && ack.at >= wish.at));
    }
}

impl Wish {
    /// The least of what all applied, if that is what was asked for.
    fn reached(&self) -> Option<Position> {
        let mut least: Option<Position> = None;
        for watched in &self.watched {
            let at = watched.applied()?;
            if at.epoch != self.at.epoch || at < self.at {
                // A later epoch's snapshot no longer has what was drained in this one, and the
                // server of this one is gone.
                return None;
            }
            least = Some(least.map_or(at, |l| l.min(at)));
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Selector;
    use crate::fixed::FixedServices;
    use crate::freshness::Ages;
    use crate::view::Clock;

    fn watched(id: u32) -> Arc<Watched> {
        let selector = Selector::service("shop", "pay");
        Arc::new(Watched::new(
            id,
            vec![],
            selector,
            &FixedServices::default(),
            Clock::start(Ages::default()),
            None,
        ))
    }

    fn swap(w: &Watched, revision: u64) {
        w.publish(|v| v.position = Position::new(1, revision));
    }

    fn ack(revision: u64, view_ids: &[u64]) -> Next {
        Next::Send(Ack {
            at: Position::new(1, revision),
            view_ids: view_ids.to_vec(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn ack_waits_for_every_picker() {
        let w = watched(1);
        swap(&w, 5);
        let (a, b) = (w.add_picker(), w.add_picker());
        swap(&w, 10);
        let mut acks = Acks::default();
        acks.want(7, Position::new(1, 10), 0, vec![w.clone()], 0);
        assert_eq!(acks.next(Instant::now()), Next::Wait);
        w.picker_applied(a, Position::new(1, 10));
        assert_eq!(acks.next(Instant::now()), Next::Wait);
        w.picker_applied(b, Position::new(1, 9));
        assert_eq!(acks.next(Instant::now()), Next::Wait);
        w.remove_picker(b);
        assert_eq!(acks.next(Instant::now()), ack(10, &[7]));
        let Next::Send(sent) = acks.next(Instant::now()) else {
            panic!()
        };
        acks.sent(&sent);
        assert_eq!(acks.next(Instant::now()), Next::Wait);
    }

    #[tokio::test(start_paused = true)]
    async fn ack_waits_for_the_spread() {
        let w = watched(1);
        swap(&w, 10);
        let mut acks = Acks::default();
        let now = Instant::now();
        acks.want(7, Position::new(1, 10), 1_000, vec![w.clone()], u64::MAX);
        let due = now + Duration::from_millis(1_000);
        assert_eq!(acks.next(now), Next::At(due));
        // A later wish does not put the earlier one off.
        tokio::time::advance(Duration::from_millis(600)).await;
        swap(&w, 11);
        acks.want(7, Position::new(1, 11), 1_000, vec![w.clone()], u64::MAX);
        assert_eq!(acks.next(Instant::now()), Next::At(due));
        assert_eq!(acks.next(due), ack(11, &[7]));
    }

    #[tokio::test(start_paused = true)]
    async fn ack_names_only_views_that_are_there() {
        let (a, b) = (watched(1), watched(2));
        let pick_b = b.add_picker();
        swap(&a, 10);
        swap(&b, 12);
        let mut acks = Acks::default();
        let now = Instant::now();
        acks.want(1, Position::new(1, 10), 0, vec![a.clone()], 0);
        acks.want(2, Position::new(1, 12), 0, vec![b.clone()], 0);
        assert_eq!(acks.next(now), ack(10, &[1]), "b's picker is behind");
        b.picker_applied(pick_b, Position::new(1, 12));
        assert_eq!(acks.next(now), ack(10, &[1, 2]));
        // The acknowledgement at 10 does not cover what was asked of b.
        let Next::Send(sent) = acks.next(now) else {
            panic!()
        };
        acks.sent(&sent);
        assert_eq!(acks.next(now), ack(12, &[2]));
        // One view shown by two: both must be there.
        let c = watched(3);
        swap(&c, 11);
        acks.want(2, Position::new(1, 12), 0, vec![b, c.clone()], 0);
        assert_eq!(acks.next(now), Next::Wait);
        swap(&c, 12);
        assert_eq!(acks.next(now), ack(12, &[2]));
    }

    #[tokio::test(start_paused = true)]
    async fn ack_of_another_epoch_is_never_sent() {
        let w = watched(1);
        swap(&w, 10);
        let mut acks = Acks::default();
        acks.want(7, Position::new(1, 10), 0, vec![w.clone()], 0);
        w.publish(|v| v.position = Position::new(2, 3));
        assert_eq!(acks.next(Instant::now()), Next::Wait);
    }
}
