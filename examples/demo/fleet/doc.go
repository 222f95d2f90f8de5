// Package fleet runs a small Muster installation as child processes: one
// registry server, and the greeters and callers of examples/go and
// examples/rust. The demo narrates what they do, and the end-to-end tests judge
// it.
//
// A [Fleet] owns its processes. Each writes one JSON object per line to its
// standard output; those lines are its [Journal], on which everything waits.
// [Fleet.Close] ends all processes, whatever state they are in, and joins what
// reads their output. A process that ends unasked ends the fleet's context, with
// the last lines of its standard error in the cause.
package fleet
