//! Every decision that Muster's clients must make alike, as pure functions: values in, values out,
//! no clock, no randomness of its own, no floats.
//!
//! `docs/client-spec.md` specifies them, `conformance/vectors` holds cases of each, and the Go
//! package `client-go/internal/rules` is the same, file by file. This crate is a part of
//! `muster-client` and promises no stability of its own.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod address;
pub mod advertise;
pub mod backoff;
pub mod budget;
pub mod cache_age;
pub mod cache_file;
pub mod cache_room;
pub mod codes;
pub mod connection;
pub mod defaults;
pub mod digest;
pub mod elapsed;
pub mod entry_set;
pub mod environment;
pub mod errors;
pub mod frames;
mod frames_finish;
pub mod freshness;
pub mod grace;
pub mod keepalive;
mod locality;
pub mod maglev;
pub mod matching;
mod name;
pub mod outcome;
pub mod outlier;
pub mod overrides;
pub mod pick;
pub mod plan;
pub mod quote;
pub mod random;
pub mod retry;
pub mod semver;
pub mod semver_range;
pub mod servers;
pub mod slot_key;
mod subset;
pub mod target;
pub mod usable;
pub mod version_shares;

#[cfg(feature = "evaluate")]
pub mod evaluate;
