//! Uses the Rust client as the conformance harness tells it by commands on standard input, and
//! prints what its user would see: one JSON object a line. `conformance/README.md` lists the
//! commands; the Go testee does the same with the Go client.

mod channel;
mod client;
mod command;
mod explain;
mod load;
mod register;
mod say;
mod serve;
mod subscribe;
mod testee;
mod view;

use std::process::ExitCode;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, BufReader};

use testee::Testee;
use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() -> ExitCode {
    // Libraries that log every frame would slow down everything.
    let levels = Targets::new()
        .with_default(Level::INFO)
        .with_target("muster_client", Level::DEBUG);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    tracing_subscriber::registry()
        .with(lines.with_filter(levels))
        .init();
    let testee = Arc::new(Testee::default());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut code = ExitCode::SUCCESS;
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(command) => testee.begin(command),
            Err(error) => {
                say::complain(&format!("a command: {error}: {line}"));
                code = ExitCode::FAILURE;
                break;
            }
        }
    }
    testee.end().await;
    code
}
