//! The deadline of a call, as `grpc-timeout` carries it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, Sleep};

const HEADER: &str = "grpc-timeout";
/// The specification allows eight digits.
const LARGEST: u128 = 99_999_999;

/// The time that a call was given, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) total: Duration,
    started: Instant,
}

impl Budget {
    /// Whether it is used up, also if no timer has fired yet.
    pub(crate) fn is_spent(&self) -> bool {
        self.started.elapsed() >= self.total
    }

    /// Writes what is left into `headers`, if that is noticeably less than it was.
    pub(crate) fn rewrite(&self, headers: &mut HeaderMap) {
        let waited = self.started.elapsed();
        if waited < Duration::from_millis(1) {
            return;
        }
        let left = format(self.total.saturating_sub(waited));
        if let Ok(value) = HeaderValue::from_str(&left) {
            headers.insert(HEADER, value);
        }
    }
}

/// A budget with the timer that ends it.
#[derive(Debug)]
pub(crate) struct Deadline {
    pub(crate) budget: Budget,
    sleep: Pin<Box<Sleep>>,
}

impl Deadline {
    /// The deadline in `headers`, from now on; `None` if there is none or if it cannot be read.
    pub(crate) fn start(headers: &HeaderMap) -> Option<Self> {
        let total = parse(headers.get(HEADER)?.to_str().ok()?)?;
        let started = Instant::now();
        Some(Self {
            budget: Budget { total, started },
            sleep: Box::pin(tokio::time::sleep(total)),
        })
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

/// Reads a `grpc-timeout`: up to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

/// Writes a `grpc-timeout` in the finest unit that fits, rounded up: a server must not end a call
/// before its caller does.
fn format(timeout: Duration) -> String {
    let nanos = timeout.as_nanos();
    for (unit, name) in [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
    ] {
        let value = nanos.div_ceil(unit);
        if value <= LARGEST {
            return std::format!("{value}{name}");
        }
    }
    std::format!("{}H", nanos.div_ceil(3_600_000_000_000).min(LARGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn timeouts_read_and_written() {
        for (text, want) in [
            ("100m", Some(Duration::from_millis(100))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0n", Some(Duration::ZERO)),
            ("100000000n", None),
            ("m", None),
            ("", None),
            ("5", None),
            ("+5m", None),
            ("5µ", None),
            ("5 m", None),
        ] {
            assert_eq!(parse(text), want, "{text:?}");
        }
        assert_eq!(format(Duration::from_millis(1500)), "1500000u");
        assert_eq!(format(Duration::from_nanos(99_999_999)), "99999999n");
        assert_eq!(format(Duration::MAX), "99999999H");
    }

    proptest! {
        #[test]
        fn never_written_shorter_and_hardly_longer(nanos in any::<u64>()) {
            let timeout = Duration::from_nanos(nanos);
            let read = parse(&format(timeout)).unwrap();
            prop_assert!(read >= timeout);
            prop_assert!((read - timeout).as_nanos() <= timeout.as_nanos() / 1_000_000);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_sent() {
        let mut headers = HeaderMap::new();
        assert!(Deadline::start(&headers).is_none());
        headers.insert(HEADER, HeaderValue::from_static("50m"));
        let deadline = Deadline::start(&headers).unwrap().budget;
        deadline.rewrite(&mut headers);
        assert_eq!(headers[HEADER], "50m");
        tokio::time::advance(Duration::from_millis(20)).await;
        deadline.rewrite(&mut headers);
        assert_eq!(headers[HEADER], "30000000n");
        assert!(!deadline.is_spent());
        tokio::time::advance(Duration::from_millis(40)).await;
        assert!(deadline.is_spent());
        deadline.rewrite(&mut headers);
        assert_eq!(headers[HEADER], "0n");
    }
}
