package muster

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Selector says which instances a client wants: services by name, and of
// those the instances that pass the filter. Exactly one of Services and Prefix
// is needed; [Service] makes the usual one. Lists are sets: order and
// duplicates mean nothing, and equal selectors share one watch.
type Selector struct {
	// Services by their full names. Naming a service that was never registered
	// is legal: it appears when it does.
	Services []ServiceName
	// Prefix is every service whose name begins so, those of the future included.
	Prefix *ServicePrefix
	// Filter is which instances of them; the zero value is all. Clients that
	// route should not filter by health or lifecycle.
	Filter Filter
}

// Service selects all instances of one service.
func Service(namespace, service string) Selector {
	return Selector{Services: []ServiceName{{namespace, service}}}
}

// ServicePrefix is all services of one namespace that begin alike.
type ServicePrefix struct {
	// Namespace, whole; empty is every namespace and needs an empty Prefix.
	Namespace string
	// Prefix of the services' names; empty matches all.
	Prefix string
}

// Filter is a conjunction: an instance passes if every field that is set
// matches.
type Filter struct {
	// VersionRange such as ">=1.2.0 <2.0.0".
	VersionRange string
	// Metadata must all match.
	Metadata []MetadataMatch
	// Capabilities that the instance must have.
	Capabilities []string
	// Shard that the instance must serve; nil is any.
	Shard *ShardMatch
	// Healths of which the verdict must be one; empty is any.
	Healths []Health
	// Lifecycles of which the instance's must be one; empty is any.
	Lifecycles []Lifecycle
	// Regions of which the instance's must be one; empty is any.
	Regions []string
	// Zones of which the instance's must be one; empty is any.
	Zones []string
	// InstanceIDs of which the instance's must be one; empty is any.
	InstanceIDs []string
	// EndpointNames of which the instance must have one; empty is any.
	EndpointNames []string
}

// MetadataMatch is a condition on one metadata key.
type MetadataMatch struct {
	// Key that must exist.
	Key string
	// Values of which the value must be one; empty is any.
	Values []string
}

// ShardMatch names the part of a sharded service that is wanted: the shard
// that serves Key, or if Key is nil the shard numbered ID.
type ShardMatch struct {
	// Key to be served.
	Key []byte
	// ID of the shard.
	ID uint32
}

// String is what texts call the selector: the service, a list of them, or
// namespace/prefix*; and that it is filtered, if it is.
func (s Selector) String() string {
	text := s.namesText()
	if proto.Size(s.Filter.proto()) > 0 {
		text += " (filtered)"
	}
	return text
}

func (s Selector) namesText() string {
	switch {
	case s.Prefix != nil && s.Prefix.Namespace == "":
		return s.Prefix.Prefix + "*"
	case s.Prefix != nil:
		return s.Prefix.Namespace + "/" + s.Prefix.Prefix + "*"
	}
	names := make([]string, len(s.Services))
	for i, name := range s.Services {
		names[i] = name.String()
	}
	return strings.Join(names, ", ")
}

// clone copies the lists that the caller could change afterwards.
func (s Selector) clone() Selector {
	s.Services = slices.Clone(s.Services)
	if s.Prefix != nil {
		prefix := *s.Prefix
		s.Prefix = &prefix
	}
	return s
}

// validate finds what no server could accept.
func (s Selector) validate() *Error {
	err := s.validateParts()
	if err != nil {
		err.Op, err.Subject = "select", s.String() // rules that others share name theirs
	}
	return err
}

func (s Selector) validateParts() *Error {
	object := "selector " + s.String()
	refused := func(text string) *Error {
		return newError(ReasonInvalidArgument, codes.InvalidArgument, "select", s.String(), text)
	}
	switch {
	case len(s.Services) == 0 && s.Prefix == nil:
		return refused("selector: no services; name at least one")
	case len(s.Services) > 0 && s.Prefix != nil:
		return refused(textField(object, "prefix", s.Prefix.Prefix, "name services, or one prefix, and not both"))
	case s.Prefix != nil && s.Prefix.Namespace == "" && s.Prefix.Prefix != "":
		return refused(fmt.Sprintf("selector: prefix %q needs a namespace", s.Prefix.Prefix))
	}
	for _, name := range s.Services {
		if err := firstError(validateNamespace(object, name.Namespace), validateServiceName(object, name.Service)); err != nil {
			return err
		}
	}
	if s.Prefix != nil && s.Prefix.Namespace != "" {
		if err := validateNamespace(object, s.Prefix.Namespace); err != nil {
			return err
		}
	}
	_, wrong := rules.ParseRange(s.Filter.VersionRange)
	return require(wrong == nil, object, "version range", s.Filter.VersionRange, rangeRule)
}

// key is equal for selectors of equal meaning, as far as a client can tell
// without reading version ranges. It is the encoded selector with its fields in
// the order of their numbers, which names files of the disk cache in both
// languages; Go's protobuf would write the names, a oneof, last.
func (s Selector) key() string {
	names := s.proto()
	filter := &musterv1.Selector{Filter: names.GetFilter()}
	names.Filter = nil
	deterministic := proto.MarshalOptions{Deterministic: true}
	b, err := deterministic.Marshal(names)
	if err == nil {
		b, err = deterministic.MarshalAppend(b, filter)
	}
	if err != nil { // only for strings that are no UTF-8
		return s.String() + err.Error()
	}
	return string(b)
}

func (s Selector) proto() *musterv1.Selector {
	p := &musterv1.Selector{Filter: s.Filter.proto()}
	if s.Prefix != nil {
		p.Names = &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{
			Namespace: s.Prefix.Namespace, Prefix: s.Prefix.Prefix,
		}}
		return p
	}
	names := slices.Clone(s.Services)
	slices.SortFunc(names, compareServices)
	list := &musterv1.ServiceNames{}
	for _, n := range slices.Compact(names) {
		list.Names = append(list.Names, &musterv1.ServiceName{Namespace: n.Namespace, Service: n.Service})
	}
	p.Names = &musterv1.Selector_Services{Services: list}
	return p
}

// isSet tells whether the filter may leave instances out.
func (f Filter) isSet() bool { return !reflect.ValueOf(f).IsZero() }

func (f Filter) proto() *musterv1.InstanceFilter {
	p := &musterv1.InstanceFilter{
		VersionRange:  f.VersionRange,
		Capabilities:  set(f.Capabilities),
		Healths:       enums[musterv1.Health](f.Healths),
		Lifecycles:    enums[musterv1.Lifecycle](f.Lifecycles),
		Regions:       set(f.Regions),
		Zones:         set(f.Zones),
		InstanceIds:   set(f.InstanceIDs),
		EndpointNames: set(f.EndpointNames),
	}
	matches := slices.Clone(f.Metadata)
	slices.SortStableFunc(matches, func(a, b MetadataMatch) int { return cmp.Compare(a.Key, b.Key) })
	for _, m := range matches {
		p.Metadata = append(p.Metadata, &musterv1.MetadataMatch{Key: m.Key, Values: set(m.Values)})
	}
	if f.Shard != nil {
		p.Shard = &musterv1.ShardMatch{Kind: &musterv1.ShardMatch_ShardId{ShardId: f.Shard.ID}}
		if f.Shard.Key != nil {
			p.Shard.Kind = &musterv1.ShardMatch_Key{Key: f.Shard.Key}
		}
	}
	if proto.Size(p) == 0 {
		return nil
	}
	return p
}

// set sorts a copy and drops duplicates; empty becomes nil.
func set[T cmp.Ordered](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

func enums[P, T ~int32](list []T) []P {
	var out []P
	for _, v := range set(list) {
		out = append(out, P(v))
	}
	return out
}
