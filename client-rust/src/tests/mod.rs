//! Tests of the client against a scripted registry, in paused time and in memory.
//!
//! One file per topic; each test is named for the rule that it holds the client to, alike in both
//! clients.

mod ack;
mod cache;
mod cache_files;
#[cfg(feature = "tonic-0_14")]
mod channel;
mod chaos;
mod deregister;
mod fake;
mod fake_services;
mod fixed;
mod keeper;
mod lookup;
mod observer;
mod registration;
mod retry;
#[cfg(feature = "tonic-0_14-serve")]
mod serve;
mod servers;
mod servers_order;
mod setters;
mod subscription;
#[cfg(feature = "tls-ring")]
mod tls;
#[cfg(feature = "tls-ring")]
mod token;
mod vectors;
mod watch;
mod watch_lanes;
mod watch_trouble;
#[cfg(feature = "tls-ring")]
mod wrong_input;
