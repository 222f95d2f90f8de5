//! The wire protocol of the Muster service registry: its messages and gRPC stubs.
//!
//! Most programs want the crate `muster-client`, which speaks this protocol for them. Use this one
//! to write another client, a proxy, or a fake registry for tests.
//!
//! Everything is in [`v1`], the protobuf package `muster.v1`. Messages are
//! [prost](https://docs.rs/prost) types; `v1::*_client` are tonic clients over any
//! `tonic::client::GrpcService`. The service traits and servers (`v1::*_server`) come with the
//! feature `server`.
//!
//! The code is generated from `proto/muster/v1` of the repository; `make generate` renews it.
//!
//! ```
//! use muster_proto::v1::Instance;
//!
//! let instance = Instance {
//!     service: "orders".into(),
//!     ..Default::default()
//! };
//! assert_eq!(instance.service, "orders");
//! ```

pub use {prost, prost_types, tonic};

/// The protobuf package `muster.v1`.
// Generated: its style is the generators' own.
#[allow(
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    clippy::all,
    clippy::pedantic
)]
pub mod v1 {
    include!("gen/muster.v1.rs");
}
