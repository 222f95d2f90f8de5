package section

import (
	"context"
	"fmt"

	"github.com/muster-registry/muster/bench/drive"
)

// lookupWorkers is how many lookups are under way.
const lookupWorkers = 64

// Lookup measures lookups of services of different sizes, and lookups of what
// the client knows already. The limit answers as many bytes as Muster does; the
// unchanged answer is compared with the smallest call that gRPC has.
func Lookup(ctx context.Context, r *Run) error {
	servers, err := r.Shared(ctx)
	if err != nil {
		return err
	}
	for _, n := range []int{10, 1_000} {
		if err := r.lookups(ctx, servers, drive.LookupSpec{Instances: n}, fmt.Sprintf("lookup_n%d", n)); err != nil {
			return err
		}
	}
	prefixes := map[int]string{1_000: "lookup_unchanged"}
	if !r.Quick {
		prefixes[10], prefixes[10_000] = "lookup_unchanged_n10", "lookup_unchanged_n10000"
	}
	for _, n := range []int{10, 1_000, 10_000} {
		if prefixes[n] == "" {
			continue
		}
		if err := r.lookups(ctx, servers, drive.LookupSpec{Instances: n, Unchanged: true}, prefixes[n]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) lookups(ctx context.Context, servers *Servers, spec drive.LookupSpec, prefix string) error {
	ops, err := r.prepareLookups(ctx, servers, spec)
	if err != nil {
		return err
	}
	for range r.Reps {
		for _, s := range servers.All() {
			op := ops[s.Name]
			if op == nil {
				continue
			}
			result, err := r.closed(ctx, s, lookupWorkers, op)
			if err != nil {
				return err
			}
			r.sampleCalls(prefix+"_"+s.Name, result)
		}
	}
	r.reportCalls(prefix, "limit", "muster", "etcd")
	return nil
}

// prepareLookups fills the servers, Muster first: the limit needs to know the
// sizes of its messages.
func (r *Run) prepareLookups(ctx context.Context, servers *Servers, spec drive.LookupSpec) (map[string]drive.Op, error) {
	ops := map[string]drive.Op{}
	for _, name := range []string{"muster", "limit", "etcd"} {
		s, ok := servers.Find(name)
		looker, can := s.Server.(drive.Looker)
		if !ok || !can || spec.Unchanged && name == "etcd" {
			continue
		}
		if !r.filled[name+fmt.Sprint(spec.Instances)] {
			if err := looker.Fill(ctx, spec.Instances); err != nil {
				return nil, fmt.Errorf("fill %s: %w", name, s.explain(err))
			}
			r.filled[name+fmt.Sprint(spec.Instances)] = true
		}
		if smallest, ok := s.Server.(interface{ Smallest() drive.Op }); ok && spec.Unchanged {
			ops[name] = smallest.Smallest()
			continue
		}
		l, err := looker.Lookup(ctx, spec)
		if err != nil {
			return nil, fmt.Errorf("prepare lookups of %s: %w", name, s.explain(err))
		}
		ops[name] = l.Do
		if name == "muster" {
			spec.RequestBytes, spec.ResponseBytes = l.RequestBytes, l.ResponseBytes
		}
	}
	return ops, nil
}
