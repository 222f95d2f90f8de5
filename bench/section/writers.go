package section

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/proc"
)

// writers change what an audience watches, until they are stopped.
type writers struct {
	group sync.WaitGroup
	// halt makes them stop after the change that is under way.
	halt func()
	mu   sync.Mutex
	err  error
}

func (w *writers) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = errors.Join(w.err, err)
	w.halt()
}

// stop ends and joins them, and returns why one of them failed.
func (w *writers) stop() error {
	w.halt()
	w.group.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// flood starts writers that each write one change to service 0 after the
// other, as the window allows. Instances are taken in turn, so that those
// under way are distinct.
func (a *audience) flood(ctx context.Context, n, instances int, window *fan.Window) *writers {
	w := &writers{halt: window.Close}
	var next atomic.Uint64
	for i := range n {
		w.group.Go(func() {
			for window.Take() {
				instance := int(next.Add(1) % uint64(instances)) //nolint:gosec // small
				if err := a.change(ctx, i, 0, instance); err != nil {
					w.fail(err)
					return
				}
			}
		})
	}
	return w
}

// pace starts n writers that together write so many changes a second, whatever
// becomes of them: a late one makes up for it. The i-th change is to service i
// modulo the number of services.
func (a *audience) pace(ctx context.Context, n, perSecond, services, instances int) *writers {
	ctx, cancel := context.WithCancel(ctx)
	w := &writers{halt: cancel}
	start := time.Now()
	for i := range n {
		w.group.Go(func() {
			for k := i; ; k += n {
				due := start.Add(time.Second * time.Duration(k) / time.Duration(perSecond))
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(due)):
				}
				// A change under way is not interrupted: it would be counted wrongly.
				if err := a.change(context.WithoutCancel(ctx), i, k%services, k/services%instances); err != nil {
					w.fail(err)
					return
				}
			}
		})
	}
	return w
}

// counted is what a meter came to in some time.
type counted struct {
	frames, changes uint64
	// cpu is the server's time, clients that of this process.
	elapsed, cpu, clients time.Duration
}

func (c counted) framesPerSecond() float64  { return float64(c.frames) / c.elapsed.Seconds() }
func (c counted) changesPerSecond() float64 { return float64(c.changes) / c.elapsed.Seconds() }

// cpuPerFrame is the server's CPU time for a frame, in us.
func (c counted) cpuPerFrame() float64 {
	return float64(c.cpu.Nanoseconds()) / 1e3 / float64(max(c.frames, 1))
}

// count reads a meter over some time, after a warm-up.
func (m *meter) count(ctx context.Context, p *proc.Process, warmup, duration time.Duration) (counted, error) {
	if err := pause(ctx, warmup); err != nil {
		return counted{}, err
	}
	if m.latency != nil {
		m.latency.Reset()
	}
	if m.age != nil {
		m.age.Reset()
	}
	cpu, err := p.CPU()
	if err != nil {
		return counted{}, err
	}
	start, c := time.Now(), counted{frames: m.frames.sum(), changes: m.changes.sum(), cpu: cpu, clients: clientCPU()}
	if err = pause(ctx, duration); err != nil {
		return counted{}, err
	}
	cpu, err = p.CPU()
	return counted{
		frames: m.frames.sum() - c.frames, changes: m.changes.sum() - c.changes,
		elapsed: time.Since(start), cpu: cpu - c.cpu, clients: clientCPU() - c.clients,
	}, err
}

// clientCPU is what this process has used, or 0 if the system does not say.
func clientCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
