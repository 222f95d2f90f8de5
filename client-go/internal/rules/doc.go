// Package rules holds every decision that the clients must make alike, as pure
// functions: values in, values out, no clock, no randomness of its own, no
// floats. docs/client-spec.md specifies them, conformance/vectors holds cases
// of each, and the crate muster-rules is the same in Rust, file by file.
package rules
