//! Client of the Muster service registry.

#![forbid(unsafe_code)]

mod advertise;
mod backoff;
mod digest;
mod drain;
mod error;
mod frame;
mod freshness;
mod instance;
mod intent;
mod kinds;
mod messages;
mod reason;
mod schedule;
mod selector;
mod set;
mod spec;
mod update;
mod validate;
mod view;

#[cfg(test)]
mod testset;

#[cfg(feature = "tonic-0_14")]
pub mod tonic_0_14;

pub use advertise::advertise_from;
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
pub use selector::Selector;
pub use spec::{EndpointSpec, InstanceSpec};
pub use update::{RemovedInstance, Update};
pub use view::{Source, View};
