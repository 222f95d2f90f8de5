//! The wire protocol of the Muster service registry.
