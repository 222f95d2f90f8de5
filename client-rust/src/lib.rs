//! Client of the Muster service registry.

#![forbid(unsafe_code)]

mod ack;
mod advertise;
mod apply;
mod backoff;
mod calls;
mod client;
mod config;
mod desired;
mod digest;
mod drain;
mod error;
mod frame;
mod freshness;
mod instance;
mod intent;
mod keepalive;
mod keeper;
mod kinds;
mod lookup;
mod messages;
mod reason;
mod registration;
mod schedule;
mod selector;
mod servers;
mod session;
mod session_state;
mod set;
mod similar;
mod spec;
mod stats;
mod status;
mod stream;
mod subscription;
#[cfg(feature = "tls-ring")]
mod tls;
mod transport;
mod update;
mod validate;
mod view;
mod watch;
mod watched;
mod watcher;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod testset;

#[cfg(feature = "tonic-0_14")]
pub mod tonic_0_14;

pub use advertise::advertise_from;
pub use client::{Client, ClientStatus};
pub use config::ClientBuilder;
pub use drain::{DrainReport, DrainResult, DrainWatcher};
pub use error::{Code, Error, Reason};
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
pub use registration::{Register, Registration, RegistrationState, RegistrationStatus};
pub use selector::Selector;
pub use spec::{EndpointSpec, InstanceSpec};
pub use stats::Stats;
pub use subscription::{Picker, Subscription, Updates};
pub use update::{RemovedInstance, Update};
pub use view::{Source, View};
