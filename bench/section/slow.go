package section

import (
	"context"
	"errors"
	"time"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/limit"
)

const (
	slowWatchers, slowStopped = 1000, 100
	slowPerSecond             = 50
	// fillPerSecond fills what the transport buffers for those that stopped.
	fillPerSecond = 400
)

// Slow measures what watchers that stop reading do to the others, and to the
// server's memory.
func Slow(ctx context.Context, r *Run) error {
	for range r.fanReps() {
		if err := r.slowOne(ctx); err != nil {
			return err
		}
	}
	r.Medians("slow_p99_before_ms", "slow_p99_after_ms", "slow_rss_mb", "slow_rss_before_mb")
	r.Ratio("slow_p99_ratio", "slow_p99_after_ms", "slow_p99_before_ms")
	r.Report.Note("slow: p99 of the %d that go on, at %d changes/s, before and after the other %d stopped reading",
		slowWatchers-slowStopped, slowPerSecond, slowStopped)
	return nil
}

func (r *Run) slowOne(ctx context.Context) (err error) {
	s, err := r.stage(ctx, "muster", fanConns, limit.FanSizes{})
	if s == nil || err != nil {
		return err
	}
	defer func() { err = s.explain(errors.Join(err, s.Close())) }()
	if err := s.driver.Fill(ctx, 1, fanInstances); err != nil {
		return err
	}
	if err := s.open(ctx, slowWatchers, 1); err != nil {
		return err
	}
	for range Pick(r, 1, 2) {
		if err := r.slowRound(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// slowRound measures before, lets some stop, fills what the transport buffers
// for them, measures again, and lets them catch up.
func (r *Run) slowRound(ctx context.Context, s *stage) error {
	before, err := r.othersP99(ctx, s)
	if err != nil {
		return err
	}
	rssBefore, err := s.Process().RSS()
	if err != nil {
		return err
	}
	s.stop(slowStopped)
	w := s.pace(ctx, 4, fillPerSecond, 1, fanInstances)
	err = pause(ctx, 1500*time.Millisecond)
	if err = errors.Join(err, w.stop()); err != nil {
		return err
	}
	after, err := r.othersP99(ctx, s)
	if err != nil {
		return err
	}
	rss, err := s.Process().RSS()
	if err != nil {
		return err
	}
	r.Sample("slow_p99_before_ms", ms(before))
	r.Sample("slow_p99_after_ms", ms(after))
	r.Sample("slow_rss_before_mb", float64(rssBefore)/1e6)
	r.Sample("slow_rss_mb", float64(rss)/1e6)
	r.Logf("p99 %v before and %v after, memory %d and %d MB", before, after, rssBefore/1e6, rss/1e6)
	// Those that stopped must come to the same in the end.
	s.resume()
	return s.converge(ctx, 1)
}

// othersP99 is the p99 of the watchers that never stop.
func (r *Run) othersP99(ctx context.Context, s *stage) (time.Duration, error) {
	m := &meter{latency: &fan.Histogram{}, timed: func(i int) bool { return i < slowWatchers-slowStopped }}
	s.meter.Store(m)
	w := s.pace(ctx, 1, slowPerSecond, 1, fanInstances)
	_, err := m.count(ctx, s.Process(), Pick(r, 150*time.Millisecond, 400*time.Millisecond), Pick(r, 700*time.Millisecond, 2500*time.Millisecond))
	return m.latency.Quantile(990), errors.Join(err, w.stop())
}
