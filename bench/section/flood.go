package section

import (
	"context"
	"errors"
	"time"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/limit"
)

const (
	// coalesceWindow is how many changes may be under way in a flood, counted by
	// coalesceGroup at a time; coalesceWriters write them, to distinct instances
	// of a service of coalesceInstances.
	coalesceWindow, coalesceGroup      = 256, 16
	coalesceWriters, coalesceInstances = 128, 512
	floodWatchers                      = 1000
	// timedPart: of one in so many watchers all changes are timed.
	timedPart = 16
)

// Flood measures changes that come faster than frames can be sent: Muster puts
// many into one.
func Flood(ctx context.Context, r *Run) error {
	sizes, err := r.fanSizes(ctx)
	if err != nil {
		return err
	}
	names := []string{"limit", "muster", "etcd"}
	for rep := range r.fanReps() {
		for _, name := range names {
			if name == "etcd" && (rep > 0 || r.Quick) {
				continue // it takes long, and no target here is beside it
			}
			if err := r.floodOne(ctx, name, sizes); err != nil {
				return err
			}
		}
	}
	for _, name := range names {
		for _, kind := range []string{"_changes_per_s", "_frames_per_s", "_cpu_us", "_p50_ms", "_p99_ms"} {
			r.Medians("flood_" + name + kind)
		}
	}
	r.Medians("flood_lag_ms", "flood_lag_p99_ms", "flood_changes_per_frame")
	r.Ratio("fanout_w1000_coalesced_vs_limit", "flood_muster_changes_per_s", "flood_limit_changes_per_s")
	r.Ratio("fanout_w1000_coalesced_vs_etcd", "flood_muster_changes_per_s", "flood_etcd_changes_per_s")
	r.Report.Note("flood: %d writers, at most %d changes that some of %d watchers has not seen; cpu_us is per delivered change; "+
		"flood_lag_ms is the largest of all frames", coalesceWriters, coalesceWindow, floodWatchers)
	return nil
}

func (r *Run) floodOne(ctx context.Context, name string, sizes limit.FanSizes) (err error) {
	s, err := r.stage(ctx, name, fanConns, sizes)
	if s == nil || err != nil {
		return err
	}
	defer func() { err = s.explain(errors.Join(err, s.Close())) }()
	if err = s.driver.Fill(ctx, 1, coalesceInstances); err != nil {
		return err
	}
	if err = s.open(ctx, floodWatchers, 1); err != nil {
		return err
	}
	m := &meter{
		window:  fan.NewWindow(coalesceWindow, coalesceGroup, floodWatchers),
		latency: &fan.Histogram{}, timed: everyNth(timedPart), age: newFrameAge(),
	}
	c, err := r.measureFlood(ctx, s, coalesceWriters, coalesceInstances, m)
	if err != nil {
		return err
	}
	prefix := "flood_" + name
	r.Sample(prefix+"_changes_per_s", c.changesPerSecond())
	r.Sample(prefix+"_frames_per_s", c.framesPerSecond())
	r.Sample(prefix+"_cpu_us", float64(c.cpu.Microseconds())/float64(max(c.changes, 1)))
	r.Sample(prefix+"_p50_ms", ms(m.latency.Quantile(500)))
	r.Sample(prefix+"_p99_ms", ms(m.latency.Quantile(990)))
	r.Logf("%s: %.0f changes/s in %.0f frames/s, p50 %v, p99 %v to receipt", prefix, c.changesPerSecond(), c.framesPerSecond(),
		m.latency.Quantile(500), m.latency.Quantile(990))
	if name == "muster" {
		r.Sample("flood_changes_per_frame", float64(c.changes)/float64(max(c.frames, 1)))
		r.Sample("flood_lag_ms", ms(m.age.Max()))
		r.Sample("flood_lag_p99_ms", ms(m.age.Quantile(990)))
		r.Logf("age of the oldest change in a frame: p99 %v, largest %v", m.age.Quantile(990), m.age.Max().Round(time.Microsecond))
	}
	return s.driver.Err()
}
