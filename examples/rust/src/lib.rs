//! What the example programs share: the greeter service, command-line flags and lines of JSON.

pub mod flags;
pub mod jsonl;

/// The service that the programs offer and call, generated from `examples/proto`.
// Generated: its style is the generators' own.
#[allow(
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    clippy::all,
    clippy::pedantic
)]
pub mod greeter {
    include!("gen/greeter.v1.rs");
}
