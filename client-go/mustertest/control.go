package mustertest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/seam"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// recoveryTime is for how long frames carry RECOVERING after history was lost.
const recoveryTime = time.Minute

// Register registers instances that nobody keeps alive: they stay until
// [Registry.Deregister], [Registry.Expire] or [Registry.LoseHistory]. An
// instance that is registered already, by whomever, is replaced, which is how
// it is changed. A wrong spec fails the test.
func (r *Registry) Register(specs ...muster.InstanceSpec) {
	for _, spec := range specs {
		i, err := seam.Encode(spec)
		if err != nil {
			r.fail("mustertest: %v", err)
			return
		}
		r.mu.Lock()
		r.grant([]*musterv1.Instance{i}, defaultTTL, newLeaseID(), time.Now())
		r.mu.Unlock()
	}
}

// Deregister ends an instance by choice, whoever holds it; its key is
// "namespace/service/id". One that is not registered fails the test.
func (r *Registry) Deregister(key string) {
	r.withRegistered(key, func(name entryName, l *lease) {
		c := r.state.begin(time.Now())
		c.remove(name, musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED)
		r.state.dropIfEmpty(l)
		r.commit(c)
	})
}

// Expire makes the lease that holds an instance expire at once, with everything
// that it holds, as if its TTL had been missed. An instance that is not
// registered fails the test.
func (r *Registry) Expire(key string) {
	r.withRegistered(key, func(_ entryName, l *lease) { r.expire(l) })
}

// ExpireAll makes all leases expire at once.
func (r *Registry) ExpireAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(slices.Collect(maps.Values(r.state.leases))...)
}

func (r *Registry) expire(leases ...*lease) {
	c := r.state.begin(time.Now())
	for _, l := range leases {
		c.endLease(l, musterv1.RemovalReason_REMOVAL_REASON_EXPIRED)
	}
	r.commit(c)
}

// Drain sets an instance to DRAINING without waiting for anybody, whoever holds
// it. One that is not registered fails the test.
func (r *Registry) Drain(key string) {
	r.withRegistered(key, func(name entryName, l *lease) { r.setDraining(l, []entryName{name}) })
}

// withRegistered does something to an instance, under the lock.
func (r *Registry) withRegistered(key string, act func(entryName, *lease)) {
	namespace, rest, _ := strings.Cut(key, "/")
	service, id, _ := strings.Cut(rest, "/")
	name := entryName{serviceName{namespace, service}, id}
	r.mu.Lock()
	l := r.state.holders[name]
	if l != nil {
		act(name, l)
	}
	r.mu.Unlock()
	if l == nil {
		r.fail("mustertest: no instance %q is registered; keys are namespace/service/id", key)
	}
}

// Instances are what is registered of a service, "namespace/service", sorted by
// key; of all services if it is empty.
func (r *Registry) Instances(service string) []*muster.Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	var instances []*muster.Instance
	for name, i := range r.state.instances {
		if service != "" && name.namespace+"/"+name.service != service {
			continue
		}
		if in, ok := seam.Decode(i).(*muster.Instance); ok {
			instances = append(instances, in)
		}
	}
	slices.SortFunc(instances, func(a, b *muster.Instance) int { return strings.Compare(a.String(), b.String()) })
	return instances
}

// Position is where the registry's history stands.
func (r *Registry) Position() muster.Position {
	epoch, revision, _ := r.position()
	return muster.Position{Epoch: epoch, Revision: revision}
}

// Watches is how many watch streams are open.
func (r *Registry) Watches() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.streams)
}

// Cut cuts the registry off: connections break and new ones are refused, until
// [Registry.Heal]. Time goes on: leases that cannot be renewed expire.
func (r *Registry) Cut() { r.network.setCut(true) }

// Heal lets clients connect again after [Registry.Cut].
func (r *Registry) Heal() { r.network.setCut(false) }

// Restart restarts the server as a crash would: connections break, and what is
// registered is still there. Leases have their whole TTL again, since nobody
// could renew them meanwhile. The log of changes is gone, so that clients
// resume by the digest of what they hold.
func (r *Registry) Restart() {
	r.mu.Lock()
	now := time.Now()
	r.state.compact()
	for _, l := range r.state.leases {
		l.renew(now)
	}
	r.restarted(now)
	r.mu.Unlock()
	r.network.breakAll()
}

// LoseHistory restarts the server without anything of what it knew: a new epoch
// begins, empty. For a minute the registry says that it is RECOVERING, so that
// clients keep what they held before as unconfirmed.
func (r *Registry) LoseHistory() {
	r.mu.Lock()
	now := time.Now()
	r.state = newState(r.state.epoch + 1)
	r.drains, r.ended = map[entryName]*drain{}, nil
	r.recoveringUntil = now.Add(recoveryTime)
	r.restarted(now)
	r.mu.Unlock()
	r.network.breakAll()
}

// restarted gives the server a new life, without the streams of the one before.
// The caller holds the lock.
func (r *Registry) restarted(now time.Time) {
	r.serverID, r.began = newLeaseID(), now
	for _, s := range r.streams {
		close(s.over)
		r.end(s)
	}
	r.broadcast()
}

// Compact forgets the log of changes, as happens to old ones anyway: clients
// that resume from before get a new snapshot if anything changed.
func (r *Registry) Compact() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.compact()
}
