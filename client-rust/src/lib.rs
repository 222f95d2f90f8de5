//! Client of the Muster service registry.
