//! The channel against tonic's own, on one endpoint: unary calls of 64 bytes, one after the other
//! and 64 at a time. The server runs in a runtime of its own in this process, so the figures say
//! how the two channels compare, not how fast either is.
//!
//! `cargo bench -p muster-client --features tonic-0_14 --bench channel`
#![allow(clippy::print_stdout, reason = "it prints its results")]
#![allow(clippy::float_arithmetic, reason = "figures for people")]
#![allow(clippy::cast_possible_truncation, reason = "figures for people")]

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::time::{Duration, Instant};
use tonic::client::{Grpc, GrpcService};
use tonic::{Request, Status};

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/channel/client.rs"]
mod client;
#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/channel/loopback.rs"]
mod loopback;

use client::{Raw, Source, in_use};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(700);

/// Calls for the length of a round; returns the calls per second.
async fn round<T>(channel: &T, workers: usize) -> f64
where
    T: GrpcService<tonic::body::Body> + Clone + Send + 'static,
    T::Future: Send,
    T::ResponseBody: Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let began = Instant::now();
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let mut grpc = Grpc::new(channel.clone());
            tokio::spawn(async move {
                let message = Bytes::from_static(&[7; 64]);
                let mut calls = 0u32;
                while began.elapsed() < ROUND {
                    grpc.ready()
                        .await
                        .map_err(|_| Status::unknown("not ready"))?;
                    let path = PathAndQuery::from_static("/t/echo");
                    grpc.unary(Request::new(message.clone()), path, Raw).await?;
                    calls += 1;
                }
                Ok::<_, Status>(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await.expect("no panic").expect("no failure");
    }
    f64::from(calls) / began.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let server = loopback::Server::start();
    let source = Source::of(&[&server.address()]);
    let ours = source.channel(Default::default());
    in_use(&ours, 1).await;
    let theirs = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address()))
        .expect("an address")
        .tcp_nodelay(true)
        .connect()
        .await
        .expect("a connection");
    println!(
        "{:>8} {:>12} {:>12} {:>7}",
        "workers", "muster/s", "tonic/s", "ratio"
    );
    for workers in [1, 64] {
        let (mut mine, mut other) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            // In turns, since the machine is shared.
            mine.push(round(&ours, workers).await);
            other.push(round(&theirs, workers).await);
        }
        let (mine, other) = (median(mine), median(other));
        println!(
            "{workers:>8} {mine:>12.0} {other:>12.0} {:>7.2}",
            mine / other
        );
    }
}
