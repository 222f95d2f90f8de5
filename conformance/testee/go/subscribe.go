package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	muster "github.com/muster-registry/muster/client-go"
)

// subscription is a handle, and the pickers that commands added.
type subscription struct {
	*muster.Subscription
	stop    context.CancelFunc // ends following it
	pickers map[string]*muster.Picker
}

// selector reads services, or a prefix NAMESPACE/PREFIX*, and the options of a
// filter.
func selector(c command, names []string) (muster.Selector, error) {
	var s muster.Selector
	for _, text := range names {
		namespace, service, _ := strings.Cut(text, "/")
		if prefix, is := strings.CutSuffix(service, "*"); is {
			s.Prefix = &muster.ServicePrefix{Namespace: namespace, Prefix: prefix}
			continue
		}
		s.Services = append(s.Services, muster.ServiceName{Namespace: namespace, Service: service})
	}
	for name, value := range c.With {
		if err := filter(&s.Filter, c, name, value); err != nil {
			return s, err
		}
	}
	return s, nil
}

func filter(f *muster.Filter, c command, name, value string) error {
	list := strings.Split(value, ",")
	switch name {
	case "version":
		f.VersionRange = value
	case "zone":
		f.Zones = list
	case "region":
		f.Regions = list
	case "id":
		f.InstanceIDs = list
	case "endpoint":
		f.EndpointNames = list
	case "capability":
		f.Capabilities = list
	case "health":
		for _, text := range list {
			h, err := named(text, muster.Healthy, muster.Degraded, muster.Unhealthy)
			if err != nil {
				return err
			}
			f.Healths = append(f.Healths, h)
		}
	case "lifecycle":
		for _, text := range list {
			l, err := named(text, muster.Starting, muster.Serving, muster.Draining)
			if err != nil {
				return err
			}
			f.Lifecycles = append(f.Lifecycles, l)
		}
	case "timeout", "linearizable", "min":
	default:
		key, is := strings.CutPrefix(name, "metadata.")
		if !is {
			return unknown(c, name)
		}
		f.Metadata = append(f.Metadata, muster.MetadataMatch{Key: key, Values: list})
	}
	return nil
}

// subscribe watches: subscribe NAME SERVICE... [filter]. The channel NAME then
// shows its updates.
func (t *testee) subscribe(_ context.Context, c command) (answer, error) { //nolint:contextcheck // it goes on after the command
	cl, err := t.client(c)
	if err != nil {
		return nil, err
	}
	if len(c.Args) < 2 {
		return nil, errors.New("subscribe wants: subscribe NAME NAMESPACE/SERVICE")
	}
	wanted, err := selector(c, c.Args[1:])
	if err != nil {
		return nil, err
	}
	s, err := cl.Subscribe(wanted)
	if err != nil {
		return nil, err
	}
	name := c.name()
	following, stop := context.WithCancel(context.Background())
	t.mu.Lock()
	t.subscriptions[name] = &subscription{s, stop, map[string]*muster.Picker{}}
	t.mu.Unlock()
	t.tasks.Go(func() { t.follow(following, name, s) })
	return nil, nil
}

// follow tells of the updates of a subscription until it ends.
func (t *testee) follow(ctx context.Context, name string, s *muster.Subscription) {
	for update, err := range s.Updates(ctx) {
		if err != nil {
			t.event(name, "ended", errorFields(err))
			return
		}
		fields := viewFields(update.View())
		kind := ""
		switch u := update.(type) {
		case muster.Snapshot:
			kind = "snapshot"
			fields["cause"], fields["upserted"], fields["removed"] = u.Cause.String(), instances(u.Upserted), removals(u.Removed)
		case muster.Delta:
			kind = "delta"
			fields["upserted"], fields["removed"] = instances(u.Upserted), removals(u.Removed)
		case muster.FreshnessChange:
			kind = "freshness"
			fields["from"], fields["to"] = u.From.String(), u.To.String()
		}
		t.event(name, kind, fields)
	}
}

// viewFields are what is told of a view, without its instances.
func viewFields(v *muster.View) answer {
	about := answer{
		"epoch": fmt.Sprint(v.Epoch()), "revision": fmt.Sprint(v.Revision()), "digest": fmt.Sprint(v.Digest()),
		"age_ms": v.Age().Milliseconds(), "freshness": v.Freshness().String(),
		"source": v.Source().String(), // may change between a frame and its telling
	}
	a := answer{
		"intent": v.Intent().String(), "count": len(v.Instances()),
		"unverified": v.Unverified(), "isolated": v.Isolated(), "about": about,
	}
	if services := v.Selector().Services; len(services) == 1 {
		if err := v.Why(services[0]); err != nil {
			a["why"], about["text"] = string(muster.ReasonOf(err)), err.Error()
		}
	}
	return a
}

func instances(list []*muster.Instance) []answer {
	all := make([]answer, 0, len(list))
	for _, i := range list {
		all = append(all, instance(i))
	}
	return all
}

func instance(i *muster.Instance) answer {
	endpoints := answer{}
	for _, e := range i.Endpoints {
		endpoints[e.Name] = answer{
			"address": e.Address, "protocol": e.Protocol.String(), "security": e.Security.String(),
			"server_name": e.ServerName, "authority": e.Authority,
		}
	}
	return answer{
		"key": i.Key.String(), "version": i.Version, "weight": strconv.FormatUint(uint64(i.Weight), 10),
		"zone": i.Locality.Zone, "region": i.Locality.Region, "lifecycle": i.Lifecycle.String(), "health": i.Health.String(),
		"metadata": i.Metadata, "capabilities": i.Capabilities, "unconfirmed": i.Unconfirmed, "endpoints": endpoints,
		"about": answer{"incarnation": fmt.Sprint(i.Incarnation), "modify_revision": fmt.Sprint(i.ModifyRevision)},
	}
}

func removals(list []muster.Removal) []answer {
	all := make([]answer, 0, len(list))
	for _, r := range list {
		all = append(all, answer{"key": r.Key.String(), "reason": r.Reason.String()})
	}
	return all
}

func (t *testee) subscription(c command) (*subscription, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.subscriptions[c.name()] == nil {
		return nil, missing(c, "subscription")
	}
	return t.subscriptions[c.name()], nil
}

func (t *testee) unsubscribe(_ context.Context, c command) (answer, error) {
	s, err := t.subscription(c)
	if err == nil {
		s.stop()
		s.Close()
	}
	return nil, err
}

// whole tells of a view with all its instances.
func whole(v *muster.View, err error) (answer, error) {
	if err != nil {
		return nil, err
	}
	a := viewFields(v)
	a["instances"] = instances(v.Instances())
	return a, nil
}

// view reads a subscription's view: view NAME.
func (t *testee) view(_ context.Context, c command) (answer, error) {
	s, err := t.subscription(c)
	if err != nil {
		return nil, err
	}
	return whole(s.View(), nil)
}

// wait waits for a view: wait NAME LEAST [timeout=].
func (t *testee) wait(ctx context.Context, c command) (answer, error) {
	least, err := strconv.Atoi(append(c.Args, "1")[1])
	if err != nil {
		return nil, err
	}
	return bounded(ctx, c, t.subscription, func(ctx context.Context, s *subscription) (answer, error) { return whole(s.Wait(ctx, least)) })
}

// lookup reads once: lookup SERVICE... [filter] [linearizable=yes]
// [min=EPOCH/REVISION] [timeout=].
func (t *testee) lookup(ctx context.Context, c command) (answer, error) {
	wanted, err := selector(c, c.Args)
	if err != nil {
		return nil, err
	}
	var options []muster.LookupOption
	if c.With["linearizable"] == "yes" {
		options = append(options, muster.Linearizable())
	}
	if text, given := c.With["min"]; given {
		var at muster.Position
		if _, err = fmt.Sscanf(text, "%d/%d", &at.Epoch, &at.Revision); err != nil {
			return nil, err
		}
		options = append(options, muster.MinPosition(at))
	}
	return bounded(ctx, c, t.client, func(ctx context.Context, cl *client) (answer, error) {
		return whole(cl.Lookup(ctx, wanted, options...))
	})
}

// addPicker adds a picker to a subscription: picker SUBSCRIPTION NAME. It then
// stands still until applied.
func (t *testee) addPicker(_ context.Context, c command) (answer, error) {
	s, err := t.subscription(c)
	if err == nil && len(c.Args) < 2 {
		err = errors.New("picker wants: picker SUBSCRIPTION NAME")
	}
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.pickers[c.Args[1]] = s.AddPicker()
	return nil, nil
}

func (t *testee) picker(c command) (*subscription, *muster.Picker, error) {
	s, err := t.subscription(c)
	if err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := s.pickers[append(c.Args, "")[1]]
	if p == nil {
		return nil, nil, missing(c, "picker")
	}
	return s, p, nil
}

// applied brings a picker to the present view: applied SUBSCRIPTION NAME.
func (t *testee) applied(_ context.Context, c command) (answer, error) {
	s, p, err := t.picker(c)
	if err == nil {
		p.Applied(s.View())
	}
	return nil, err
}

// closePicker takes a picker away: unpick SUBSCRIPTION NAME.
func (t *testee) closePicker(_ context.Context, c command) (answer, error) {
	_, p, err := t.picker(c)
	if err == nil {
		p.Close()
	}
	return nil, err
}
