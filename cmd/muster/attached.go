package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	muster "github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// registerAttached registers an instance and keeps it until the context ends.
func (a *app) registerAttached(ctx context.Context, spec *musterv1.Instance, o registerOptions) error {
	options := []muster.Option{
		muster.WithName(clientName), muster.WithTTL(o.ttl),
	}
	if a.dial != nil {
		options = append(options, muster.WithDial(a.dial))
	}
	client, err := muster.New(a.servers, options...)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // it never fails
	registerCtx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	registration, err := client.Register(registerCtx, clientSpec(spec))
	if err != nil {
		return err
	}
	if err := a.follow(ctx, registration, instanceName(spec)); err != nil {
		return err
	}
	// The context has ended, and what remains to be done must not end with it.
	return a.leave(context.WithoutCancel(ctx), registration, o)
}

// follow shows each state until the context ends, or the state is final.
func (a *app) follow(ctx context.Context, r *muster.Registration, name string) error {
	for {
		s := r.Status()
		if err := a.showState(name, s); err != nil {
			return err
		}
		if s.State.Final() {
			if s.Err == nil {
				return fail(exitError, "%s is not registered any more: %s", name, s.State)
			}
			f := asFailure(s.Err)
			f.text = name + ": " + f.text
			return f
		}
		select {
		case <-s.Superseded():
		case <-ctx.Done():
			return nil
		}
	}
}

// leave drains and deregisters.
func (a *app) leave(ctx context.Context, r *muster.Registration, o registerOptions) error {
	if !o.noDrain {
		a.say("draining; a second signal ends this at once")
		// The client keeps a tenth of the time for the answer's way back.
		drainCtx, cancel := context.WithTimeout(ctx, o.wait*10/9)
		report, err := r.Drain(drainCtx)
		cancel()
		if err != nil {
			a.say("%s", asFailure(err).text)
		} else {
			a.say("%s", report)
			time.Sleep(report.SafeAfter)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	if err := r.Deregister(ctx); err != nil {
		return err
	}
	return a.showState(r.Keys()[0].String(), r.Status())
}

// showState writes a state as a line.
func (a *app) showState(name string, s muster.RegistrationStatus) error {
	now := time.Now()
	if a.output.json {
		return json.NewEncoder(a.out).Encode(struct {
			Time        string `json:"time"`
			Instance    string `json:"instance"`
			State       string `json:"state"`
			Reason      string `json:"reason,omitempty"`
			Incarnation string `json:"incarnation,omitempty"`
			Lease       string `json:"lease,omitempty"`
		}{
			now.UTC().Format(time.RFC3339Nano), name, s.State.String(), s.Reason,
			strconv.FormatUint(s.Incarnation, 10), s.LeaseID,
		})
	}
	line := fmt.Sprintf("%s %s %s", now.In(a.zone).Format(timeLayout), s.State, name)
	if s.State == muster.Active {
		line += fmt.Sprintf(" (incarnation %d, lease %s…)", s.Incarnation, s.LeaseID)
	}
	if s.Reason != "" {
		line += ": " + s.Reason
	}
	_, err := fmt.Fprintln(a.out, line)
	return err
}

// clientSpec is an instance as the client library takes it.
func clientSpec(i *musterv1.Instance) muster.InstanceSpec {
	s := muster.InstanceSpec{
		Namespace: i.GetNamespace(), Service: i.GetService(), ID: i.GetInstanceId(), Version: i.GetVersion(),
		Locality: muster.Locality{Region: i.GetLocality().GetRegion(), Zone: i.GetLocality().GetZone()},
		Weight:   i.Weight, Lifecycle: muster.Lifecycle(i.GetLifecycle()), Metadata: i.GetMetadata(),
		Capabilities: i.GetCapabilities(), Health: muster.Health(i.GetSelfHealth().GetHealth()),
		HealthReason: i.GetSelfHealth().GetReason(),
	}
	for _, e := range i.GetEndpoints() {
		s.Endpoints = append(s.Endpoints, muster.EndpointSpec{
			Name: e.GetName(), Address: e.GetAddress(),
			Protocol: muster.Protocol(e.GetProtocol()), Security: muster.Security(e.GetSecurity()),
		})
	}
	return s
}
