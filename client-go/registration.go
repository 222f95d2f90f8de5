package muster

import (
	"context"
	"errors"
	"maps"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// RegistrationState is where a registration stands.
type RegistrationState int

// States of a registration. The last four are final.
const (
	// Registering: the registry was asked and has not granted a lease yet.
	Registering RegistrationState = iota + 1
	// Active: the lease is confirmed.
	Active
	// Unconfirmed: the last keepalive was not confirmed; the lease may live.
	Unconfirmed
	// Fenced: another process took the instance over. Final.
	Fenced
	// Refused: the registry refused to register it again. Final.
	Refused
	// Deregistered: ended by choice, or its lease ended while draining. Final.
	Deregistered
	// Closed: the client was closed. Final.
	Closed
)

var stateNames = map[RegistrationState]string{
	Registering: "REGISTERING", Active: "ACTIVE", Unconfirmed: "UNCONFIRMED", Fenced: "FENCED",
	Refused: "REFUSED", Deregistered: "DEREGISTERED", Closed: "CLOSED",
}

// String is the name of the state, such as "ACTIVE".
func (s RegistrationState) String() string { return stateNames[s] }

// Final tells whether the state can never change again.
func (s RegistrationState) Final() bool { return s >= Fenced }

// RegistrationStatus is what is known of a registration at one moment.
type RegistrationStatus struct {
	// State is where it stands.
	State RegistrationState
	// Reason is why, for people; empty while everything is well.
	Reason string
	// Incarnation is the public name of the lease; 0 before the first.
	Incarnation uint64
	// LeaseID is the first four characters of the lease's id; the whole of it
	// is a secret.
	LeaseID string
	// Err is what stands in the way, or what made the state final; nil if
	// nothing does.
	Err error

	superseded chan struct{}
}

// Superseded is closed when there is a newer status. It never is for a final
// state.
func (s RegistrationStatus) Superseded() <-chan struct{} { return s.superseded }

// Registration is a handle of instances that a client keeps registered under
// one lease. The Client owns them: dropping the handle changes nothing, and
// they end by Deregister or Client.Close. It is safe for concurrent use.
type Registration struct{ session *session }

// Register registers instances, all or nothing, and keeps them registered. ctx
// bounds the call, never the registration's life; without a deadline it is 5 s.
//
// Errors that may pass are retried until ctx ends; then whatever the registry
// granted meanwhile is withdrawn. An instance that another lease holds is taken
// over, because a process that is started twice on purpose means it.
//
// From then on the client renews the lease, registers again when it was lost,
// and tells by Status how it goes. FENCED and REFUSED are final.
func (c *Client) Register(ctx context.Context, specs ...InstanceSpec) (*Registration, error) {
	instances := make([]*musterv1.Instance, 0, len(specs))
	keys := make([]Key, 0, len(specs))
	for _, spec := range specs {
		if spec.Locality == (Locality{}) {
			spec.Locality = c.Locality()
		}
		spec = spec.complete()
		if err := spec.validate(); err != nil {
			return nil, err
		}
		instances = append(instances, spec.proto())
		keys = append(keys, spec.Key())
	}
	if err := validateKeys(keys); err != nil {
		return nil, err
	}
	if c.config.static {
		return nil, noRegistryError("register", keys[0].String())
	}
	s := newSession(c, instances)
	s.headers = c.config.telemetry.headers(ctx)
	if !c.adopt(s) {
		return nil, closedError("client")
	}
	ctx, cancel := withDefaultTimeout(ctx, defaults.CallTimeout)
	defer cancel()
	select {
	case <-s.settled:
	case <-ctx.Done():
		return nil, s.withdraw(ctx)
	}
	if status := s.currentStatus(); status.State.Final() && status.Incarnation == 0 {
		return nil, status.Err
	}
	return &Registration{s}, nil
}

// Keys are the instances, with the ids that were drawn for them.
func (r *Registration) Keys() []Key { return r.session.keys() }

// Status is where the registration stands now. It does no I/O.
func (r *Registration) Status() RegistrationStatus { return r.session.currentStatus() }

// SetHealth says how well the process does, and why; of all its instances.
// Like all setters it writes desired state and returns at once; the client
// brings the registry there, across lost leases and servers.
func (r *Registration) SetHealth(health Health, why string) {
	r.session.change(func(i *musterv1.Instance) {
		i.SelfHealth = &musterv1.SelfHealth{Health: musterv1.Health(health), Reason: why}
	})
}

// SetWeight sets the share of new requests; 0 takes none.
func (r *Registration) SetWeight(weight uint32) {
	r.session.change(func(i *musterv1.Instance) { i.Weight = &weight })
}

// SetMetadata replaces the metadata.
func (r *Registration) SetMetadata(metadata map[string]string) {
	metadata = maps.Clone(metadata)
	r.session.change(func(i *musterv1.Instance) { i.Metadata = metadata })
}

// SetLifecycle sets Starting or Serving. Serving ends a drain. Draining is
// ignored: it is Drain that drains.
func (r *Registration) SetLifecycle(lifecycle Lifecycle) {
	if lifecycle == Draining {
		return
	}
	r.session.setLifecycle(lifecycle)
}

// Flush waits until the registry has acknowledged everything that setters said
// before the call. The error is the registry's if it refused, and that of ctx
// (5 s without a deadline) if it did not answer.
func (r *Registration) Flush(ctx context.Context) error { return r.session.flush(ctx).orNil() }

// Deregister ends the registration by choice: watchers see DEREGISTERED. ctx
// bounds the wait (5 s without a deadline); the client goes on trying until the
// lease would have expired. Repeating it is no error.
func (r *Registration) Deregister(ctx context.Context) error {
	ctx, cancel := withDefaultTimeout(ctx, defaults.CallTimeout)
	defer cancel()
	s := r.session
	s.endWith(ctx, Deregistered)
	select {
	case <-s.done:
	case <-ctx.Done():
		return contextError(ctx, "deregister", s.subject, s.lastError())
	}
	status := s.currentStatus()
	var e *Error
	if errors.As(status.Err, &e) && status.State == Deregistered && !isLost(e) {
		return e
	}
	return nil
}
