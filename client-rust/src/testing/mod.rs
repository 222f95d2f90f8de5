//! A registry in memory, for tests of programs that use this crate. Three lines bring up a registry
//! and a client of it, and in paused time no test waits for a TTL or a timeout:
//!
//! ```
//! use muster_client::{InstanceSpec, Intent, Selector, testing};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), muster_client::Error> {
//! // #[tokio::test(start_paused = true)]
//! let registry = testing::Registry::new();
//! registry.register([InstanceSpec::new("shop", "pay").id("a")]);
//! let client = registry.client();
//!
//! let mut pay = client.subscribe(Selector::service("shop", "pay"))?;
//! pay.changed().await?;
//! registry.expire("shop/pay/a");
//! assert_eq!(pay.changed().await?.intent(), Intent::AllExpired);
//! # client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! A registry that is cut off: leases expire meanwhile, and the client registers again by itself.
//!
//! ```
//! # use std::time::Duration;
//! # use muster_client::{InstanceSpec, testing};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), muster_client::Error> {
//! # let registry = testing::Registry::new();
//! # let client = registry.client();
//! client.register([InstanceSpec::new("shop", "pay").id("a")]).await?;
//! registry.cut();
//! tokio::time::sleep(Duration::from_secs(16)).await; // in paused time
//! assert!(registry.instances("shop/pay").is_empty());
//! registry.heal();
//! tokio::time::sleep(Duration::from_secs(10)).await;
//! assert_eq!(registry.instances("shop/pay").len(), 1);
//! # client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! It is a real, small registry, not a stub: registrations, leases that expire, fencing, watches
//! with resumption and digests, drains that wait for pickers and the errors of the contract are
//! those of docs/protocol.md, and the scenarios of the conformance corpus run against it as against
//! a server. What it leaves out is what its GetServerInfo says.
//!
//! Tests play what happens in production by [`Registry::expire`], [`Registry::cut`] and
//! [`Registry::heal`], [`Registry::restart`] and [`Registry::lose_history`].

mod barrier;
mod canonical;
mod change;
mod check;
mod claim;
mod control;
mod core;
mod drain;
mod fault;
mod frame;
mod keepalive;
mod lookup;
mod matching;
pub(crate) mod network;
mod registry;
mod resume;
mod selection;
mod server;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod view;

pub use registry::{ADDRESS, Registry};
