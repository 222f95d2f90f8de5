package view

import (
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/muster-registry/muster/server/internal/entrymap"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
)

// Restore replaces everything by the store's state at a revision. It uses all
// processors: a server is of no use before it has returned.
func (b *Builder) Restore(revision uint64, entries iter.Seq[*store.Entry]) (*View, error) {
	b.current = View{Revision: revision}
	clear(b.touched)
	var leases, instances []*store.Entry
	for e := range entries {
		switch record.KindOf(e.Key) {
		case record.KindLease:
			leases = append(leases, e)
		case record.KindInstance:
			instances = append(instances, e)
		case record.KindService, record.KindEpoch, record.KindUnknown:
			if err := b.put(e, nil, &Changes{}); err != nil {
				return nil, err
			}
		}
	}
	// Instances need their lease's create revision: leases first.
	hashes, err := b.restoreLeases(leases)
	if err != nil {
		return nil, err
	}
	if err := b.restoreInstances(instances, newIncarnations(leases, hashes)); err != nil {
		return nil, err
	}
	return b.publish(revision), nil
}

// restoreLeases returns the hashes of the leases' keys.
func (b *Builder) restoreLeases(entries []*store.Entry) ([]uint64, error) {
	hashes := make([]uint64, len(entries))
	err := inParallel(len(entries), func(from, to int) error {
		for i := from; i < to; i++ {
			if _, err := NewLease(entries[i]); err != nil {
				return keyError(entries[i].Key, err)
			}
			hashes[i] = entrymap.Hash(entries[i].Key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	n := runtime.GOMAXPROCS(0)
	parts := b.current.leases.Split(n, len(entries))
	var joined sync.WaitGroup
	for i := range parts {
		joined.Go(func() {
			for j, hash := range hashes {
				if entrymap.Part(hash, n) == i {
					parts[i].SetHashed(hash, entries[j])
				}
			}
		})
	}
	joined.Wait()
	b.current.leases.Join(parts)
	return hashes, nil
}

func (b *Builder) restoreInstances(entries []*store.Entry, incarnations *incarnations) error {
	instances := make([]*Instance, len(entries))
	err := inParallel(len(entries), func(from, to int) error {
		for i := from; i < to; i++ {
			in, _, err := newInstance(entries[i], func(leaseID []byte) (uint64, bool) {
				if incarnations == nil {
					return b.incarnation(leaseID)
				}
				return incarnations.of(leaseID)
			})
			if err != nil {
				return keyError(entries[i].Key, err)
			}
			instances[i] = in
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.current.instances = len(instances)
	services := b.gather(instances)
	return inParallel(len(services), func(from, to int) error {
		for _, g := range services[from:to] {
			g.fill()
		}
		return nil
	})
}

// gathered is a service, and all its instances.
type gathered struct {
	service   *Service
	instances []*Instance
}

// gather sorts instances by services. Those of one service mostly come one
// after the other.
func (b *Builder) gather(instances []*Instance) []*gathered {
	var all []*gathered
	byPrefix := map[string]*gathered{}
	prefix, g := "", (*gathered)(nil)
	for _, in := range instances {
		if p := in.entry.Key[:len(in.entry.Key)-len(in.ID())]; g == nil || p != prefix {
			prefix, g = p, byPrefix[p]
		}
		if g == nil {
			g = &gathered{service: b.service(in.Name().ServiceName)}
			byPrefix[prefix] = g
			all = append(all, g)
		}
		g.instances = append(g.instances, in)
	}
	return all
}

func (g *gathered) fill() {
	byKey := func(a, b *Instance) int { return strings.Compare(a.entry.Key, b.entry.Key) }
	if !slices.IsSortedFunc(g.instances, byKey) {
		slices.SortFunc(g.instances, byKey)
	}
	for _, in := range g.instances {
		g.service.instances.Load(in)
		g.service.Digest += in.Hash
	}
	g.service.Count += uint64(len(g.instances))
}

// inParallel cuts n pieces of work into ranges, one for each processor, and
// returns the error of the first range that has one.
func inParallel(n int, do func(from, to int) error) error {
	ranges := runtime.GOMAXPROCS(0)
	errs := make([]error, ranges)
	var joined sync.WaitGroup
	for i := range ranges {
		joined.Go(func() { errs[i] = do(i*n/ranges, (i+1)*n/ranges) })
	}
	joined.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
