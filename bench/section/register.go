package section

import (
	"context"

	"github.com/muster-registry/muster/bench/drive"
)

// registerWorkers is how many registrations are under way.
const registerWorkers = 64

// Register measures registrations, each with its own lease, durable, by 64
// workers.
func Register(ctx context.Context, r *Run) error {
	servers, err := r.Shared(ctx)
	if err != nil {
		return err
	}
	for range r.Reps {
		for _, s := range servers.All() {
			registrar, ok := s.Server.(drive.Registrar)
			if !ok {
				continue
			}
			result, err := r.closed(ctx, s, registerWorkers, registrar.Register())
			if err != nil {
				return err
			}
			r.sampleCalls("register_c64_"+s.Name, result)
		}
	}
	r.reportCalls("register_c64", "limit", "muster", "etcd")
	return nil
}
