package section

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/load"
)

// scaled are the operations of the scaling section: their names in keys.
// "register" is a registration and the deregistration that undoes it, so that
// the size stays what it is.
// "lookup" is of any of the services, which have 1,000 instances each; "lookup10"
// and "unchanged" of one service of 10.
var scaled = []string{"register", "update", "keepalive", "lookup", "lookup10", "unchanged", "fanout"}

// Scaling measures what operations cost, by how many instances the server
// holds.
func Scaling(ctx context.Context, r *Run) error {
	s := &scaling{Run: r}
	for _, n := range r.sizes() {
		l, err := r.climb(ctx, n)
		if err != nil {
			return err
		}
		s.ladder = l
		for _, op := range scaled {
			result, failed := s.measure(ctx, op)
			if failed != nil {
				return fmt.Errorf("%s with %d instances: %w", op, n, Named{Server: l.Server, Name: "muster"}.explain(failed))
			}
			s.report(op, result)
		}
		rss, err := l.Process().RSS()
		if err != nil {
			return err
		}
		r.Report.Set("scaling_rss_"+sizeName(n)+"_mb", float64(rss)/1e6)
	}
	for _, op := range scaled {
		r.growth(op, "cpu_us", "scaling_"+op)
		r.growth(op, "p50_us", "scaling_"+op+"_p50")
	}
	return nil
}

// growth reports how much more a figure is at the largest size than at the
// smallest.
func (r *Run) growth(op, figure, key string) {
	small, ok := r.Report.Get(scalingKey(op, r.sizes()[0], figure))
	large, also := r.Report.Get(scalingKey(op, r.top(), figure))
	if ok && also && small > 0 {
		r.Report.Set(key, large/small)
	}
}

func scalingKey(op string, n int, figure string) string {
	return fmt.Sprintf("scaling_%s_%s_%s", op, sizeName(n), figure)
}

type scaling struct {
	*Run
	ladder *ladder
	// joined counts the keys of instances that came and went.
	joined atomic.Uint64
	// filled tells that there is a service of 10.
	filled bool
}

// joinedKeys is where those keys begin.
const joinedKeys = 4_000_000_000

func (s *scaling) report(op string, result *load.Result) {
	cpu, p50 := result.CPUPerMillion(), float64(result.Latency.Quantile(0.5).Nanoseconds())/1e3
	s.Report.Set(scalingKey(op, s.ladder.held, "cpu_us"), cpu)
	text := ""
	if result.Latency.Count() > 0 {
		s.Report.Set(scalingKey(op, s.ladder.held, "p50_us"), p50)
		text = fmt.Sprintf(", p50 %.0f us", p50)
	}
	s.Logf("%s at %s: server CPU %.2f us each, %.0f/s%s", op, sizeName(s.ladder.held), cpu, result.PerSecond(), text)
}

func (s *scaling) measure(ctx context.Context, op string) (*load.Result, error) {
	switch op {
	case "keepalive":
		return s.keepalive(ctx)
	case "fanout":
		return s.fanout(ctx)
	case "lookup10", "unchanged":
		return s.lookupSmall(ctx, op == "unchanged")
	}
	do := map[string]func(context.Context, int) error{"register": s.register, "update": s.update, "lookup": s.lookup}[op]
	return load.Closed(ctx, s.plan(16), do)
}

func (s *scaling) plan(workers int) load.Plan {
	return load.Plan{
		Workers: workers, Warmup: Pick(s.Run, 60*time.Millisecond, 500*time.Millisecond),
		Duration: Pick(s.Run, 200*time.Millisecond, 2*time.Second), CPU: s.ladder.Process().CPU,
	}
}

// anyKey is one of the instances that the server holds.
func (s *scaling) anyKey() uint64 { return rand.Uint64N(uint64(s.ladder.held)) }

func (s *scaling) register(ctx context.Context, worker int) error {
	churner := s.ladder.Server.(drive.Churner)
	lease, err := churner.Join(ctx, worker, s.anyKey(), joinedKeys+s.joined.Add(1))
	if err != nil {
		return err
	}
	return churner.Leave(ctx, worker, lease)
}

func (s *scaling) update(ctx context.Context, worker int) error {
	return s.ladder.Server.(drive.Churner).Update(ctx, worker, s.anyKey(), rand.Uint32N(1000)+1)
}

func (s *scaling) lookup(ctx context.Context, worker int) error {
	return s.ladder.Server.(drive.Churner).Fetch(ctx, worker, s.anyKey())
}

// lookupSmall looks up one service of 10 instances.
func (s *scaling) lookupSmall(ctx context.Context, unchanged bool) (*load.Result, error) {
	const instances = 10
	looker := s.ladder.Server.(drive.Looker)
	if !s.filled {
		if err := looker.Fill(ctx, instances); err != nil {
			return nil, fmt.Errorf("fill a service with %d instances: %w", instances, err)
		}
		s.filled = true
	}
	l, err := looker.Lookup(ctx, drive.LookupSpec{Instances: instances, Unchanged: unchanged})
	if err != nil {
		return nil, err
	}
	var key atomic.Uint64
	return load.Closed(ctx, s.plan(16), func(ctx context.Context, worker int) error { return l.Do(ctx, worker, key.Add(1)) })
}

// keepalive renews all leases in turn, one with each message.
func (s *scaling) keepalive(ctx context.Context) (*load.Result, error) {
	var streams []load.Stream
	for i := range UnaryConns {
		stream, err := s.ladder.Server.(drive.Renewer).Renew(ctx, i, UnaryConns, 1)
		if err != nil {
			return nil, err
		}
		streams = append(streams, stream)
	}
	return load.Pipelined(ctx, s.plan(64), streams)
}

// scalingWatchers watch one service, so that a change is so many deliveries.
const scalingWatchers = 100

// fanout changes one instance, waits until every watcher was told, and begins
// again. Its operations are deliveries; their latency is that of the last.
func (s *scaling) fanout(ctx context.Context) (*load.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	churner := s.ladder.Server.(drive.Churner)
	var told atomic.Int64
	all := make(chan struct{}, 1)
	for i := range scalingWatchers {
		if err := churner.Follow(ctx, i, 0, func() {
			if told.Add(1)%scalingWatchers == 0 {
				select {
				case all <- struct{}{}:
				default:
				}
			}
		}); err != nil {
			return nil, err
		}
	}
	weight := uint32(0)
	result, err := load.Closed(ctx, s.plan(1), func(ctx context.Context, _ int) error {
		weight = weight%1000 + 1
		if err := churner.Update(ctx, 0, 0, weight); err != nil {
			return err
		}
		select {
		case <-all:
			return nil
		case <-time.After(10 * time.Second):
			return fmt.Errorf("%d deliveries to %d watchers: one is missing", told.Load(), scalingWatchers)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return nil, err
	}
	result.Ops *= scalingWatchers
	return result, nil
}
