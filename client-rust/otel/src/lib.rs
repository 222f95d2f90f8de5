//! Records what a [Muster](https://github.com/muster-registry/muster) client does by OpenTelemetry.
//!
//! ```no_run
//! # async fn run() -> Result<(), muster_client::Error> {
//! let observer = muster_client_otel::Observer::new();
//! let client = muster_client::Client::builder(["127.0.0.1:7070"])
//!     .observer(observer.clone())
//!     .build()?;
//! observer.gauges(&client);
//! # Ok(()) }
//! ```
//!
//! docs/telemetry.md lists the metrics and spans. The crate uses the API alone: which SDK exports
//! what, and where to, is the program's choice.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod instruments;
mod observer;
mod record;
mod spans;
mod trace_context;

pub use observer::Observer;
