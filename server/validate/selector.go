package validate

import (
	"strconv"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector/semver"
)

// MaxFilterItems bounds each list of an InstanceFilter.
const MaxFilterItems = 1_000

// Selector checks a selector. What it accepts, selector.Compile compiles.
func (v *Validator) Selector(s *musterv1.Selector) error {
	var r report
	at := field(nil, "selector")
	v.selector(&r, &at, s)
	return r.err()
}

func (v *Validator) selector(r *report, at *path, s *musterv1.Selector) {
	switch names := s.GetNames().(type) {
	case *musterv1.Selector_Services:
		v.checkServiceNames(r, at, names.Services.GetNames())
	case *musterv1.Selector_Prefix:
		in := field(at, "prefix")
		checkServicePrefix(r, &in, names.Prefix)
	default:
		r.refuse(at, "", "", "must name services or a prefix")
	}
	if len(s.ProtoReflect().GetUnknown()) > 0 {
		r.notServed(at, "", FeatureServerSideSelectors)
	}
	if s.GetFilter() != nil {
		in := field(at, "filter")
		v.checkFilter(r, &in, s.GetFilter())
	}
}

func (v *Validator) checkServiceNames(r *report, at *path, names []*musterv1.ServiceName) {
	switch {
	case len(names) == 0:
		r.refuse(at, "services.names", "", "must hold at least one service")
	case len(names) > v.limits.ServicesPerSelector:
		r.exceed(at, "services.names", "services_per_selector", v.limits.ServicesPerSelector, len(names))
	default:
		for i, n := range names {
			in := element(at, "services.names", i)
			checkServiceName(r, &in, n)
		}
	}
}

func checkServiceName(r *report, at *path, n *musterv1.ServiceName) {
	r.checkSyntax(at, "namespace", n.GetNamespace(), &namespaceSyntax)
	r.checkSyntax(at, "service", n.GetService(), &serviceSyntax)
}

func checkServicePrefix(r *report, at *path, p *musterv1.ServicePrefix) {
	namespace, prefix := p.GetNamespace(), p.GetPrefix()
	if namespace == "" && prefix != "" {
		r.refuse(at, "namespace", "", "must be set, since prefix is; leave both empty for every service of every namespace")
	}
	if namespace != "" {
		r.checkSyntax(at, "namespace", namespace, &namespaceSyntax)
	}
	if !servicePrefix(prefix) {
		r.refuse(at, "prefix", prefix, "must be the beginning of a service name, which "+serviceSyntax.rule)
	}
}

// checkFilter refuses fields that it does not know: to ignore one would send
// the client more than it asked for.
func (v *Validator) checkFilter(r *report, at *path, f *musterv1.InstanceFilter) {
	if isEmptyFilter(f) {
		return
	}
	if !v.served[FeatureServerSideSelectors] || len(f.ProtoReflect().GetUnknown()) > 0 {
		r.notServed(at, "", FeatureServerSideSelectors)
		return
	}
	if _, err := semver.ParseRange(f.GetVersionRange()); err != nil {
		r.refuse(at, "version_range", f.GetVersionRange(), err.Error())
	}
	checkMetadataMatches(r, at, f.GetMetadata())
	checkItems(r, at, "capabilities", f.GetCapabilities(), keySyntax.allows, keySyntax.rule)
	if f.GetShard() != nil && f.GetShard().GetKind() == nil {
		r.refuse(at, "shard", "", "must be a key or a shard_id; leave it unset for all shards")
	}
	checkEnums(r, at, "healths", f.GetHealths(), musterv1.Health_HEALTH_UNHEALTHY, "must be HEALTHY, DEGRADED or UNHEALTHY")
	checkEnums(r, at, "lifecycles", f.GetLifecycles(), musterv1.Lifecycle_LIFECYCLE_DRAINING, "must be STARTING, SERVING or DRAINING")
	checkItems(r, at, "regions", f.GetRegions(), isPlace, "must be at most 63 bytes")
	checkItems(r, at, "zones", f.GetZones(), isPlace, "must be at most 63 bytes")
	checkItems(r, at, "instance_ids", f.GetInstanceIds(), AnyInstanceID, instanceIDSyntax.rule)
	checkItems(r, at, "endpoint_names", f.GetEndpointNames(), endpointNameSyntax.allows, endpointNameSyntax.rule)
}

// isEmptyFilter tells whether a filter that is there says nothing.
func isEmptyFilter(f *musterv1.InstanceFilter) bool {
	return f.GetVersionRange() == "" && f.GetShard() == nil && len(f.GetMetadata())+len(f.GetCapabilities())+
		len(f.GetHealths())+len(f.GetLifecycles())+len(f.GetRegions())+len(f.GetZones())+
		len(f.GetInstanceIds())+len(f.GetEndpointNames())+len(f.ProtoReflect().GetUnknown()) == 0
}

func isPlace(name string) bool { return len(name) <= MaxLocalityBytes }

func checkMetadataMatches(r *report, at *path, matches []*musterv1.MetadataMatch) {
	if !checkCount(r, at, "metadata", len(matches)) {
		return
	}
	for i, m := range matches {
		in := element(at, "metadata", i)
		r.checkSyntax(&in, "key", m.GetKey(), &keySyntax)
		checkCount(r, &in, "values", len(m.GetValues()))
	}
}

func checkItems(r *report, at *path, name string, items []string, allows func(string) bool, rule string) {
	if !checkCount(r, at, name, len(items)) {
		return
	}
	for i, item := range items {
		if !allows(item) {
			in := element(at, name, i)
			r.refuse(&in, "", item, rule)
		}
	}
}

func checkEnums[E interface {
	~int32
	String() string
}](r *report, at *path, name string, items []E, last E, rule string) {
	if !checkCount(r, at, name, len(items)) {
		return
	}
	for i, e := range items {
		if e <= 0 || e > last {
			in := element(at, name, i)
			r.refuse(&in, "", e.String(), rule)
		}
	}
}

func checkCount(r *report, at *path, name string, n int) bool {
	if n > MaxFilterItems {
		r.refuse(at, name, strconv.Itoa(n), "is their number, which must be at most 1000")
	}
	return n <= MaxFilterItems
}
