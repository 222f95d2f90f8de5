//! The channel against peers that are made to misbehave.
//!
//! `memory` peers are HTTP/2 servers behind pipes, under paused time: every wait takes exactly as
//! long as it should. `loopback` peers are tonic servers on real sockets, each in a runtime that
//! can be taken away like a killed process.
#![cfg(feature = "tonic-0_14")]

mod client;
mod loopback;
mod memory;
mod picking;

mod backoff;
mod barrier;
mod calls;
mod closing;
mod coalescing;
mod deadlines;
mod eviction;
mod leaving;
mod limits;
mod reasons;
mod replay;
mod restart;
mod sets;
#[cfg(feature = "tls-ring")]
mod tls;
