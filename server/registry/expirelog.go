package registry

import (
	"context"
	"log/slog"
	"sync"
)

// sweepOutcome is what came of one look for leases that are due: a line in the
// log, however many they were.
type sweepOutcome struct {
	log   *slog.Logger
	debug bool

	mu                sync.Mutex
	pending           int
	leases, instances int
	first             string
}

func newSweepOutcome(ctx context.Context, log *slog.Logger) *sweepOutcome {
	return &sweepOutcome{log: log, debug: log.Enabled(ctx, slog.LevelDebug)}
}

// expect counts a mutation; done must follow. The look itself is one more.
func (o *sweepOutcome) expect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending++
}

// expired tells of a mutation that committed.
func (o *sweepOutcome) expired(e *expiry) {
	if o.debug {
		for _, l := range e.leases {
			o.log.Debug("lease expired", "incarnation", l.Incarnation(), "instances", l.Record().GetInstances(), "ttl", l.TTL())
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(e.note.Keys) > 0 && o.first == "" {
		o.first = e.note.Keys[0]
	}
	o.leases += len(e.leases)
	o.instances += len(e.note.Keys)
}

// done ends what expect began, and writes the line after the last one.
func (o *sweepOutcome) done() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending--; o.pending >= 0 || o.leases == 0 {
		return
	}
	o.log.Info("leases expired", "leases", o.leases, "instances", o.instances, "first", o.first)
}
