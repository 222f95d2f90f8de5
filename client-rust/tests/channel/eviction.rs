//! Endpoints that die under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tonic::Code;

use super::client::{Client, Source, idle, in_use, soon};
use super::loopback::Server;

/// What a worker saw of its calls.
#[derive(Debug, Default)]
struct Seen {
    fine: u32,
    failed: u32,
    /// Failures of calls that began after the endpoint was out of the table.
    failed_late: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_is_killed_and_only_calls_in_flight_fail() {
    const WORKERS: u32 = 32;
    let mut servers = vec![Server::start(), Server::start(), Server::start()];
    let addresses: Vec<_> = servers.iter().map(Server::address).collect();
    let source = Source::of(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    let channel = source.channel(Default::default());
    in_use(&channel, 3).await;
    let evicted = Arc::new(AtomicBool::new(false));
    let stop = tokio::sync::watch::Sender::new(false);
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (mut client, stop) = (Client::new(&channel), stop.subscribe());
            let evicted = Arc::clone(&evicted);
            tokio::spawn(async move {
                let mut seen = Seen::default();
                while !*stop.borrow() {
                    let late = evicted.load(Ordering::SeqCst);
                    match client.unary("/t/echo", "x").await {
                        Ok(_) => seen.fine += 1,
                        Err(status) => {
                            assert_eq!(status.code(), Code::Unavailable, "{status}");
                            assert!(status.message().contains("lost: "), "{status}");
                            seen.failed += 1;
                            seen.failed_late += u32::from(late);
                        }
                    }
                }
                seen
            })
        })
        .collect();
    let victim = servers.pop().unwrap();
    soon(async {
        while victim.served() < 500 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    victim.kill();
    in_use(&channel, 2).await;
    evicted.store(true, Ordering::SeqCst);
    let before: usize = servers.iter().map(Server::served).sum();
    soon(async {
        while servers.iter().map(Server::served).sum::<usize>() < before + 3000 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stop.send_replace(true);
    let mut all = Seen::default();
    for worker in workers {
        let seen = soon(worker).await.unwrap();
        all.fine += seen.fine;
        all.failed += seen.failed;
        all.failed_late += seen.failed_late;
    }
    println!("killed under load: {all:?}");
    assert!(all.fine > 3000);
    assert_eq!(all.failed_late, 0, "{all:?}");
    // No worker can lose more than the one call that was in flight, but for calls begun between
    // the kill and its notice.
    assert!(all.failed <= 2 * WORKERS, "{all:?}");
    idle(&channel).await;
}
