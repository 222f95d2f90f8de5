// Package section holds the sections of the benchmark: one file for each kind
// of work. Each measures every server that can do it, in turn, several times,
// and puts medians and ratios into the report.
package section

import (
	"fmt"
	"io"
	"time"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/report"
)

// UnaryConns is how many connections the clients of unary calls and of
// keepalives have.
const UnaryConns = 8

// Run is one run of the benchmark, as its sections see it.
type Run struct {
	// Quick asks for small sizes and short measurements.
	Quick bool
	// Reps is how often each measurement is repeated.
	Reps int
	// Dir is a directory on a real disk, for the data of servers.
	Dir string
	// Program is the path of the muster program.
	Program string
	// Targets are the servers under test, in the order in which they are measured.
	Targets []drive.Target
	// Report takes the figures.
	Report *report.Report
	// Log takes what happens, for people.
	Log io.Writer

	samples map[string][]float64
	keys    uint64
	shared  *Servers
	ladder  *ladder
	// filled are the services of the shared servers that were filled.
	filled map[string]bool
}

// Pick is the first value in a quick run and the second in a full one.
func Pick[T any](r *Run, quick, full T) T {
	if r.Quick {
		return quick
	}
	return full
}

// Warmup and Duration are those of a usual measurement.
func (r *Run) Warmup() time.Duration { return Pick(r, 30*time.Millisecond, 300*time.Millisecond) }

// Duration is how long a usual measurement takes.
func (r *Run) Duration() time.Duration { return Pick(r, 100*time.Millisecond, time.Second) }

// Logf tells how far the run is.
func (r *Run) Logf(format string, args ...any) { fmt.Fprintf(r.Log, "  "+format+"\n", args...) }

// NextKeys reserves a million keys that no other measurement uses and returns
// the first.
func (r *Run) NextKeys() uint64 {
	const reserved = 1_000_000
	r.keys += reserved
	return r.keys
}
