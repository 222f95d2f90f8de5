package section

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Held measures the memory of instances that are held, each with its own
// lease, and what the server does when nobody asks anything: no lease lapses
// and none is renewed, so that it is the sweeper that works, if anyone.
func Held(ctx context.Context, r *Run) error {
	n := r.top()
	l, err := r.climb(ctx, n)
	if err != nil {
		return err
	}
	record := l.record
	rss, err := r.settled(ctx, l)
	if err != nil {
		return err
	}
	r.Report.Set("lease_bytes", float64(rss-l.empty)/float64(n)-record)
	r.Report.Set("held_instances", float64(n))
	r.Report.Set("held_record_bytes", record)
	r.Report.Set("held_rss_mb", float64(rss)/1e6)
	r.Report.Set("held_empty_rss_mb", float64(l.empty)/1e6)
	r.Logf("%d instances: %d MiB resident, %d MiB of an empty server, records of %.0f B: %.0f B each beyond",
		n, rss>>20, l.empty>>20, record, float64(rss-l.empty)/float64(n)-record)
	idle, err := idleCPU(ctx, l, Pick(r, 3, 5), Pick(r, 300*time.Millisecond, 2*time.Second))
	if err != nil {
		return err
	}
	r.Report.Set("sweeper_cpu_percent", idle)
	r.Report.Note("sweeper_cpu_percent is the CPU of the whole idle server with %d leases, the median of %d spells: an upper bound of the sweeper's", n, Pick(r, 3, 5))
	r.Logf("idle: %.2f %% of one core", idle)
	return nil
}

// settled waits until the server's memory has not shrunk for a while, since the
// collector returns what it freed only slowly, and returns what it is then.
func (r *Run) settled(ctx context.Context, l *ladder) (int64, error) {
	step, most := Pick(r, 300*time.Millisecond, 3*time.Second), Pick(r, 4, 15)
	least, err := l.Process().RSS()
	for quiet := 0; err == nil && most > 0 && quiet < 2; most-- {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(step):
		}
		var now int64
		now, err = l.Process().RSS()
		quiet++
		if now < least-least/200 {
			quiet = 0
		}
		least = min(least, now)
	}
	return least, err
}

// idleCPU is the CPU that a server uses while nobody asks anything, in percent
// of one core: the median of several spells, so that one collection of garbage
// does not count as the work of all the time.
func idleCPU(ctx context.Context, l *ladder, spells int, spell time.Duration) (float64, error) {
	var percents []float64
	for range spells {
		before, err := l.Process().CPU()
		if err != nil {
			return 0, err
		}
		start := time.Now()
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(spell):
		}
		after, err := l.Process().CPU()
		if err != nil {
			return 0, err
		}
		percents = append(percents, 100*float64(after-before)/float64(time.Since(start)))
	}
	slices.Sort(percents)
	if len(percents) == 0 {
		return 0, fmt.Errorf("%d spells measure nothing", spells)
	}
	return percents[len(percents)/2], nil
}
