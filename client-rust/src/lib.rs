//! Client of the Muster service registry.

#[cfg(feature = "tonic-0_14")]
pub mod tonic_0_14;
