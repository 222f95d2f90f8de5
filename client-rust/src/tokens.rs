//! The token in use, and when to fetch the next one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_rules::defaults;
use tokio::time::{Instant, timeout};

use crate::error::{Error, Reason};
use crate::messages;
use crate::token::{Token, TokenSource};

/// Shared by all connections of a client.
pub(crate) struct Tokens {
    source: Arc<dyn TokenSource>,
    /// Held while the source is asked.
    asking: tokio::sync::Mutex<()>,
    held: Mutex<Option<Held>>,
}

/// A token, when to fetch the next one and when it is over; none is never.
struct Held {
    value: String,
    times: Option<(Instant, Instant)>,
}

/// The token that can be used now.
enum Present {
    /// It is still early to fetch another.
    Fresh(String),
    /// It is about to expire.
    Old(String),
    None,
}

impl Tokens {
    pub(crate) fn new(source: Arc<dyn TokenSource>) -> Tokens {
        Tokens {
            source,
            asking: tokio::sync::Mutex::default(),
            held: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token to send.
    pub(crate) async fn get(&self) -> Result<String, Error> {
        if let Present::Fresh(value) = self.present() {
            return Ok(value);
        }
        let _one_at_a_time = self.asking.lock().await;
        let old = match self.present() {
            Present::Fresh(value) => return Ok(value),
            Present::Old(value) => Some(value),
            Present::None => None,
        };
        match (self.fetch().await, old) {
            (Ok(value), _) => Ok(value),
            (Err(e), Some(old)) => {
                tracing::warn!("{}", e.text());
                Ok(old)
            }
            (Err(e), None) => Err(e),
        }
    }

    fn present(&self) -> Present {
        let held = self.lock();
        let now = Instant::now();
        match &*held {
            None => Present::None,
            Some(held) => match held.times {
                Some((_, over)) if now >= over => Present::None,
                Some((refresh, _)) if now >= refresh => Present::Old(held.value.clone()),
                _ => Present::Fresh(held.value.clone()),
            },
        }
    }

    /// Asks the source. The caller holds `asking`.
    async fn fetch(&self) -> Result<String, Error> {
        let asked = Instant::now();
        let answer = match timeout(defaults::CALL_TIMEOUT, self.source.token()).await {
            Ok(answer) => answer,
            Err(_) => Err(messages::no_answer(defaults::CALL_TIMEOUT).into()),
        };
        let checked = answer.and_then(|token: Token| {
            token.check()?;
            Ok(token)
        });
        let token = checked.map_err(|e| {
            let text = messages::no_token(&e.to_string());
            Error::new(Reason::Unauthenticated, text)
                .about("token", "")
                .caused_by(e)
        })?;
        let times = token.times().map(|(r, o)| (asked + r, asked + o));
        let value = token.value().to_owned();
        *self.lock() = Some(Held {
            value: value.clone(),
            times,
        });
        Ok(value)
    }

    /// Drops a token that the registry refused, unless it was replaced already.
    pub(crate) fn reject(&self, value: &str) {
        let mut held = self.lock();
        if held.as_ref().is_some_and(|h| h.value == value) {
            *held = None;
        }
    }
}
