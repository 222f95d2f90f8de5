package section

import (
	"context"
	"errors"

	"github.com/muster-registry/muster/bench/drive"
)

// Noise measures the limit's small unary call, before the sections and after
// them: how much the machine itself changed is how much a figure may be off.
func Noise(ctx context.Context, r *Run) (err error) {
	servers, err := r.Start(ctx, drive.Config{Conns: UnaryConns}, "limit")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	for _, s := range servers.All() {
		registrar, ok := s.Server.(drive.Registrar)
		if !ok {
			continue
		}
		result, err := r.closed(ctx, s, registerWorkers, registrar.Register())
		if err != nil {
			return err
		}
		r.Sample("noise_limit_per_s", result.PerSecond())
		r.Logf("the limit's small unary call: %.0f/s", result.PerSecond())
	}
	samples := r.samples["noise_limit_per_s"]
	if n := len(samples); n > 1 {
		first, last := samples[0], samples[n-1]
		r.Report.Set("noise_limit_first_per_s", first)
		r.Report.Set("noise_limit_last_per_s", last)
		r.Report.Set("noise_percent", 100*(max(first, last)-min(first, last))/min(first, last))
	}
	return nil
}
