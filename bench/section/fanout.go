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
	// fanConns is how many connections watchers share.
	fanConns = 50
	// fanInstances is how many instances the watched service has.
	fanInstances = 64
	// floodWriters and floodWindow are those of the windowed variant.
	floodWriters, floodWindow = 4, 32
)

// Fanout measures how changes of one service reach 1,000 and 5,000 watchers.
func Fanout(ctx context.Context, r *Run) error {
	sizes, err := r.fanSizes(ctx)
	if err != nil {
		return err
	}
	names := []string{"limit", "direct", "muster", "etcd"}
	for _, watchers := range []int{1000, 5000} {
		prefix := fmt.Sprintf("fanout_w%d_", watchers)
		for rep := range r.fanReps() {
			for _, name := range names {
				if name == "etcd" && (rep > 0 || r.Quick && watchers > 1000) {
					continue // it takes long, and no target here is beside it
				}
				if err := r.fanoutOne(ctx, prefix+name, name, watchers, sizes); err != nil {
					return err
				}
			}
		}
		r.reportFanout(prefix, names)
	}
	r.Report.Note("fanout: \"per_s\" is one change at a time, each of which all watchers have seen before the next is written; " +
		"\"windowed\" is 4 writers with at most 32 changes that somebody has not seen, where servers may put several into a frame")
	return nil
}

// fanoutOne measures one server.
func (r *Run) fanoutOne(ctx context.Context, prefix, name string, watchers int, sizes limit.FanSizes) (err error) {
	s, err := r.stage(ctx, name, fanConns, sizes)
	if s == nil || err != nil {
		return err
	}
	defer func() { err = s.explain(errors.Join(err, s.Close())) }()
	if err := s.driver.Fill(ctx, 1, fanInstances); err != nil {
		return err
	}
	if err := s.open(ctx, watchers, 1); err != nil {
		return err
	}
	parts := []func(context.Context, *stage, string) error{r.oneAtATime, r.windowed, r.atARate}
	if r.Quick && watchers > 1000 {
		parts = parts[:1]
	}
	for _, part := range parts {
		if err := part(ctx, s, prefix); err != nil {
			return err
		}
		if err := s.driver.Err(); err != nil {
			return err
		}
	}
	return nil
}

// measureFlood runs a flood, and fails if watchers missed changes.
func (r *Run) measureFlood(ctx context.Context, s *stage, writers, instances int, m *meter) (c counted, err error) {
	if m.base, err = s.settled(ctx); err != nil {
		return c, err
	}
	s.meter.Store(m)
	w := s.flood(ctx, writers, instances, m.window)
	c, err = m.count(ctx, s.Process(), Pick(r, 150*time.Millisecond, 400*time.Millisecond), Pick(r, 400*time.Millisecond, 1500*time.Millisecond))
	if err = errors.Join(err, w.stop()); err != nil {
		return c, err
	}
	_, err = s.settled(ctx)
	return c, err
}

// oneAtATime writes a change, waits until all watchers have it, and so on.
func (r *Run) oneAtATime(ctx context.Context, s *stage, prefix string) error {
	c, err := r.measureFlood(ctx, s, 1, fanInstances, &meter{window: fan.NewWindow(1, 1, len(s.watchers))})
	if err != nil {
		return err
	}
	r.Sample(prefix+"_per_s", c.framesPerSecond())
	r.Sample(prefix+"_cpu_us", c.cpuPerFrame())
	r.Logf("%s: %.0f deliveries/s, server CPU %.2f us each", prefix, c.framesPerSecond(), c.cpuPerFrame())
	return nil
}

// windowed lets writers run ahead a little.
func (r *Run) windowed(ctx context.Context, s *stage, prefix string) error {
	m := &meter{window: fan.NewWindow(floodWindow, 1, len(s.watchers))}
	c, err := r.measureFlood(ctx, s, floodWriters, fanInstances, m)
	if err != nil {
		return err
	}
	r.Sample(prefix+"_windowed_frames_per_s", c.framesPerSecond())
	r.Sample(prefix+"_windowed_changes_per_s", c.changesPerSecond())
	r.Sample(prefix+"_windowed_cpu_us", c.cpuPerFrame())
	r.Logf("%s windowed: %.0f frames/s with %.0f changes/s, server CPU %.2f us a frame",
		prefix, c.framesPerSecond(), c.changesPerSecond(), c.cpuPerFrame())
	return nil
}

// atARate has one writer write at a rate that leaves the machine time, and
// measures from the begin of the write to each watcher's callback.
func (r *Run) atARate(ctx context.Context, s *stage, prefix string) error {
	if _, err := s.settled(ctx); err != nil {
		return err
	}
	m := &meter{latency: &fan.Histogram{}, timed: everyNth(1)}
	s.meter.Store(m)
	perSecond := min(100, 20_000/len(s.watchers))
	w := s.pace(ctx, 1, perSecond, 1, fanInstances)
	_, err := m.count(ctx, s.Process(), Pick(r, 150*time.Millisecond, 400*time.Millisecond), Pick(r, 700*time.Millisecond, 3*time.Second))
	if err = errors.Join(err, w.stop()); err != nil {
		return err
	}
	if _, err := s.settled(ctx); err != nil {
		return err
	}
	p50, p99 := m.latency.Quantile(500), m.latency.Quantile(990)
	r.Sample(prefix+"_rate_p50_ms", ms(p50))
	r.Sample(prefix+"_rate_p99_ms", ms(p99))
	r.Logf("%s at %d changes/s: p50 %v, p99 %v", prefix, perSecond, p50, p99)
	return nil
}

// fanReps is how often these sections repeat a measurement: most of their time
// goes into opening streams.
func (r *Run) fanReps() int { return Pick(r, 1, r.Reps) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func (r *Run) reportFanout(prefix string, names []string) {
	kinds := []string{
		"_per_s", "_cpu_us", "_windowed_frames_per_s", "_windowed_changes_per_s", "_windowed_cpu_us",
		"_rate_p50_ms", "_rate_p99_ms",
	}
	for _, name := range names {
		for _, kind := range kinds {
			r.Medians(prefix + name + kind)
		}
		if name == "muster" {
			continue
		}
		versus := func(kind, of string) { r.Ratio(prefix+kind+"vs_"+name, prefix+"muster"+of, prefix+name+of) }
		versus("", "_per_s")
		versus("cpu_", "_cpu_us")
		versus("windowed_", "_windowed_changes_per_s")
		versus("p99_", "_rate_p99_ms")
	}
	r.Spread(prefix+"limit_spread_percent", prefix+"limit_per_s")
	if prefix == "fanout_w1000_" {
		r.Ratio("fanout_cpu_vs_direct", prefix+"muster_cpu_us", prefix+"direct_cpu_us")
		r.Ratio("fanout_p99_vs_limit", prefix+"muster_rate_p99_ms", prefix+"limit_rate_p99_ms")
	}
}
