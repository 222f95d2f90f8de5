package section

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/load"
)

const (
	// pacedPerSecond go on while leases lapse: a tenth of what the machine can
	// do, so that what is measured is not how a saturated machine divides itself.
	pacedPerSecond = 2000
	pacedWorkers   = 8
	// calm is how long lookups are measured before, at least.
	calm = 1500 * time.Millisecond
	// spread is how far the ends of TTLs may lie apart: a server counts from when
	// it handled the registration, the client from when it was answered.
	spread = 20 * time.Millisecond
	// shortest is the shortest TTL that servers grant.
	shortest = time.Second
)

// expireAtOnce lets very many leases lapse at the same moment.
func (r *Run) expireAtOnce(ctx context.Context) error {
	n, reps, key := Pick(r, 10_000, 100_000), Pick(r, 1, min(r.Reps, 2)), "expiry_"+sizeName(Pick(r, 10_000, 100_000))
	// How much more time is foreseen for registering than a sample took; more if
	// it was not enough.
	slack := 1.5
	for done := 0; done < reps; {
		err := r.atOnce(ctx, key, n, slack)
		switch {
		case err == nil:
			done++
		case errors.Is(err, errLate) && slack < 10:
			r.Logf("%s: %v; again with more time", key, err)
			slack *= 2
		default:
			return err
		}
	}
	r.Medians(key+"_p50_ms", key+"_p99_ms", key+"_last_ms", "expiry_lookup_before_p99_us", "expiry_lookup_meanwhile_p99_us", "expiry_lookup_p99_ratio")
	r.Report.Note("%s: the TTLs of %d leases are chosen so that all end at one moment; %d lookups a second of 10 instances go on before and meanwhile", key, n, pacedPerSecond)
	return nil
}

// errLate tells that registering took longer than foreseen, so that the leases
// would not lapse at the same moment.
var errLate = errors.New("registering took longer than foreseen")

func (r *Run) atOnce(ctx context.Context, key string, n int, slack float64) (err error) {
	d, err := r.lapsing(ctx, "muster")
	if d == nil || err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Process().Err(), d.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lookup, err := lookupOf(ctx, d.Server, 10)
	if err != nil {
		return err
	}
	e := newExpiry(n)
	if err = e.watch(ctx, d.Server); err != nil {
		return err
	}
	end, err := schedule(ctx, d.Server, n, slack)
	if err != nil {
		return err
	}
	if err = e.register(ctx, d.Server, func() time.Duration { return max(time.Until(end), shortest) }); err != nil {
		return err
	}
	if time.Until(end) < calm {
		return errLate
	}
	var before, meanwhile load.Histogram
	lapsing, stop := closedAt(e.end().Add(-spread))
	defer stop()
	if err = paced(ctx, lookup, &before, lapsing); err != nil {
		return err
	}
	patient, cancelPatient := context.WithDeadline(ctx, e.end().Add(expiryPatience))
	defer cancelPatient()
	if err = paced(patient, lookup, &meanwhile, e.done); err != nil {
		if time.Now().After(e.end().Add(expiryPatience - time.Second)) {
			return e.overdue(ctx, d.Server)
		}
		return err
	}
	r.sampleExpiry(key, e)
	r.sampleLookups(&before, &meanwhile)
	return nil
}

// schedule finds the moment at which all leases are to lapse: when they will
// have been registered, as fast as some others are now, and lookups measured.
func schedule(ctx context.Context, s drive.Server, n int, slack float64) (time.Time, error) {
	some := n / 20
	register, start := s.(drive.Registrar).Register(), time.Now()
	err := load.Each(ctx, 64, some, func(ctx context.Context, worker, i int) error {
		return register(ctx, worker, uint64(i))
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("register %d instances: %w", some, err)
	}
	all := slack * time.Since(start).Seconds() * float64(n) / float64(some)
	return time.Now().Add(time.Duration(all*float64(time.Second)) + calm + shortest), nil
}

// lookupOf prepares a lookup of a service with n instances.
func lookupOf(ctx context.Context, s drive.Server, n int) (drive.Op, error) {
	looker := s.(drive.Looker)
	if err := looker.Fill(ctx, n); err != nil {
		return nil, fmt.Errorf("fill a service with %d instances: %w", n, err)
	}
	l, err := looker.Lookup(ctx, drive.LookupSpec{Instances: n})
	if err != nil {
		return nil, err
	}
	return l.Do, nil
}

// closedAt is a channel that is closed at a moment. stop releases its timer.
func closedAt(t time.Time) (closed <-chan struct{}, stop func()) {
	c := make(chan struct{})
	timer := time.AfterFunc(time.Until(t), func() { close(c) })
	return c, func() { timer.Stop() }
}

// paced does an operation so many times a second until a channel is closed,
// and adds how long each took to the histogram. One that begins late because
// those before it took long counts from when it should have begun.
func paced(ctx context.Context, op drive.Op, h *load.Histogram, until <-chan struct{}) error {
	const interval = pacedWorkers * time.Second / pacedPerSecond
	histograms := make([]load.Histogram, pacedWorkers)
	start := time.Now()
	err := load.Each(ctx, pacedWorkers, pacedWorkers, func(ctx context.Context, _, i int) error {
		due := start.Add(interval * time.Duration(i) / pacedWorkers)
		for key := uint64(i); ; key++ {
			began := due
			if wait := time.Until(due); wait > 0 {
				select {
				case <-until:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(wait):
				}
				began = time.Now()
			}
			if err := op(ctx, i, key); err != nil {
				return err
			}
			histograms[i].Add(time.Since(began))
			due = due.Add(interval)
		}
	})
	for i := range histograms {
		h.Merge(&histograms[i])
	}
	return err
}

func (r *Run) sampleLookups(before, meanwhile *load.Histogram) {
	was, is := before.Quantile(0.99), meanwhile.Quantile(0.99)
	r.Logf("lookups: p99 %v of %d before, %v of %d while leases lapse", was, before.Count(), is, meanwhile.Count())
	r.Sample("expiry_lookup_before_p99_us", float64(was.Nanoseconds())/1e3)
	r.Sample("expiry_lookup_meanwhile_p99_us", float64(is.Nanoseconds())/1e3)
	if was > 0 {
		r.Sample("expiry_lookup_p99_ratio", float64(is)/float64(was))
	}
}
