package section

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/load"
	"github.com/muster-registry/muster/bench/payload"
)

// Restart measures kill -9, then exec to the first lookup of a whole service,
// and that nothing is missing after it.
func Restart(ctx context.Context, r *Run) error {
	l, err := r.climb(ctx, r.top())
	if err != nil {
		return err
	}
	key := "restart_" + sizeName(l.held)
	for range r.Reps {
		c, err := l.crash(ctx)
		if err != nil {
			return err
		}
		if err := r.sampleRestart(ctx, key, l.Server, l.held, c); err != nil {
			return err
		}
	}
	r.reportRestart(key)
	for _, n := range []int{10_000, 100_000} {
		if n >= r.top() {
			break
		}
		if err := r.restartNew(ctx, "muster", n); err != nil {
			return err
		}
		if !r.Quick {
			if err := r.restartNew(ctx, "etcd", n); err != nil {
				return err
			}
		}
	}
	return nil
}

// restartNew measures a server of its own.
func (r *Run) restartNew(ctx context.Context, name string, n int) (err error) {
	if err = r.CloseShared(); err != nil {
		return err
	}
	d, err := r.durable(ctx, name, drive.Config{Conns: UnaryConns})
	if d == nil || err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	register := d.Server.(drive.Registrar).Register()
	if err = load.Each(ctx, 64, n, func(ctx context.Context, worker, i int) error {
		return register(ctx, worker, uint64(i))
	}); err != nil {
		return errors.Join(fmt.Errorf("register %d instances with %s: %w", n, name, err), d.Process().Err())
	}
	key := "restart_" + sizeName(n)
	if name != "muster" {
		key = "restart_" + name + "_" + sizeName(n)
	}
	for range r.Reps {
		c, err := d.crash(ctx, n)
		if err != nil {
			return err
		}
		if err := r.sampleRestart(ctx, key, d.Server, n, c); err != nil {
			return err
		}
	}
	r.reportRestart(key)
	return nil
}

// lookedUp is how many services are looked up after a restart, at most, spread
// over all: what is missing must be seen, but reading 300 MB shows no more.
const lookedUp = 100

// sampleRestart samples one restart, and looks whether everything is there.
func (r *Run) sampleRestart(ctx context.Context, key string, s drive.Server, n int, c comeback) error {
	reader, services := s.(drive.Reader), n/payload.ServiceInstances
	each := max(services/lookedUp, 1)
	err := load.Each(ctx, 8, services/each, func(ctx context.Context, worker, i int) error {
		return reader.Complete(ctx, worker, uint64(i*each*payload.ServiceInstances), payload.ServiceInstances)
	})
	if err != nil {
		return fmt.Errorf("after a restart with %d instances: %w", n, err)
	}
	all := time.Since(s.Process().Started())
	rss, err := s.Process().RSS()
	if err != nil {
		return err
	}
	r.Sample(key+"_s", c.took.Seconds())
	r.Sample(key+"_read_s", all.Seconds())
	r.Sample(key+"_cpu_s", c.cpu.Seconds())
	r.Sample(key+"_rss_mb", float64(rss)/1e6)
	r.Logf("%s: %v (CPU %v) to the first service, %v with %d services read, %d MiB", key, c.took, c.cpu, all, services/each, rss>>20)
	return nil
}

func (r *Run) reportRestart(key string) {
	r.Medians(key+"_s", key+"_read_s", key+"_cpu_s", key+"_rss_mb")
}
