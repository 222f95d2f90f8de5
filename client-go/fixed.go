package muster

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// NewStatic makes a client without a registry: the instances are given and do
// not change. Its views are always FRESH and of Source STATIC; a service that
// was not given is SERVICE_UNKNOWN. Filters of selectors mean nothing to it.
// Register is refused. The error is INVALID_ARGUMENT.
func NewStatic(instances []InstanceSpec, options ...Option) (*Client, error) {
	options = append(slices.Clone(options), func(c *Config) { c.Override, c.static = instances, true })
	return New(nil, options...)
}

// fixedServices are services whose instances were given to the client: the
// registry is never asked for them. Nil has none.
type fixedServices struct {
	// all: there is no registry, so every service is fixed.
	all       bool
	instances map[ServiceName][]*Instance
	logger    *slog.Logger

	// mu guards told: services whose use was logged. Nothing is taken inside.
	mu   sync.Mutex
	told map[ServiceName]bool
}

// newFixedServices checks what was given. An instance without id gets one by
// its place: "static-1".
func newFixedServices(config *Config) (*fixedServices, *Error) {
	if len(config.Override) == 0 && !config.static {
		return nil, nil
	}
	f := &fixedServices{
		all: config.static, logger: config.Logger,
		instances: make(map[ServiceName][]*Instance), told: make(map[ServiceName]bool),
	}
	for _, spec := range config.Override {
		name := ServiceName{spec.Namespace, spec.Service}
		if spec.ID == "" {
			spec.ID = fmt.Sprintf("static-%d", len(f.instances[name])+1)
		}
		spec = spec.complete()
		if err := spec.validate(); err != nil {
			return nil, err
		}
		p := spec.proto()
		p.Health = p.GetSelfHealth().GetHealth()
		if _, twice := findInstance(f.instances[name], spec.Key()); twice {
			return nil, newError(ReasonInvalidArgument, codes.InvalidArgument, "new", name.String(),
				textField(name.String(), "instance_id", spec.ID, "each once"))
		}
		f.instances[name] = mergeInstances(f.instances[name], []*Instance{instanceFrom(p)})
	}
	return f, nil
}

// overrideSpecs are the instances that MUSTER_OVERRIDE names.
func overrideSpecs(overrides []rules.Override) (specs []InstanceSpec) {
	for _, o := range overrides {
		for _, address := range o.Addresses {
			specs = append(specs, InstanceSpec{
				Namespace: o.Namespace, Service: o.Service, Endpoints: []EndpointSpec{{Address: address}},
			})
		}
	}
	return specs
}

// fixedPart is what of a selector is fixed.
type fixedPart struct {
	instances []*Instance
	services  []*ServiceState
}

// split divides a selector into what is fixed, nil for nothing, and what the
// registry is to be asked for, nil for nothing.
func (f *fixedServices) split(s Selector) (*fixedPart, *Selector) {
	if f == nil {
		return nil, &s
	}
	part := &fixedPart{}
	rest := s.clone()
	wanted := s.matchNames()
	if s.Prefix == nil {
		rest.Services = slices.DeleteFunc(rest.Services, func(n ServiceName) bool { return f.all || f.instances[n] != nil })
	}
	for name, instances := range f.instances {
		if wanted.Match(name.Namespace, name.Service) {
			part.add(name, instances)
			f.tell(name, instances)
		}
	}
	part.sort()
	switch {
	case f.all || s.Prefix == nil && len(rest.Services) == 0:
		return part, nil
	case len(part.services) == 0:
		return nil, &s
	default:
		return part, &rest
	}
}

// matchNames are the services that the selector is about.
func (s Selector) matchNames() rules.MatchNames {
	if s.Prefix != nil {
		return rules.MatchNames{Namespace: s.Prefix.Namespace, Prefix: s.Prefix.Prefix}
	}
	var wanted rules.MatchNames
	for _, name := range s.Services {
		wanted.Services = append(wanted.Services, name.String())
	}
	return wanted
}

func (p *fixedPart) add(name ServiceName, instances []*Instance) {
	p.instances = append(p.instances, instances...)
	p.services = append(p.services, &ServiceState{ServiceName: name})
}

func (p *fixedPart) sort() {
	slices.SortFunc(p.instances, func(a, b *Instance) int { return compareKeys(a.Key, b.Key) })
	slices.SortFunc(p.services, func(a, b *ServiceState) int { return compareServices(a.ServiceName, b.ServiceName) })
}

// tell warns once of each service that a client with a registry does not ask
// for: forgotten overrides are hard to find otherwise.
func (f *fixedServices) tell(name ServiceName, instances []*Instance) {
	f.mu.Lock()
	first := !f.all && !f.told[name]
	f.told[name] = true
	f.mu.Unlock()
	if first {
		f.logger.Warn(textOverridden(name, instances))
	}
}

// addTo puts the fixed part into a view of the rest, in place of whatever the
// registry has of these services.
func (p *fixedPart) addTo(v *View) {
	if p == nil {
		return
	}
	fixed := func(n ServiceName) bool {
		_, found := slices.BinarySearchFunc(p.services, n, func(s *ServiceState, n ServiceName) int {
			return compareServices(s.ServiceName, n)
		})
		return found
	}
	v.instances = mergeInstances(without(v.instances, func(i *Instance) bool { return fixed(i.ServiceName()) }), p.instances)
	v.services = slices.Concat(without(v.services, func(s *ServiceState) bool { return fixed(s.ServiceName) }), p.services)
	slices.SortFunc(v.services, func(a, b *ServiceState) int { return compareServices(a.ServiceName, b.ServiceName) })
	v.forbidden = without(v.forbidden, fixed)
}

func without[T any](list []T, drop func(T) bool) []T {
	if !slices.ContainsFunc(list, drop) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), drop)
}

// showAlone makes v the view of a selector of which everything is fixed.
func (p *fixedPart) showAlone(v *View) {
	v.received, v.source = true, SourceStatic
	v.instances, v.services = p.instances, p.services
	v.snapshots, v.cause = 1, SnapshotFirst
}

// noRegistryError is for what a client without a registry cannot do.
func noRegistryError(op, subject string) *Error {
	return newError(ReasonFeatureNotServed, codes.Unimplemented, op, subject, textNoRegistry(op, subject))
}

// firstAddresses are what the first endpoints of instances are dialled at.
func firstAddresses(instances []*Instance) string {
	var all []string
	for _, i := range instances {
		if len(i.Endpoints) > 0 {
			all = append(all, i.Endpoints[0].Address)
		}
	}
	return cmp.Or(strings.Join(all, ", "), "nothing")
}
