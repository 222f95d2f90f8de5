package validate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/validate"
)

type instanceBound = bound[*musterv1.Instance]

func checkInstance(t *testing.T, cases []instanceBound) {
	t.Helper()
	check(t, typical, everything.Instance, cases)
}

// names makes cases for a field that holds a name.
func names(field string, set func(*musterv1.Instance, string), good, bad []string) []instanceBound {
	var cases []instanceBound
	for _, name := range good {
		cases = append(cases, accepted("good "+field+" "+name, func(in *musterv1.Instance) { set(in, name) }))
	}
	for _, name := range bad {
		cases = append(cases, refused("bad "+field+" "+name, field, func(in *musterv1.Instance) { set(in, name) }))
	}
	return cases
}

func TestNamesOfAnInstance(t *testing.T) {
	x63, x128 := strings.Repeat("x", 63), strings.Repeat("x", 128)
	checkInstance(t, names("namespace", func(in *musterv1.Instance, s string) { in.Namespace = s },
		[]string{"a", "0", "a-b", "a--b", x63},
		[]string{"", x63 + "x", "-a", "a-", "A", "a.b", "a_b", "é", "a b", "a/b", "a\x00"}))
	checkInstance(t, names("service", func(in *musterv1.Instance, s string) { in.Service = s },
		[]string{"a", "0", "a-b.c_d", "a..b", x63},
		[]string{"", x63 + "x", "-a", ".a", "_a", "a-", "a.", "a_", "A", "a:b", "é", "a/b"}))
	checkInstance(t, names("instance_id", func(in *musterv1.Instance, s string) { in.InstanceId = s },
		[]string{"a", "Z", "10.0.0.1:8080", "a-b.c_d:e", x128},
		[]string{"", x128 + "x", "-a", "a:", ":a", "a@eu", "a b", "é", "a/b"}))
}

func TestVersionOfAnInstance(t *testing.T) {
	checkInstance(t, names("version", func(in *musterv1.Instance, s string) { in.Version = s },
		[]string{"", "0.0.0", "1.2.3-rc.1+b", "1.0.0-" + strings.Repeat("a", 122)},
		[]string{"v1.2.3", "1.2", "1.2.3-", "latest", "1.0.0-" + strings.Repeat("a", 123)}))
}

func endpoints(n int) []*musterv1.Endpoint {
	var list []*musterv1.Endpoint
	for i := range n {
		list = append(list, &musterv1.Endpoint{Name: fmt.Sprintf("e%d", i), Address: "10.0.0.1:80"})
	}
	return list
}

func TestEndpointsOfAnInstance(t *testing.T) {
	checkInstance(t, []instanceBound{
		accepted("none", func(in *musterv1.Instance) { in.Endpoints = nil }),
		accepted("16", func(in *musterv1.Instance) { in.Endpoints = endpoints(16) }),
		refused("17", "endpoints", func(in *musterv1.Instance) { in.Endpoints = endpoints(17) }),
		refused("equal names", "endpoints[1].name", func(in *musterv1.Instance) { in.Endpoints[1].Name = "grpc" }),
		accepted("longest name", func(in *musterv1.Instance) { in.Endpoints[0].Name = strings.Repeat("x", 63) }),
		accepted("dashes", func(in *musterv1.Instance) { in.Endpoints[0].Name = "-" }),
		refused("too long a name", "endpoints[0].name", func(in *musterv1.Instance) { in.Endpoints[0].Name = strings.Repeat("x", 64) }),
		refused("no name", "endpoints[0].name", func(in *musterv1.Instance) { in.Endpoints[0].Name = "" }),
		refused("upper case", "endpoints[0].name", func(in *musterv1.Instance) { in.Endpoints[0].Name = "Grpc" }),
		accepted("last protocol", func(in *musterv1.Instance) { in.Endpoints[0].Protocol = musterv1.Protocol_PROTOCOL_UDP }),
		refused("unknown protocol", "endpoints[0].protocol", func(in *musterv1.Instance) { in.Endpoints[0].Protocol = 5 }),
		refused("negative protocol", "endpoints[0].protocol", func(in *musterv1.Instance) { in.Endpoints[0].Protocol = -1 }),
		accepted("mutual TLS", func(in *musterv1.Instance) { in.Endpoints[0].Security = 3 }),
		refused("unknown security", "endpoints[1].security", func(in *musterv1.Instance) { in.Endpoints[1].Security = 4 }),
		accepted("server name", func(in *musterv1.Instance) { in.Endpoints[0].ServerName = "pay.shop.svc." }),
		accepted("server name is an address", func(in *musterv1.Instance) { in.Endpoints[0].ServerName = "2001:db8::1" }),
		refused("server name with port", "endpoints[0].server_name", func(in *musterv1.Instance) { in.Endpoints[0].ServerName = "pay:80" }),
		accepted("authority", func(in *musterv1.Instance) { in.Endpoints[0].Authority = "pay.shop:80" }),
		accepted("longest authority", func(in *musterv1.Instance) { in.Endpoints[0].Authority = strings.Repeat("a", 255) }),
		refused("too long an authority", "endpoints[0].authority", func(in *musterv1.Instance) { in.Endpoints[0].Authority = strings.Repeat("a", 256) }),
		refused("authority with path", "endpoints[0].authority", func(in *musterv1.Instance) { in.Endpoints[0].Authority = "a/b" }),
		refused("authority with newline", "endpoints[0].authority", func(in *musterv1.Instance) { in.Endpoints[0].Authority = "a\nb" }),
	})
}

func TestAddressesOfEndpoints(t *testing.T) {
	label := strings.Repeat("a", 63)
	longest := strings.Join([]string{label, label, label, strings.Repeat("a", 61)}, ".")
	for _, address := range []string{
		"10.0.0.1:1", "10.0.0.1:65535", "127.0.0.1:80", "[::1]:80", "[2001:db8::1]:443", "[::ffff:10.0.0.1]:80",
		"localhost:80", "pay.shop.svc.cluster.local:80", "pay.shop.svc.cluster.local.:80", "my_host:80", "a-b:80", "1a:80",
		"3com.example:80", longest + ":80", longest + ".:80",
	} {
		in := typical()
		in.Endpoints[0].Address = address
		if err := everything.Instance(in); err != nil {
			t.Errorf("%q is refused: %v", address, err)
		}
	}
	for _, address := range []string{
		"", ":", "10.0.0.1", "localhost", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:080", "10.0.0.1:+80", "10.0.0.1:-1",
		"10.0.0.1:http", "10.0.0.1:80 ", "10.0.0.1:８０", ":80", "0.0.0.0:80", "[::]:80", "[0:0:0:0:0:0:0:0]:80", "[::ffff:0.0.0.0]:80",
		"::1:80", "2001:db8::1:80", "[::1]", "[::1]80", "[10.0.0.1]:80", "[]:80", "[localhost]:80", "[fe80::1%eth0]:80",
		"10.0.0.256:80", "10.0.0.01:80", "10.0.0:80", "1.2.3.4.5:80", "-a:80", "a-:80", "a..b:80", ".a:80", "a b:80", "é.fr:80",
		label + "a:80", "a" + longest + ":80", "http://a:80", "a:80/x", "a:80:90", ".:80", "user@a:80",
	} {
		in := typical()
		in.Endpoints[1].Address = address
		err := everything.Instance(in)
		got := fields(t, err)
		if len(got) != 1 || got[0] != "endpoints[1].address" {
			t.Errorf("%q: refuses %q, want the address", address, got)
			continue
		}
		if reason := reasonOf(err); reason != invalidEndpoint {
			t.Errorf("%q: reason is %v", address, reason)
		}
	}
}

func TestPlaceWeightAndLifecycle(t *testing.T) {
	x63 := strings.Repeat("x", 63)
	checkInstance(t, []instanceBound{
		accepted("no locality", func(in *musterv1.Instance) { in.Locality = nil }),
		accepted("longest region and zone", func(in *musterv1.Instance) { in.Locality = &musterv1.Locality{Region: x63, Zone: x63} }),
		refused("region", "locality.region", func(in *musterv1.Instance) { in.Locality.Region = x63 + "x" }),
		refused("zone", "locality.zone", func(in *musterv1.Instance) { in.Locality.Zone = x63 + "x" }),
		accepted("no weight", func(in *musterv1.Instance) { in.Weight = nil }),
		accepted("weight 0", func(in *musterv1.Instance) { in.Weight = proto.Uint32(0) }),
		accepted("greatest weight", func(in *musterv1.Instance) { in.Weight = proto.Uint32(1_000_000) }),
		refused("weight", "weight", func(in *musterv1.Instance) { in.Weight = proto.Uint32(1_000_001) }),
		accepted("starting", func(in *musterv1.Instance) { in.Lifecycle = musterv1.Lifecycle_LIFECYCLE_STARTING }),
		accepted("serving", func(in *musterv1.Instance) { in.Lifecycle = musterv1.Lifecycle_LIFECYCLE_SERVING }),
		refused("draining", "lifecycle", func(in *musterv1.Instance) { in.Lifecycle = musterv1.Lifecycle_LIFECYCLE_DRAINING }),
		refused("unknown lifecycle", "lifecycle", func(in *musterv1.Instance) { in.Lifecycle = 4 }),
		accepted("no self health", func(in *musterv1.Instance) { in.SelfHealth = nil }),
		accepted("worst self health", func(in *musterv1.Instance) { in.SelfHealth.Health = 3 }),
		refused("unknown self health", "self_health.health", func(in *musterv1.Instance) { in.SelfHealth.Health = 4 }),
		accepted("longest reason", func(in *musterv1.Instance) { in.SelfHealth.Reason = strings.Repeat("r", 256) }),
		refused("reason", "self_health.reason", func(in *musterv1.Instance) { in.SelfHealth.Reason = strings.Repeat("r", 257) }),
	})
}

func keyRange(start, end string) *musterv1.Shard {
	return &musterv1.Shard{Kind: &musterv1.Shard_KeyRange{KeyRange: &musterv1.KeyRange{Start: []byte(start), End: []byte(end)}}}
}

func shardIDs(ids ...uint32) *musterv1.Shard {
	return &musterv1.Shard{Kind: &musterv1.Shard_ShardIds{ShardIds: &musterv1.ShardIds{Ids: ids}}}
}

func manyIDs(n uint32) *musterv1.Shard {
	var ids []uint32
	for i := range n {
		ids = append(ids, i)
	}
	return shardIDs(ids...)
}

func TestShardOfAnInstance(t *testing.T) {
	set := func(s *musterv1.Shard) func(*musterv1.Instance) {
		return func(in *musterv1.Instance) { in.Shard = s }
	}
	checkInstance(t, []instanceBound{
		accepted("range", set(keyRange("a", "b"))),
		accepted("whole range", set(keyRange("", ""))),
		accepted("to the highest", set(keyRange("b", ""))),
		refused("range of nothing", "shard.key_range", set(keyRange("b", "b"))),
		refused("range backwards", "shard.key_range", set(keyRange("b", "a"))),
		refused("no kind", "shard", set(&musterv1.Shard{})),
		accepted("one id", set(shardIDs(0))),
		accepted("1024 ids", set(manyIDs(1024))),
		refused("no id", "shard.shard_ids.ids", set(shardIDs())),
		refused("1025 ids", "shard.shard_ids.ids", set(manyIDs(1025))),
		refused("repeated ids", "shard.shard_ids.ids", set(shardIDs(1, 2, 2))),
		refused("unsorted ids", "shard.shard_ids.ids", set(shardIDs(2, 1))),
	})
}

func metadata(keys, bytesTogether int) map[string]string {
	m := make(map[string]string, keys)
	for i := range keys {
		m[fmt.Sprintf("key-%02d", i)] = ""
		bytesTogether -= 6
	}
	if bytesTogether > 0 {
		m["key-00"] = strings.Repeat("v", bytesTogether)
	}
	return m
}

func TestMetadataOfAnInstance(t *testing.T) {
	set := func(m map[string]string) func(*musterv1.Instance) {
		return func(in *musterv1.Instance) { in.Metadata = m }
	}
	x63 := strings.Repeat("x", 63)
	checkInstance(t, []instanceBound{
		accepted("none", set(nil)),
		accepted("64 keys", set(metadata(64, 0))),
		refused("65 keys", "metadata", set(metadata(65, 0))),
		accepted("16 KiB", set(metadata(2, 16<<10))),
		refused("a byte more", "metadata", set(metadata(2, 16<<10+1))),
		accepted("longest key", set(map[string]string{x63: ""})),
		accepted("all kinds of characters", set(map[string]string{"aZ09-._/": "é\x00"})),
		refused("too long a key", `metadata["`+x63+`x"]`, set(map[string]string{x63 + "x": ""})),
		refused("empty key", `metadata[""]`, set(map[string]string{"": "v"})),
		refused("colon", `metadata["a:b"]`, set(map[string]string{"a:b": ""})),
		refused("quote", `metadata["a\"b"]`, set(map[string]string{`a"b`: ""})),
	})
}

func capabilities(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("c%d", i))
	}
	return list
}

func TestCapabilitiesOfAnInstance(t *testing.T) {
	set := func(list ...string) func(*musterv1.Instance) {
		return func(in *musterv1.Instance) { in.Capabilities = list }
	}
	checkInstance(t, []instanceBound{
		accepted("64", set(capabilities(64)...)),
		refused("65", "capabilities", set(capabilities(65)...)),
		accepted("like a metadata key", set("aZ09-._/")),
		refused("empty", "capabilities[1]", set("a", "")),
		refused("space", "capabilities[0]", set("a b")),
		refused("duplicate", "capabilities[2]", set("a", "b", "a")),
	})
}

func TestChecksOfAnInstance(t *testing.T) {
	good := func() *musterv1.Instance {
		in := typical()
		in.Checks = []*musterv1.HealthCheck{{Endpoint: "grpc", Kind: &musterv1.HealthCheck_Grpc{Grpc: &musterv1.GrpcHealthCheck{}}}}
		return in
	}
	interval := func(d time.Duration) func(*musterv1.Instance) {
		return func(in *musterv1.Instance) { in.Checks[0].Interval = durationpb.New(d) }
	}
	timeout := func(d time.Duration) func(*musterv1.Instance) {
		return func(in *musterv1.Instance) { in.Checks[0].Timeout = durationpb.New(d) }
	}
	http := func(path string) func(*musterv1.Instance) {
		return func(in *musterv1.Instance) {
			in.Checks[0].Kind = &musterv1.HealthCheck_Http{Http: &musterv1.HttpHealthCheck{Path: path}}
		}
	}
	many := func(n int) func(*musterv1.Instance) {
		return func(in *musterv1.Instance) {
			for len(in.Checks) < n {
				in.Checks = append(in.Checks, in.GetChecks()[0])
			}
		}
	}
	check(t, good, everything.Instance, []instanceBound{
		accepted("16", many(16)),
		refused("17", "checks", many(17)),
		refused("no kind", "checks[0].kind", func(in *musterv1.Instance) { in.Checks[0].Kind = nil }),
		refused("no endpoint", "checks[0].endpoint", func(in *musterv1.Instance) { in.Checks[0].Endpoint = "" }),
		refused("unknown endpoint", "checks[0].endpoint", func(in *musterv1.Instance) { in.Checks[0].Endpoint = "x" }),
		accepted("tcp", func(in *musterv1.Instance) { in.Checks[0].Kind = &musterv1.HealthCheck_Tcp{} }),
		accepted("path", http("/healthz?x=1")),
		refused("path without slash", "checks[0].http.path", http("healthz")),
		refused("path with newline", "checks[0].http.path", http("/a\r\nb")),
		accepted("shortest interval", interval(time.Second)),
		refused("shorter interval", "checks[0].interval", func(in *musterv1.Instance) {
			interval(time.Second - 1)(in)
			timeout(time.Millisecond)(in)
		}),
		accepted("longest interval", interval(5*time.Minute)),
		refused("longer interval", "checks[0].interval", interval(5*time.Minute+1)),
		accepted("timeout of an interval", timeout(10*time.Second)),
		refused("longer timeout", "checks[0].timeout", timeout(10*time.Second+1)),
		accepted("shortest timeout", timeout(1)),
		refused("no time at all", "checks[0].timeout", timeout(0)),
		refused("invalid duration", "checks[0].timeout", func(in *musterv1.Instance) {
			in.Checks[0].Timeout = &durationpb.Duration{Seconds: 1, Nanos: -1}
		}),
	})
	without := validate.New(validate.DefaultLimits())
	err := without.Instance(good())
	if got := fields(t, err); len(got) != 1 || got[0] != "checks" || reasonOf(err) != featureNotServed {
		t.Errorf("without the feature: %v", err)
	}
}

func TestSizeOfAnInstance(t *testing.T) {
	limits := validate.DefaultLimits()
	size := proto.Size(typical())
	limits.InstanceBytes = size
	if err := validate.New(limits).Instance(typical()); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	limits.InstanceBytes = size - 1
	err := validate.New(limits).Instance(typical())
	if reasonOf(err) != limitExceeded {
		t.Errorf("above the limit: %v", err)
	}
}
