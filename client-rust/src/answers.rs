//! The last answers of lookups, so that a set that did not change is not sent again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::view::View;

/// How many answers are remembered. The one that was used longest ago is forgotten first.
const KEPT: usize = 256;

/// Answers by selector key.
#[derive(Default)]
pub(crate) struct Answers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Each with when it was used last, in uses.
    views: HashMap<Vec<u8>, (u64, Arc<View>)>,
    uses: u64,
}

impl Kept {
    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }
}

impl Answers {
    /// The last answer for a selector.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Arc<View>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = kept.next_use();
        let (used, view) = kept.views.get_mut(key)?;
        *used = now;
        Some(view.clone())
    }

    /// Remembers an answer, unless a later one is remembered already.
    pub(crate) fn put(&self, key: &[u8], view: &Arc<View>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let late = kept.views.get(key).is_some_and(|(_, old)| {
            old.position.epoch == view.position.epoch && old.position > view.position
        });
        if late {
            return;
        }
        let now = kept.next_use();
        kept.views.insert(key.to_vec(), (now, view.clone()));
        if kept.views.len() > KEPT {
            let oldest = kept.views.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                kept.views.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freshness::Ages;
    use crate::view::Clock;
    use crate::{Position, Selector};

    fn at(revision: u64) -> Arc<View> {
        let selector = Arc::new(Selector::service("shop", "pay"));
        let mut v = View::empty(selector, Clock::start(Ages::default()));
        v.position = Position::new(7, revision);
        Arc::new(v)
    }

    #[tokio::test]
    async fn answers_are_bounded() {
        let (a, v) = (Answers::default(), at(10));
        for n in 0..KEPT {
            a.put(n.to_string().as_bytes(), &v);
        }
        assert!(a.get(b"0").is_some());
        a.put(b"one more", &v);
        assert!(a.get(b"0").is_some());
        assert!(a.get(b"1").is_none(), "the one used longest ago must go");
        a.put(b"0", &at(9));
        assert_eq!(a.get(b"0").expect("kept").position().revision, 10);
    }
}
