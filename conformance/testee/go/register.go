package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	muster "github.com/muster-registry/muster/client-go"
)

// defaultAddress is that of an instance which nobody is to call.
const defaultAddress = "10.0.0.1:8080"

// registration is a handle, and for serve how to end it.
type registration struct {
	*muster.Registration
	stop   context.CancelFunc
	served chan error
}

// register registers instances: register NAME KEY... [weight=] [version=]
// [zone=] [region=] [lifecycle=] [health=] [why=] [address=] [metadata.KEY=]
// [timeout=]. The channel NAME then shows its status.
func (t *testee) register(ctx context.Context, c command) (answer, error) {
	if len(c.Args) < 2 {
		return nil, errors.New("register wants: register NAME NAMESPACE/SERVICE/ID")
	}
	var specs []muster.InstanceSpec
	for _, key := range c.Args[1:] {
		s, wrong := spec(c, key)
		if wrong != nil {
			return nil, wrong
		}
		specs = append(specs, s)
	}
	return bounded(ctx, c, t.client, func(ctx context.Context, cl *client) (answer, error) {
		r, err := cl.Register(ctx, specs...)
		if err == nil {
			t.keep(c.name(), &registration{Registration: r})
		}
		return nil, err
	})
}

// keep remembers a registration and tells of its status from now on.
func (t *testee) keep(name string, r *registration) {
	t.mu.Lock()
	t.registrations[name] = r
	t.mu.Unlock()
	t.tasks.Go(func() {
		for {
			s := r.Status()
			t.event(name, "status", statusFields(s))
			if s.State.Final() {
				return
			}
			<-s.Superseded()
		}
	})
}

func statusFields(s muster.RegistrationStatus) answer {
	a := answer{"state": s.State.String(), "about": answer{"text": s.Reason, "incarnation": fmt.Sprint(s.Incarnation)}}
	if s.Err != nil {
		a["error"] = errorFields(s.Err)
	}
	return a
}

// spec makes a spec of a key and options. Without id, NAMESPACE/SERVICE, the
// client draws one.
func spec(c command, key string) (muster.InstanceSpec, error) {
	parts := append(strings.SplitN(key, "/", 3), "", "")
	s := muster.InstanceSpec{Namespace: parts[0], Service: parts[1], ID: parts[2], Metadata: map[string]string{}}
	e := muster.EndpointSpec{Address: defaultAddress}
	for name, value := range c.With {
		if err := option(&s, &e, c, name, value); err != nil {
			return s, err
		}
	}
	s.Endpoints = []muster.EndpointSpec{e}
	return s, nil
}

func option(s *muster.InstanceSpec, e *muster.EndpointSpec, c command, name, value string) (err error) {
	switch name {
	case "address":
		e.Address = value
	case "endpoint":
		e.Name = value
	case "version":
		s.Version = value
	case "zone":
		s.Locality.Zone = value
	case "region":
		s.Locality.Region = value
	case "weight":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 32)
		weight := uint32(n)
		s.Weight = &weight
	case "capability":
		s.Capabilities = strings.Split(value, ",")
	case "lifecycle":
		s.Lifecycle, err = named(value, muster.Starting, muster.Serving, muster.Draining)
	case "health":
		s.Health, err = named(value, muster.Healthy, muster.Degraded, muster.Unhealthy)
	case "why":
		s.HealthReason = value
	case "timeout":
	default:
		key, is := strings.CutPrefix(name, "metadata.")
		if !is {
			return unknown(c, name)
		}
		s.Metadata[key] = value
	}
	return err
}

// named finds the value that is written so.
func named[T fmt.Stringer](text string, values ...T) (T, error) {
	for _, v := range values {
		if v.String() == text {
			return v, nil
		}
	}
	var none T
	return none, fmt.Errorf("%q is none of %v", text, values)
}

func (t *testee) registration(c command) (*registration, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.registrations[c.name()] == nil {
		return nil, missing(c, "registration")
	}
	return t.registrations[c.name()], nil
}

func (t *testee) registrationNow(_ context.Context, c command) (answer, error) {
	r, err := t.registration(c)
	if err != nil {
		return nil, err
	}
	keys := ""
	for _, k := range r.Keys() {
		keys += k.String() + " "
	}
	// The status may change at any time, so that it is not compared unless named.
	s := r.Status()
	about := answer{"state": s.State.String(), "text": s.Reason, "incarnation": fmt.Sprint(s.Incarnation)}
	if s.Err != nil {
		about["error"] = errorFields(s.Err)
	}
	return answer{"keys": strings.TrimSpace(keys), "about": about}, nil
}

// set writes desired state: set NAME [health=] [why=] [weight=] [lifecycle=]
// [metadata.KEY=].
func (t *testee) set(_ context.Context, c command) (answer, error) {
	r, err := t.registration(c)
	if err != nil {
		return nil, err
	}
	var (
		s        muster.InstanceSpec
		e        muster.EndpointSpec
		metadata bool
	)
	s.Metadata = map[string]string{}
	for name, value := range c.With {
		if err = option(&s, &e, c, name, value); err != nil {
			return nil, err
		}
		metadata = metadata || strings.HasPrefix(name, "metadata.")
	}
	if s.Health != 0 {
		r.SetHealth(s.Health, s.HealthReason)
	}
	if s.Weight != nil {
		r.SetWeight(*s.Weight)
	}
	if s.Lifecycle != 0 {
		r.SetLifecycle(s.Lifecycle)
	}
	if metadata {
		r.SetMetadata(s.Metadata)
	}
	return nil, nil
}

func (t *testee) flush(ctx context.Context, c command) (answer, error) {
	return bounded(ctx, c, t.registration, func(ctx context.Context, r *registration) (answer, error) { return nil, r.Flush(ctx) })
}

// drain drains: drain NAME [wait=], the time that watchers get.
func (t *testee) drain(ctx context.Context, c command) (answer, error) {
	r, err := t.registration(c)
	if err != nil {
		return nil, err
	}
	if text, given := c.With["wait"]; given {
		wait, wrong := time.ParseDuration(text)
		if wrong != nil {
			return nil, wrong
		}
		var cancel context.CancelFunc
		// A tenth of it is kept for the answer.
		ctx, cancel = context.WithTimeout(ctx, wait*10/9)
		defer cancel()
	}
	report, err := r.Drain(ctx)
	return answer{
		"complete": report.Complete, "confirmed": report.Confirmed, "behind": report.Behind,
		"unconfirmable": report.Unconfirmable, "disconnected": report.Disconnected,
		"about": answer{"text": report.String(), "safe_after_ms": report.SafeAfter.Milliseconds(), "took_ms": report.Took.Milliseconds()},
	}, err
}

func (t *testee) deregister(ctx context.Context, c command) (answer, error) {
	return bounded(ctx, c, t.registration, func(ctx context.Context, r *registration) (answer, error) { return nil, r.Deregister(ctx) })
}
