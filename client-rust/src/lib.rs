//! Client of the [Muster](https://github.com/muster-registry/muster) service registry: registers
//! processes, and follows those of others.
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use muster_client::{Client, EndpointSpec, InstanceSpec, Selector};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), muster_client::Error> {
//!     let client = Client::builder(["127.0.0.1:7070"]).build()?; // does no I/O
//!     let spec = InstanceSpec::new("shop", "pay").endpoint(EndpointSpec::new("grpc", "10.0.0.7:8080"));
//!     client.register([spec]).await?;
//!     let mut updates = client.subscribe(Selector::service("shop", "pay"))?.updates();
//!     while let Some(update) = updates.next().await {
//!         println!("{:?}", update?);
//!     }
//!     client.close().await; // deregisters
//!     Ok(())
//! }
//! ```
//!
//! # What you can rely on
//!
//! - **A registration belongs to the client**, not to the handle or to the future that made it. It
//!   is kept alive, moved to another server and registered again until
//!   [`Registration::deregister`] or [`Client::close`]. [`Registration::status`] says how it goes;
//!   `FENCED` (another process took the instance over) and `REFUSED` are final. A
//!   [`Client::register`] that is given up never leaves anything registered.
//! - **Setters write what should be** and return at once, such as [`Registration::set_health`].
//!   [`Registration::flush`] waits until the registry has it.
//! - **A view is always there**: [`Subscription::view`] never waits, and views never change. A
//!   registry that is away shows as age ([`View::freshness`]), never as emptiness. An empty view
//!   says why ([`View::intent`], [`View::why`]).
//! - **Every view was verified** by digest and count before it was swapped in, whole.
//! - **Slow readers cost nothing**: [`Subscription::updates`] is no queue, it yields the net
//!   difference to the view that was yielded last.
//! - **A process starts while no registry answers**, given a [cache](ClientBuilder::cache_dir): it
//!   shows the views of the process before it, as old as they are.
//! - **A drain waits for pickers.** Whatever picks instances outside of [`Subscription::view`] says
//!   so by [`Subscription::add_picker`] and [`Picker::applied`]; the channels of `tonic_0_14` do.
//! - **Errors** name the object, the value, the cause and the next step, and end in a [`Reason`] in
//!   brackets.
//! - Calls without a deadline get 5 s. Nothing is queued without bound.
//!
//! # Who runs what
//!
//! A client runs its tasks on the tokio runtime that it was built in: one per registration, one
//! that keeps all leases alive on one stream, one that watches everything on one stream. They are
//! started when they are first needed, and [`Client::close`] joins them, within 5 s. Dropping the
//! last clone of a client gives them one second.
//!
//! # Features
//!
//! - `tonic-0_14`: `tonic_0_14::Channel`, a balanced gRPC channel over the instances of a service.
//! - `tonic-0_14-serve`: `tonic_0_14::serve`, a server's life from listening to drained.
//! - `testing`: `testing::Registry`, a registry in memory for tests of programs that use this crate.
//! - `tls-ring`: TLS, to the registry and to endpoints, by rustls with ring.
//!
//! No type of tonic or prost is part of the API outside of `tonic_0_14`, so that modules for later
//! versions can stand beside it.
//!
//! # How it works
//!
//! The order of reading: `session` and `session_state` (a registration's driver), `keeper` and
//! `keepalive` (leases), `watcher`, `watch`, `stream` and `apply` (the watch task), `frame` and `set`
//! (what a frame does, pure), `servers` and `transport` (connections and failover).

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod ack;
mod advertise;
mod answers;
mod apply;
mod backoff;
mod cache;
mod cache_dir;
mod cache_view;
mod calls;
mod client;
mod config;
mod convert_out;
mod desired;
#[cfg(any(test, feature = "testing"))]
mod digest;
mod drain;
mod environment;
mod error;
mod event;
#[cfg(feature = "testing")]
mod event_samples;
mod fixed;
mod frame;
mod freshness;
mod instance;
mod intent;
mod keepalive;
mod keeper;
mod kinds;
mod lookup;
mod messages;
mod observer;
mod policy;
mod reason;
mod registration;
mod report;
mod retry;
mod schedule;
mod selector;
mod servers;
mod session;
mod session_state;
mod similar;
mod spec;
mod stats;
mod status;
mod stream;
mod stream_calls;
mod subscription;
mod telemetry;
#[cfg(feature = "tls-ring")]
mod tls;
mod token;
mod tokens;
mod transport;
mod update;
mod validate;
mod view;
mod watch;
mod watched;
mod watcher;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod testset;

#[cfg(feature = "tonic-0_14")]
pub mod tonic_0_14;

pub use advertise::advertise_from;
pub use client::{Client, ClientStatus};
pub use config::ClientBuilder;
pub use drain::{DrainReport, DrainWatcher};
pub use error::{Code, Error, Reason, Violation};
pub use event::{ChangeTrace, Event, FrameFault, FrameKind, KeepaliveOutcome, StreamKind};
pub use freshness::Freshness;
pub use instance::{
    Emptied, Endpoint, HealthSlot, Instance, InstanceKey, Locality, Origin, ServiceName,
    ServiceState, Shard,
};
pub use intent::Intent;
pub use kinds::{
    Health, HealthSource, Lifecycle, Position, Protocol, RemovalReason, Security, SnapshotCause,
    Timestamp,
};
pub use lookup::Lookup;
pub use observer::{Header, Observer};
pub use policy::{LocalityRule, TrafficPolicy, VersionShare};
pub use registration::{Register, Registration, RegistrationState, RegistrationStatus};
pub use selector::Selector;
pub use spec::{EndpointSpec, InstanceSpec};
pub use stats::{Stats, StatsReader};
pub use subscription::{Picker, Subscription, Updates};
#[cfg(feature = "tls-ring")]
pub use tls::TlsConfig;
pub use token::{FixedToken, Token, TokenFile, TokenSource};
pub use update::{Removal, Update};
pub use view::{Source, View};
