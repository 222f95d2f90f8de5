//! The Rust side of the benchmark in `bench/`, which starts it and reads the lines of JSON that it
//! prints.
//!
//!     muster-bench-rust watch SERVER NAMESPACE SERVICE
//!     muster-bench-rust pick ENDPOINTS
#![allow(clippy::print_stdout, reason = "its figures go there")]
#![allow(
    clippy::disallowed_types,
    reason = "it compares real clocks of several processes"
)]

// It includes the code of the channel, whose tests are the channel's own.
#[cfg(not(test))]
mod pick;
mod watch;

use std::error::Error;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["watch", server, namespace, service] => watch::watch(server, namespace, service).await,
        #[cfg(not(test))]
        ["pick", endpoints] => pick::measure(endpoints.parse()?),
        _ => Err("want: watch SERVER NAMESPACE SERVICE, or pick ENDPOINTS".into()),
    }
}
