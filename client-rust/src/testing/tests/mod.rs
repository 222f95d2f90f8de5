//! Tests of the registry in memory: by real clients, and by hand. Named alike in both languages.

mod drain;
mod fake;
mod lookup;
mod model;
mod register;
mod vectors;
mod watch;
