package section

import (
	"context"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/load"
)

const (
	// keepaliveWindow is how many requests a stream has under way: as many as
	// the protocol allows.
	keepaliveWindow = 64
	// keepaliveBatch is how many leases one request renews in the batched
	// measurement, and batchedWindow how many such requests are under way.
	keepaliveBatch, batchedWindow = 256, 8
)

// KeepAlive measures renewals on a stream for each connection: one lease in
// each message, and 256 of them. The limit has no table of leases.
func KeepAlive(ctx context.Context, r *Run) error {
	servers, err := r.Shared(ctx)
	if err != nil {
		return err
	}
	leases := Pick(r, 5_000, 50_000)
	r.Report.Set("keepalive_leases", float64(leases))
	for _, s := range servers.All() {
		if renewer, ok := s.Server.(drive.Renewer); ok {
			if err := renewer.Hold(ctx, leases); err != nil {
				return s.explain(err)
			}
		}
	}
	for range r.Reps {
		if err := r.keepalives(ctx, servers, "keepalive", 1, keepaliveWindow); err != nil {
			return err
		}
		if err := r.keepalives(ctx, servers, "keepalive_batched", keepaliveBatch, batchedWindow); err != nil {
			return err
		}
	}
	for _, name := range []string{"keepalive_limit", "keepalive_muster", "keepalive_etcd", "keepalive_batched_limit", "keepalive_batched_muster"} {
		r.Medians(name+"_per_s", name+"_cpu_s_per_million")
	}
	r.Ratio("keepalive_vs_limit", "keepalive_muster_per_s", "keepalive_limit_per_s")
	r.Ratio("keepalive_vs_etcd", "keepalive_muster_per_s", "keepalive_etcd_per_s")
	r.Ratio("keepalive_cpu_vs_limit", "keepalive_muster_cpu_s_per_million", "keepalive_limit_cpu_s_per_million")
	r.Ratio("keepalive_cpu_vs_etcd", "keepalive_muster_cpu_s_per_million", "keepalive_etcd_cpu_s_per_million")
	r.Ratio("keepalive_batched_vs_limit", "keepalive_batched_muster_per_s", "keepalive_batched_limit_per_s")
	// etcd renews one lease in a message, whatever one does.
	r.Ratio("keepalive_batched_vs_etcd", "keepalive_batched_muster_per_s", "keepalive_etcd_per_s")
	r.Spread("keepalive_limit_spread_percent", "keepalive_limit_per_s")
	return nil
}

// keepalives measures each server once. Those that cannot renew several leases
// in a message are left out where that is asked for.
func (r *Run) keepalives(ctx context.Context, servers *Servers, prefix string, each, window int) error {
	for _, s := range servers.All() {
		renewer, ok := s.Server.(drive.Renewer)
		if !ok || each > 1 && s.Name == "etcd" {
			continue
		}
		var streams []load.Stream
		for i := range UnaryConns {
			stream, err := renewer.Renew(ctx, i, UnaryConns, each)
			if err != nil {
				return s.explain(err)
			}
			streams = append(streams, stream)
		}
		result, err := load.Pipelined(ctx, load.Plan{
			Workers: window, Warmup: r.Warmup(), Duration: r.Duration(), CPU: s.Process().CPU,
		}, streams)
		if err != nil {
			return s.explain(err)
		}
		result.Ops *= uint64(each)
		name := prefix + "_" + s.Name
		r.Sample(name+"_per_s", result.PerSecond())
		r.Sample(name+"_cpu_s_per_million", result.CPUPerMillion())
		r.Logf("%s: %.0f renewals/s, server CPU %.3f s for a million", name, result.PerSecond(), result.CPUPerMillion())
	}
	return nil
}
