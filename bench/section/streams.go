package section

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/limit"
)

const (
	// streamInstances is how many instances each service of Streams has.
	streamInstances = 10
	// paceWriters write at a rate together; so many that those who wait for an
	// answer do not keep the rate down.
	paceWriters = 1024
)

// Streams measures one server with 50,000 watch streams: what an idle one takes,
// and how late changes are at rates that come to 100,000 and 500,000 deliveries
// a second if every change is sent by itself.
func Streams(ctx context.Context, r *Run) error {
	sizes, err := r.fanSizes(ctx)
	if err != nil {
		return err
	}
	watchers, services, conns := Pick(r, 5_000, 50_000), Pick(r, 100, 1_000), Pick(r, 50, 500)
	reps := min(r.fanReps(), 2) // they take long, and differ little
	for range reps {
		for _, name := range []string{"limit", "muster"} {
			if err := r.streamsOne(ctx, name, watchers, services, conns, sizes); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"limit", "muster"} {
		r.Medians("streams_" + name + "_watcher_kb")
	}
	for _, prefix := range []string{
		streamsPrefix("limit", streamRates[0]), streamsPrefix("muster", streamRates[0]), streamsPrefix("muster", streamRates[1]),
	} {
		r.Medians(prefix+"p50_ms", prefix+"p99_ms", prefix+"changes_per_s", prefix+"frames_per_s", prefix+"cpu_percent", prefix+"client_cpu_percent")
	}
	for i, of := range r.samples["streams_muster_watcher_kb"] {
		if limits := r.samples["streams_limit_watcher_kb"]; i < len(limits) {
			r.Sample("watcher_kb", of-limits[i])
		}
	}
	r.Medians("watcher_kb")
	r.Report.Note("streams: %d streams over %d services on %d connections; memory is what the server's resident memory grew by, "+
		"and watcher_kb how much more that is than the bare server's", watchers, services, conns)
	return nil
}

// streamRates are the changes in a second, over all services.
var streamRates = []int{2_000, 10_000}

func (r *Run) streamsOne(ctx context.Context, name string, watchers, services, conns int, sizes limit.FanSizes) (err error) {
	s, err := r.stage(ctx, name, conns, sizes)
	if s == nil || err != nil {
		return err
	}
	defer func() { err = s.explain(errors.Join(err, s.Close())) }()
	if err = s.driver.Fill(ctx, services, streamInstances); err != nil {
		return err
	}
	// One stream on each connection first: connections are not what is measured.
	if err = s.open(ctx, conns, services); err != nil {
		return err
	}
	before, err := r.settledMemory(ctx, s)
	if err != nil {
		return err
	}
	start := time.Now()
	if err = s.open(ctx, watchers-conns, services); err != nil {
		return err
	}
	opened := time.Since(start)
	after, err := r.settledMemory(ctx, s)
	if err != nil {
		return err
	}
	each := float64(after-before) / float64(watchers-conns) / 1024
	r.Sample("streams_"+name+"_watcher_kb", each)
	r.Logf("%s: %d streams opened in %v, %.1f KiB each", name, watchers, opened.Round(time.Millisecond), each)
	rates := streamRates
	if name == "limit" {
		rates = rates[:1] // it cannot do the other, as it sends each change by itself
	}
	for _, rate := range rates {
		if err := r.streamsAt(ctx, s, rate, services); err != nil {
			return err
		}
	}
	return nil
}

// streamsPrefix begins the keys of one rate. Muster's are the section's own.
func streamsPrefix(name string, rate int) string {
	if name == "muster" {
		return fmt.Sprintf("streams_%d_", rate)
	}
	return fmt.Sprintf("streams_%d_%s_", rate, name)
}

// streamsAt measures one rate, and fails if a watcher misses the last change.
func (r *Run) streamsAt(ctx context.Context, s *stage, rate, services int) error {
	m := &meter{latency: &fan.Histogram{}, timed: everyNth(rate / streamRates[0])}
	s.meter.Store(m)
	w := s.pace(ctx, paceWriters, rate, services, streamInstances)
	written := s.written.Load()
	start := time.Now()
	c, err := m.count(ctx, s.Process(), Pick(r, 300*time.Millisecond, 1500*time.Millisecond), Pick(r, 800*time.Millisecond, 5*time.Second))
	written = s.written.Load() - written
	elapsed := time.Since(start)
	if err = errors.Join(err, w.stop()); err != nil {
		return err
	}
	prefix := streamsPrefix(s.Name, rate)
	p50, p99 := m.latency.Quantile(500), m.latency.Quantile(990)
	r.Sample(prefix+"p50_ms", ms(p50))
	r.Sample(prefix+"p99_ms", ms(p99))
	r.Sample(prefix+"changes_per_s", float64(written)/elapsed.Seconds())
	r.Sample(prefix+"frames_per_s", c.framesPerSecond())
	r.Sample(prefix+"cpu_percent", 100*c.cpu.Seconds()/c.elapsed.Seconds())
	r.Sample(prefix+"client_cpu_percent", 100*c.clients.Seconds()/c.elapsed.Seconds())
	r.Logf("%s: %d changes/s asked for, %.0f written: %.0f frames/s, p50 %v, p99 %v to receipt, server CPU %.0f %% of a core, clients %.0f %%",
		s.Name, rate, float64(written)/elapsed.Seconds(), c.framesPerSecond(), p50, p99,
		100*c.cpu.Seconds()/c.elapsed.Seconds(), 100*c.clients.Seconds()/c.elapsed.Seconds())
	if float64(written) < 0.95*float64(rate)*elapsed.Seconds() {
		r.Report.Note("streams: %s: of %d changes/s only %.0f were written, since writers share the machine's cores", s.Name, rate, float64(written)/elapsed.Seconds())
	}
	return s.converge(ctx, services)
}
