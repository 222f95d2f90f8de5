package section

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/load"
)

// closed runs a closed loop on a server, with keys that were never used.
func (r *Run) closed(ctx context.Context, s Named, workers int, op drive.Op) (*load.Result, error) {
	var next atomic.Uint64
	next.Store(r.NextKeys())
	result, err := load.Closed(ctx, load.Plan{
		Workers: workers, Warmup: r.Warmup(), Duration: r.Duration(), CPU: s.Process().CPU,
	}, func(ctx context.Context, worker int) error { return op(ctx, worker, next.Add(1)) })
	return result, s.explain(err)
}

// sampleCalls samples what calls came to under keys that begin alike.
func (r *Run) sampleCalls(prefix string, result *load.Result) {
	r.Sample(prefix+"_per_s", result.PerSecond())
	r.Sample(prefix+"_p50_us", float64(result.Latency.Quantile(0.50).Nanoseconds())/1e3)
	r.Sample(prefix+"_p99_us", float64(result.Latency.Quantile(0.99).Nanoseconds())/1e3)
	r.Sample(prefix+"_cpu_us", result.CPUPerMillion())
	r.Logf("%s: %.0f/s, p50 %v, p99 %v, server CPU %.1f us each", prefix, result.PerSecond(),
		result.Latency.Quantile(0.5), result.Latency.Quantile(0.99), result.CPUPerMillion())
}

// reportCalls reports what was sampled by sampleCalls, the ratios of Muster to
// the others, and the noise of the limit.
func (r *Run) reportCalls(prefix string, names ...string) {
	for _, name := range names {
		p := prefix + "_" + name
		r.Medians(p+"_per_s", p+"_p50_us", p+"_p99_us", p+"_cpu_us")
	}
	r.Ratio(prefix+"_vs_limit", prefix+"_muster_per_s", prefix+"_limit_per_s")
	r.Ratio(prefix+"_vs_etcd", prefix+"_muster_per_s", prefix+"_etcd_per_s")
	r.Ratio(prefix+"_cpu_vs_limit", prefix+"_muster_cpu_us", prefix+"_limit_cpu_us")
	r.Spread(prefix+"_limit_spread_percent", prefix+"_limit_per_s")
}

// explain adds why a server ended to an error that may come of it.
func (n Named) explain(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(err, n.Process().Err())
}
