package mustertest

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// held finds an instance that a lease holds, or tells why it does not.
func (r *Registry) held(leaseID string, name entryName) (*lease, error) {
	l, holder := r.state.leases[leaseID], r.state.holders[name]
	switch {
	case holder != nil && holder == l:
		return l, nil
	case holder != nil:
		return nil, r.fenced(name)
	case l == nil:
		return nil, leaseUnknown()
	}
	return nil, refuse(musterv1.ErrorReason_ERROR_REASON_INSTANCE_UNKNOWN,
		"instance "+name.String()+" is not registered under this lease", "instance", name.String())
}

// heldAll finds the named instances of a lease, or all of them if none is
// named.
func (r *Registry) heldAll(leaseID string, keys []*musterv1.InstanceKey) (*lease, []entryName, error) {
	var names []entryName
	for _, key := range keys {
		name := nameOfKey(key)
		if _, err := r.held(leaseID, name); err != nil {
			return nil, nil, err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	l := r.state.leases[leaseID]
	if l == nil {
		return nil, nil, leaseUnknown()
	}
	if len(keys) == 0 {
		names = r.state.held(l)
	}
	return l, names, nil
}

func leaseUnknown() error {
	return refuse(musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN,
		"no such lease: it expired, was ended or replaced; register again")
}

// Update implements the contract.
func (r registrations) Update(_ context.Context, req *musterv1.UpdateRequest) (*musterv1.UpdateResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := nameOf(req.GetInstance())
	l, err := r.held(req.GetLeaseId(), name)
	if err != nil {
		return nil, err
	}
	present := r.state.instances[name]
	next, err := updated(owned(present), req)
	if err != nil {
		return nil, err
	}
	r.rewrite(present, next, l)
	return &musterv1.UpdateResponse{Epoch: r.state.epoch, Revision: r.state.revision}, nil
}

// rewrite commits an instance, unless it says what it said before.
func (r *Registry) rewrite(present, next *musterv1.Instance, l *lease) {
	if next.GetSelfHealth().GetHealth() <= musterv1.Health_HEALTH_HEALTHY {
		next.SelfHealth = nil // the one form of being well
	}
	if proto.Equal(owned(present), next) {
		return
	}
	c := r.state.begin(time.Now())
	c.put(next, l)
	r.commit(c)
}

// updated is an instance after an update, which it checks.
func updated(i *musterv1.Instance, req *musterv1.UpdateRequest) (*musterv1.Instance, error) {
	paths, lifecycle := req.GetUpdateMask().GetPaths(), i.GetLifecycle()
	if len(paths) == 0 {
		return nil, invalid("update_mask: must name at least one field")
	}
	if !slices.Contains(paths, "lifecycle") {
		i.Lifecycle = musterv1.Lifecycle_LIFECYCLE_SERVING // what it is now was checked before
	}
	for _, path := range paths {
		if err := setField(i, req.GetInstance(), path); err != nil {
			return nil, err
		}
	}
	next, err := checkInstance(i)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(paths, "lifecycle") {
		next.Lifecycle = lifecycle
	}
	return next, nil
}

// setField takes one field over, whole.
func setField(i, from *musterv1.Instance, path string) error {
	switch path {
	case "version":
		i.Version = from.GetVersion()
	case "endpoints":
		i.Endpoints = from.GetEndpoints()
	case "locality":
		i.Locality = from.GetLocality()
	case "weight":
		i.Weight = from.Weight
	case "lifecycle":
		i.Lifecycle = from.GetLifecycle()
	case "shard":
		i.Shard = from.GetShard()
	case "metadata":
		i.Metadata = from.GetMetadata()
	case "capabilities":
		i.Capabilities = from.GetCapabilities()
	case "schema_version":
		i.SchemaVersion = from.GetSchemaVersion()
	case "checks":
		i.Checks = from.GetChecks()
	case "self_health":
		i.SelfHealth = from.GetSelfHealth()
	default:
		return invalid("update_mask: %q is no field that may be updated", path)
	}
	return nil
}

// Deregister implements the contract.
func (r registrations) Deregister(_ context.Context, req *musterv1.DeregisterRequest) (*musterv1.DeregisterResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, names, err := r.heldAll(req.GetLeaseId(), req.GetInstances())
	if err != nil {
		return nil, err
	}
	c := r.state.begin(time.Now())
	for _, name := range names {
		c.remove(name, musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED)
	}
	r.state.dropIfEmpty(l)
	r.commit(c)
	return &musterv1.DeregisterResponse{Epoch: r.state.epoch, Revision: r.state.revision}, nil
}
