package section

import (
	"context"

	"github.com/muster-registry/muster/bench/drive"
)

const (
	// batchSize is how many instances one call registers. The server allows 40
	// unless it is told otherwise.
	batchSize = 100
	// batchWorkers is how many such calls are under way.
	batchWorkers = 16
)

// Batch measures registrations of 100 instances a call, under one lease,
// durable, and in each repetition also the limit's small unary call, of which
// the instances registered are a multiple. etcd does it in one transaction, for
// which its limit of 128 operations is high enough.
func Batch(ctx context.Context, r *Run) error {
	servers, err := r.Shared(ctx)
	if err != nil {
		return err
	}
	r.Report.Note("batch: Muster's server runs with limits.instances-per-lease %d (40 unless configured)", batchSize)
	for range r.Reps {
		for _, s := range servers.All() {
			registrar, ok := s.Server.(drive.BatchRegistrar)
			if !ok {
				continue
			}
			if small, ok := s.Server.(drive.Registrar); ok && s.Name == "limit" {
				result, err := r.closed(ctx, s, registerWorkers, small.Register())
				if err != nil {
					return err
				}
				r.Sample("register_batch_limit_unary_per_s", result.PerSecond())
			}
			result, err := r.closed(ctx, s, batchWorkers, registrar.RegisterBatch(batchSize))
			if err != nil {
				return err
			}
			r.sampleCalls("register_batch_calls_"+s.Name, result)
			if s.Name == "muster" {
				r.Sample("register_batch_per_s", result.PerSecond()*batchSize)
				r.Sample("register_batch_cpu_us", result.CPUPerMillion()/batchSize)
			}
		}
	}
	r.reportCalls("register_batch_calls", "limit", "muster", "etcd")
	r.Medians("register_batch_per_s", "register_batch_cpu_us", "register_batch_limit_unary_per_s")
	r.Ratio("register_batch_vs_limit", "register_batch_per_s", "register_batch_limit_unary_per_s")
	return nil
}
