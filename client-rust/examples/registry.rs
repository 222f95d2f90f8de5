//! Serves a registry in memory over TCP, for tests of programs in any language:
//!
//! ```text
//! cargo run -p muster-client --features testing --example registry -- -listen 127.0.0.1:0
//! ```
//!
//! It prints one line, `listening HOST:PORT`, and serves until SIGTERM or SIGINT. What was
//! registered is gone with it.

use std::env;
use std::io;

use muster_client::testing::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: registry [-listen HOST:PORT]; port 0 takes a free one";

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = listen_address(env::args().skip(1))?;
    let listener = TcpListener::bind(&address).await?;
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    #[allow(clippy::print_stdout, reason = "whoever started this reads it")]
    {
        println!("listening {}", listener.local_addr()?);
    }
    let registry = Registry::new();
    let ended = tokio::select! {
        ended = registry.serve(listener) => ended,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    registry.close().await;
    ended
}

fn listen_address(mut arguments: impl Iterator<Item = String>) -> io::Result<String> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, USAGE);
    match arguments.next().as_deref() {
        None => Ok("127.0.0.1:0".to_owned()),
        Some("-listen" | "--listen") => arguments.next().ok_or_else(wrong),
        Some(_) => Err(wrong()),
    }
}
