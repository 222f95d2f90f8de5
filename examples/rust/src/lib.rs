//! Example programs for the Muster service registry.
