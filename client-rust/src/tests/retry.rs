//! Rules of repeating calls to the registry.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::fake::{Fake, What};
use super::watch::pay;
use crate::Reason;

fn lookups(fake: &Fake) -> usize {
    let is_lookup = |w: &What| matches!(w, What::Lookup(_)).then_some(());
    fake.calls(is_lookup).len()
}

/// A registry whose server fails so many lookups.
fn failing(times: usize) -> Fake {
    let fake = Fake::new(1);
    for _ in 0..times {
        fake.fail("lookup", Code::Unavailable, "STORE_FAILED");
    }
    fake
}

#[tokio::test(start_paused = true)]
async fn repetitions_beyond_the_budget_wait_in_line() {
    const CALLERS: usize = 200;
    const SECONDS: usize = 30;
    let fake = failing(10_000);
    let client = fake.client();
    let mut all = JoinSet::new();
    for _ in 0..CALLERS {
        let client = client.clone();
        all.spawn(async move {
            let lookup = client.lookup(pay()).timeout(Duration::from_secs(3_600));
            let e = lookup.await.expect_err("all fail");
            assert_eq!(e.reason(), Reason::Closed, "{e}");
        });
    }
    sleep(Duration::from_secs(SECONDS as u64)).await;
    let repeated = lookups(&fake) - CALLERS;
    // What a full budget holds, a fifth of the calls, and 10 a second.
    let most = 100 + CALLERS / 5 + 10 * SECONDS;
    assert!(
        (10 * SECONDS..=most).contains(&repeated),
        "{repeated} repetitions in {SECONDS} s, want {} to {most}",
        10 * SECONDS
    );
    client.close().await;
    while let Some(joined) = all.join_next().await {
        joined.expect("CLOSED");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_without_time_for_another_try_end_at_once() {
    let fake = failing(1);
    let client = fake.client();
    client.ready().await.expect("connected");
    let began = Instant::now();
    let lookup = client.lookup(pay()).timeout(Duration::from_millis(40)); // a backoff is 50 ms at least
    let e = lookup.await.expect_err("it fails");
    assert_eq!(e.reason(), Reason::Deadline, "{e}");
    assert!(began.elapsed() < Duration::from_millis(40));
    assert!(
        e.to_string().starts_with(
            "muster: lookup shop/pay: the deadline leaves no time to try again; last: "
        ),
        "{e}"
    );
    client.close().await;
}
