package validate_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/validate"
)

func services(n int) *musterv1.Selector_Services {
	name := &musterv1.ServiceName{Namespace: "shop", Service: "pay"}
	return &musterv1.Selector_Services{Services: &musterv1.ServiceNames{Names: slices.Repeat([]*musterv1.ServiceName{name}, n)}}
}

func prefix(namespace, prefix string) *musterv1.Selector_Prefix {
	return &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{Namespace: namespace, Prefix: prefix}}
}

func plain() *musterv1.Selector {
	return &musterv1.Selector{Names: services(1), Filter: &musterv1.InstanceFilter{}}
}

func TestSelectorNames(t *testing.T) {
	type m = *musterv1.Selector
	check(t, plain, everything.Selector, []bound[m]{
		accepted("no filter", func(s m) { s.Filter = nil }),
		refused("no names", "selector", func(s m) { s.Names = nil }),
		refused("no service", "selector.services.names", func(s m) { s.Names = services(0) }),
		accepted("1000 services", func(s m) { s.Names = services(1000) }),
		{"1001 services", func(s m) { s.Names = services(1001) }, "selector.services.names", limitExceeded},
		refused("bad namespace", "selector.services.names[0].namespace", func(s m) { s.GetServices().Names[0].Namespace = "" }),
		refused("bad service", "selector.services.names[0].service", func(s m) { s.GetServices().Names[0].Service = "A" }),
		accepted("every service", func(s m) { s.Names = prefix("", "") }),
		accepted("every service of a namespace", func(s m) { s.Names = prefix("shop", "") }),
		accepted("prefix", func(s m) { s.Names = prefix("shop", "pay-") }),
		accepted("longest prefix", func(s m) { s.Names = prefix("shop", strings.Repeat("a", 63)) }),
		refused("too long a prefix", "selector.prefix.prefix", func(s m) { s.Names = prefix("shop", strings.Repeat("a", 64)) }),
		refused("prefix that ends no name", "selector.prefix.prefix", func(s m) { s.Names = prefix("shop", strings.Repeat("a", 62)+"-") }),
		refused("prefix of no name", "selector.prefix.prefix", func(s m) { s.Names = prefix("shop", "-pay") }),
		refused("prefix without namespace", "selector.prefix.namespace", func(s m) { s.Names = prefix("", "pay") }),
		refused("bad namespace of prefix", "selector.prefix.namespace", func(s m) { s.Names = prefix("Shop", "") }),
	})
}

func TestSelectorFilter(t *testing.T) {
	type m = *musterv1.Selector
	filter := func(change func(f *musterv1.InstanceFilter)) func(m) { return func(s m) { change(s.GetFilter()) } }
	x63 := strings.Repeat("x", 63)
	strs := func(n int) []string { return slices.Repeat([]string{"a"}, n) }
	cases := []bound[m]{
		accepted("range", filter(func(f *musterv1.InstanceFilter) { f.VersionRange = ">=1.0.0 <2.0.0" })),
		refused("bad range", "selector.filter.version_range", filter(func(f *musterv1.InstanceFilter) { f.VersionRange = "^1" })),
		refused("shard of no kind", "selector.filter.shard", filter(func(f *musterv1.InstanceFilter) { f.Shard = &musterv1.ShardMatch{} })),
		accepted("metadata", filter(func(f *musterv1.InstanceFilter) {
			f.Metadata = slices.Repeat([]*musterv1.MetadataMatch{{Key: "k", Values: strs(1000)}}, 1000)
		})),
		refused("too much metadata", "selector.filter.metadata", filter(func(f *musterv1.InstanceFilter) {
			f.Metadata = slices.Repeat([]*musterv1.MetadataMatch{{Key: "k"}}, 1001)
		})),
		refused("too many values", "selector.filter.metadata[0].values", filter(func(f *musterv1.InstanceFilter) {
			f.Metadata = []*musterv1.MetadataMatch{{Key: "k", Values: strs(1001)}}
		})),
		refused("bad key", "selector.filter.metadata[0].key", filter(func(f *musterv1.InstanceFilter) { f.Metadata = []*musterv1.MetadataMatch{{Key: "a b"}} })),
		accepted("healths", filter(func(f *musterv1.InstanceFilter) { f.Healths = []musterv1.Health{1, 2, 3} })),
		refused("unspecified health", "selector.filter.healths[1]", filter(func(f *musterv1.InstanceFilter) { f.Healths = []musterv1.Health{1, 0} })),
		refused("unknown health", "selector.filter.healths[0]", filter(func(f *musterv1.InstanceFilter) { f.Healths = []musterv1.Health{4} })),
		accepted("lifecycles", filter(func(f *musterv1.InstanceFilter) { f.Lifecycles = []musterv1.Lifecycle{1, 2, 3} })),
		refused("unknown lifecycle", "selector.filter.lifecycles[0]", filter(func(f *musterv1.InstanceFilter) { f.Lifecycles = []musterv1.Lifecycle{-1} })),
		refused("too many lifecycles", "selector.filter.lifecycles", filter(func(f *musterv1.InstanceFilter) {
			f.Lifecycles = slices.Repeat([]musterv1.Lifecycle{1}, 1001)
		})),
		accepted("imported id", filter(func(f *musterv1.InstanceFilter) { f.InstanceIds = []string{"p1@eu-west"} })),
		refused("bad id", "selector.filter.instance_ids[0]", filter(func(f *musterv1.InstanceFilter) { f.InstanceIds = []string{"@eu"} })),
		refused("id of no region", "selector.filter.instance_ids[0]", filter(func(f *musterv1.InstanceFilter) { f.InstanceIds = []string{"p@"} })),
		accepted("unknown place", filter(func(f *musterv1.InstanceFilter) { f.Regions = []string{""} })),
		accepted("longest zone", filter(func(f *musterv1.InstanceFilter) { f.Zones = []string{x63} })),
		refused("too long a zone", "selector.filter.zones[0]", filter(func(f *musterv1.InstanceFilter) { f.Zones = []string{x63 + "x"} })),
		refused("too long a region", "selector.filter.regions[0]", filter(func(f *musterv1.InstanceFilter) { f.Regions = []string{x63 + "x"} })),
		refused("bad capability", "selector.filter.capabilities[0]", filter(func(f *musterv1.InstanceFilter) { f.Capabilities = []string{""} })),
		refused("bad endpoint", "selector.filter.endpoint_names[0]", filter(func(f *musterv1.InstanceFilter) { f.EndpointNames = []string{"A"} })),
	}
	for name, list := range map[string]func(f *musterv1.InstanceFilter) *[]string{
		"capabilities":   func(f *musterv1.InstanceFilter) *[]string { return &f.Capabilities },
		"regions":        func(f *musterv1.InstanceFilter) *[]string { return &f.Regions },
		"zones":          func(f *musterv1.InstanceFilter) *[]string { return &f.Zones },
		"instance_ids":   func(f *musterv1.InstanceFilter) *[]string { return &f.InstanceIds },
		"endpoint_names": func(f *musterv1.InstanceFilter) *[]string { return &f.EndpointNames },
	} {
		cases = append(cases,
			accepted("1000 "+name, filter(func(f *musterv1.InstanceFilter) { *list(f) = strs(1000) })),
			refused("1001 "+name, "selector.filter."+name, filter(func(f *musterv1.InstanceFilter) { *list(f) = strs(1001) })))
	}
	check(t, plain, everything.Selector, cases)
}

// TestUnknownFilterFieldsAreRefused holds since a filter that is not applied
// sends a client what it did not ask for.
func TestUnknownFilterFieldsAreRefused(t *testing.T) {
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)
	for name, change := range map[string]func(*musterv1.Selector){
		"selector": func(s *musterv1.Selector) { s.ProtoReflect().SetUnknown(unknown) },
		"filter":   func(s *musterv1.Selector) { s.GetFilter().ProtoReflect().SetUnknown(unknown) },
	} {
		s := plain()
		change(s)
		if err := everything.Selector(s); reasonOf(err) != featureNotServed {
			t.Errorf("%s: validate answers %v", name, err)
		}
		if _, err := selector.Compile(s); err == nil {
			t.Errorf("%s: compiles", name)
		}
	}
}

func TestFilterNeedsItsFeature(t *testing.T) {
	v := validate.New(validate.DefaultLimits())
	s := plain()
	if err := v.Selector(s); err != nil {
		t.Errorf("an empty filter: %v", err)
	}
	s.Filter.Zones = []string{"a"}
	if err := v.Selector(s); reasonOf(err) != featureNotServed {
		t.Errorf("a filter: %v", err)
	}
}

func TestLookup(t *testing.T) {
	type m = *musterv1.LookupRequest
	check(t, func() m { return &musterv1.LookupRequest{Selector: plain()} }, everything.Lookup, []bound[m]{
		refused("no selector", "selector", func(r m) { r.Selector = nil }),
		accepted("position", func(r m) { r.MinPosition = &musterv1.Position{Epoch: 1, Revision: 1} }),
		refused("revision without epoch", "min_position.epoch", func(r m) { r.MinPosition = &musterv1.Position{Revision: 1} }),
		accepted("linearizable", func(r m) { r.Consistency = musterv1.Consistency_CONSISTENCY_LINEARIZABLE }),
		refused("unknown consistency", "consistency", func(r m) { r.Consistency = 3 }),
	})
	v := validate.New(validate.DefaultLimits())
	err := v.Lookup(&musterv1.LookupRequest{Selector: plain(), Consistency: musterv1.Consistency_CONSISTENCY_LINEARIZABLE})
	if reasonOf(err) != featureNotServed {
		t.Errorf("linearizable without the feature: %v", err)
	}
}

func TestListServices(t *testing.T) {
	type m = *musterv1.ListServicesRequest
	size := func(n int32) func(m) { return func(r m) { r.PageSize = n } }
	check(t, func() m { return &musterv1.ListServicesRequest{} }, everything.ListServices, []bound[m]{
		accepted("1", size(1)), accepted("1000", size(1000)), refused("1001", "page_size", size(1001)), refused("-1", "page_size", size(-1)),
		accepted("namespace", func(r m) { r.Namespace = "shop" }),
		refused("bad namespace", "namespace", func(r m) { r.Namespace = "Shop" }),
		accepted("prefix of all namespaces", func(r m) { r.Prefix = "pay" }),
		refused("bad prefix", "prefix", func(r m) { r.Prefix = "/" }),
		refused("long token", "page_token", func(r m) { r.PageToken = strings.Repeat("a", 1025) }),
	})
	if validate.PageSize(0) != 100 || validate.PageSize(7) != 7 {
		t.Error("page size")
	}
}

func subscriptions(n int) []*musterv1.Subscription {
	var list []*musterv1.Subscription
	for i := range n {
		list = append(list, &musterv1.Subscription{SubscriptionId: uint32(i), Selector: plain()}) //nolint:gosec // small
	}
	return list
}

func TestWatch(t *testing.T) {
	type m = *musterv1.WatchRequest
	check(t, func() m { return &musterv1.WatchRequest{Subscriptions: subscriptions(2)} }, everything.Watch, []bound[m]{
		refused("none", "subscriptions", func(r m) { r.Subscriptions = nil }),
		accepted("1000", func(r m) { r.Subscriptions = subscriptions(1000) }),
		{"1001", func(r m) { r.Subscriptions = subscriptions(1001) }, "subscriptions", limitExceeded},
		refused("an id twice", "subscriptions[1].subscription_id", func(r m) { r.Subscriptions[1].SubscriptionId = 0 }),
		refused("bad selector", "subscriptions[1].selector", func(r m) { r.Subscriptions[1].Selector = nil }),
	})
}

func TestUpdateWatchAndAckWatch(t *testing.T) {
	type m = *musterv1.UpdateWatchRequest
	check(t, func() m {
		return &musterv1.UpdateWatchRequest{StreamId: "s", Add: subscriptions(2), Remove: []uint32{9}}
	}, everything.UpdateWatch, []bound[m]{
		refused("no stream", "stream_id", func(r m) { r.StreamId = "" }),
		refused("long stream", "stream_id", func(r m) { r.StreamId = strings.Repeat("s", 129) }),
		{"1001", func(r m) { r.Add = subscriptions(1001) }, "add", limitExceeded},
		refused("an id twice", "add[1].subscription_id", func(r m) { r.Add[1].SubscriptionId = 0 }),
		refused("bad selector", "add[0].selector", func(r m) { r.Add[0].Selector = nil }),
	})
	type a = *musterv1.AckWatchRequest
	check(t, func() a { return &musterv1.AckWatchRequest{StreamId: "s", Epoch: 1} }, everything.AckWatch, []bound[a]{
		refused("no stream", "stream_id", func(r a) { r.StreamId = "" }),
		refused("no epoch", "epoch", func(r a) { r.Epoch = 0 }),
		accepted("1000 views", func(r a) { r.ViewIds = make([]uint64, 1000) }),
		{"1001 views", func(r a) { r.ViewIds = make([]uint64, 1001) }, "view_ids", limitExceeded},
	})
}

func TestReportOutcomes(t *testing.T) {
	type m = *musterv1.ReportOutcomesRequest
	outcome := func() *musterv1.InstanceOutcome {
		return &musterv1.InstanceOutcome{Key: &musterv1.InstanceKey{Namespace: "shop", Service: "pay", InstanceId: "p1@eu"}}
	}
	good := func() m { return &musterv1.ReportOutcomesRequest{Outcomes: []*musterv1.InstanceOutcome{outcome()}} }
	check(t, good, everything.ReportOutcomes, []bound[m]{
		refused("no key", "outcomes[0].key.service", func(r m) { r.Outcomes[0].Key.Service = "" }),
		accepted("10000", func(r m) { r.Outcomes = slices.Repeat(r.GetOutcomes(), 10_000) }),
		refused("10001", "outcomes", func(r m) { r.Outcomes = slices.Repeat(r.GetOutcomes(), 10_001) }),
	})
	if err := validate.New(validate.DefaultLimits()).ReportOutcomes(good()); reasonOf(err) != featureNotServed {
		t.Errorf("without the feature: %v", err)
	}
}
