// Package section holds the sections of the benchmark: one file for each kind
// of work. Each measures every server that can do it, in turn, several times,
// and puts medians and ratios into the report.
package section

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
}

// Pick is the first value in a quick run and the second in a full one.
func Pick[T any](r *Run, quick, full T) T {
	if r.Quick {
		return quick
	}
	return full
}

// Warmup and Duration are those of a usual measurement.
func (r *Run) Warmup() time.Duration { return Pick(r, 150*time.Millisecond, 500*time.Millisecond) }

// Duration is how long a usual measurement takes.
func (r *Run) Duration() time.Duration { return Pick(r, 400*time.Millisecond, 2*time.Second) }

// Logf tells how far the run is.
func (r *Run) Logf(format string, args ...any) { fmt.Fprintf(r.Log, "  "+format+"\n", args...) }

// Servers are running servers, in the order of their targets.
type Servers struct {
	list []Named
	dirs []string
}

// Named is a server and the name of its target.
type Named struct {
	drive.Server
	Name string
}

// Start starts a server of each target, or of those that are named, each in a
// directory of its own. The caller must close them.
func (r *Run) Start(ctx context.Context, c drive.Config, names ...string) (*Servers, error) {
	s := &Servers{}
	for _, t := range r.Targets {
		if len(names) > 0 && !contains(names, t.Name()) {
			continue
		}
		dir, err := os.MkdirTemp(r.Dir, t.Name()+"-")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make a data directory: %w", err), s.Close())
		}
		s.dirs = append(s.dirs, dir)
		c.Dir = dir
		server, err := t.Start(ctx, c)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start %s: %w", t.Name(), err), s.Close())
		}
		s.list = append(s.list, Named{Server: server, Name: t.Name()})
	}
	return s, nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// All are the servers.
func (s *Servers) All() []Named { return s.list }

// Get is the server of a target, or nil.
func (s *Servers) Get(name string) drive.Server {
	for _, n := range s.list {
		if n.Name == name {
			return n.Server
		}
	}
	return nil
}

// Close ends the servers and removes their data.
func (s *Servers) Close() error {
	var err error
	for _, n := range s.list {
		err = errors.Join(err, n.Close())
	}
	for _, dir := range s.dirs {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// NextKeys reserves a million keys that no other measurement uses and returns
// the first.
func (r *Run) NextKeys() uint64 {
	const reserved = 1_000_000
	r.keys += reserved
	return r.keys
}
