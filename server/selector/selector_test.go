package selector_test

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector"
)

func parse(t testing.TB, text string) *musterv1.Selector {
	t.Helper()
	m := &musterv1.Selector{}
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func compile(t testing.TB, text string) *selector.Selector {
	t.Helper()
	s, err := selector.Compile(parse(t, text))
	if err != nil {
		t.Fatalf("Compile(%s) = %v", text, err)
	}
	return s
}

const shopPay = `"services":{"names":[{"namespace":"shop","service":"pay"}]}`

func TestCanonicalFormByteForByte(t *testing.T) {
	shopPayHex := "01" + "01" + "01000000" + "04000000" + "73686f70" + "03000000" + "706179"
	for _, c := range []struct{ name, selector, want string }{
		{"one service", `{` + shopPay + `}`, shopPayHex},
		{
			"services are a sorted set", `{"services":{"names":[{"namespace":"b","service":"a"},{"namespace":"a","service":"b"},
			{"namespace":"b","service":"a"},{"namespace":"a","service":"a"}]}}`,
			"010103000000" + "01000000610100000061" + "01000000610100000062" + "01000000620100000061",
		},
		{"prefix", `{"prefix":{"namespace":"ab","prefix":"c"}}`, "0102" + "020000006162" + "0100000063"},
		{"everything", `{"prefix":{}}`, "0102" + "00000000" + "00000000"},
		{"empty filter is no filter", `{` + shopPay + `,"filter":{}}`, shopPayHex},
		{"version range", `{` + shopPay + `,"filter":{"versionRange":"1.0.0"}}`, shopPayHex + "01" + "06000000" + hex.EncodeToString([]byte("=1.0.0"))},
		{
			"metadata", `{` + shopPay + `,"filter":{"metadata":[{"key":"b"},{"key":"a","values":["y","x","y"]},{"key":"a","values":["x"]},{"key":"b"}]}}`,
			shopPayHex + "02" + "03000000" + "0100000061" + "01000000" + "0100000078" +
				"0100000061" + "02000000" + "0100000078" + "0100000079" + "0100000062" + "00000000",
		},
		{
			"lists and enums, ascending by field number", `{` + shopPay + `,"filter":{"endpointNames":["e"],"instanceIds":["i"],"zones":["z"],"regions":["r"],
			"lifecycles":["LIFECYCLE_DRAINING","LIFECYCLE_SERVING"],"healths":["HEALTH_DEGRADED"],"shard":{"shardId":258},"capabilities":["c"]}}`,
			shopPayHex + "03" + "01000000" + "0100000063" + "04" + "02" + "02010000" + "05" + "01000000" + "02000000" +
				"06" + "02000000" + "02000000" + "03000000" + "07" + "01000000" + "0100000072" + "08" + "01000000" + "010000007a" +
				"09" + "01000000" + "0100000069" + "0a" + "01000000" + "0100000065",
		},
		{"shard by key", `{` + shopPay + `,"filter":{"shard":{"key":"AP8="}}}`, shopPayHex + "04" + "01" + "02000000" + "00ff"},
		{"shard by the empty key", `{` + shopPay + `,"filter":{"shard":{"key":""}}}`, shopPayHex + "04" + "01" + "00000000"},
	} {
		if got := hex.EncodeToString(compile(t, c.selector).Canonical()); got != c.want {
			t.Errorf("%s: canonical form is\n%s, want\n%s", c.name, got, c.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no names":                 `{}`,
		"no service":               `{"services":{}}`,
		"prefix without namespace": `{"prefix":{"prefix":"p"}}`,
		"bad range":                `{` + shopPay + `,"filter":{"versionRange":"^1.0.0"}}`,
		"shard of no kind":         `{` + shopPay + `,"filter":{"shard":{}}}`,
		"unspecified health":       `{` + shopPay + `,"filter":{"healths":["HEALTH_UNSPECIFIED"]}}`,
		"unknown lifecycle":        `{` + shopPay + `,"filter":{"lifecycles":[77]}}`,
	} {
		if _, err := selector.Compile(parse(t, text)); err == nil {
			t.Errorf("%s: Compile(%s) succeeded", name, text)
		}
	}
	if _, err := selector.Compile(nil); err == nil {
		t.Error("Compile(nil) succeeded")
	}
}

func TestMatchesService(t *testing.T) {
	for _, c := range []struct {
		selector string
		match    []selector.ServiceName
		differ   []selector.ServiceName
	}{
		{`{` + shopPay + `}`, []selector.ServiceName{{"shop", "pay"}}, []selector.ServiceName{{"shop", "pa"}, {"shop", "pay2"}, {"sho", "ppay"}, {"", ""}}},
		{`{"prefix":{"namespace":"shop","prefix":"pa"}}`, []selector.ServiceName{{"shop", "pa"}, {"shop", "pay"}}, []selector.ServiceName{{"shop", "p"}, {"shop2", "pay"}}},
		{`{"prefix":{"namespace":"shop"}}`, []selector.ServiceName{{"shop", "x"}}, []selector.ServiceName{{"shops", "x"}}},
		{`{"prefix":{}}`, []selector.ServiceName{{"shop", "x"}, {"a", "b"}}, nil},
	} {
		s := compile(t, c.selector)
		for _, n := range c.match {
			if !s.MatchesService(n.Namespace, n.Service) {
				t.Errorf("%s does not match %s", c.selector, n)
			}
		}
		for _, n := range c.differ {
			if s.MatchesService(n.Namespace, n.Service) {
				t.Errorf("%s matches %s", c.selector, n)
			}
		}
	}
}

func TestNamesAreAccessible(t *testing.T) {
	s := compile(t, `{"services":{"names":[{"namespace":"b","service":"x"},{"namespace":"a","service":"y"},{"namespace":"b","service":"x"}]}}`)
	exact, ok := s.Services()
	if diff := cmp.Diff([]selector.ServiceName{{"a", "y"}, {"b", "x"}}, exact); diff != "" || !ok {
		t.Errorf("Services() = %v, %v\n%s", exact, ok, diff)
	}
	if _, _, byPrefix := s.Prefix(); byPrefix {
		t.Error("a selector of services has a prefix")
	}
	s = compile(t, `{"prefix":{"namespace":"a","prefix":"b"}}`)
	namespace, prefix, ok := s.Prefix()
	if namespace != "a" || prefix != "b" || !ok {
		t.Errorf("Prefix() = %q, %q, %v", namespace, prefix, ok)
	}
	if _, ok := s.Services(); ok {
		t.Error("a prefix names services")
	}
}

func TestFilterFieldByField(t *testing.T) {
	const instance = `{"namespace":"shop","service":"pay","instanceId":"p1","version":"1.4.0","locality":{"region":"eu","zone":"eu-1"},
		"metadata":{"tier":"gold","empty":""},"capabilities":["zip","resume"],"endpoints":[{"name":"grpc"},{"name":"admin"}],
		"health":"HEALTH_DEGRADED","lifecycle":"LIFECYCLE_STARTING","shard":{"keyRange":{"start":"Yg==","end":"ZA=="}}}`
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{`{}`, true},
		{`{"versionRange":">=1.4.0 <2.0.0"}`, true},
		{`{"versionRange":"<1.4.0"}`, false},
		{`{"metadata":[{"key":"tier"}]}`, true},
		{`{"metadata":[{"key":"tier","values":["iron","gold"]}]}`, true},
		{`{"metadata":[{"key":"tier","values":["iron"]}]}`, false},
		{`{"metadata":[{"key":"tier"},{"key":"none"}]}`, false},
		{`{"metadata":[{"key":"none","values":[""]}]}`, false},
		{`{"metadata":[{"key":"empty","values":[""]}]}`, true},
		{`{"capabilities":["resume","zip"]}`, true},
		{`{"capabilities":["resume","zap"]}`, false},
		{`{"healths":["HEALTH_HEALTHY","HEALTH_DEGRADED"]}`, true},
		{`{"healths":["HEALTH_HEALTHY"]}`, false},
		{`{"lifecycles":["LIFECYCLE_STARTING"]}`, true},
		{`{"lifecycles":["LIFECYCLE_SERVING"]}`, false},
		{`{"regions":["us","eu"]}`, true},
		{`{"regions":["us"]}`, false},
		{`{"zones":["eu-1"]}`, true},
		{`{"zones":["eu-2"]}`, false},
		{`{"instanceIds":["p2","p1"]}`, true},
		{`{"instanceIds":["p2"]}`, false},
		{`{"endpointNames":["x","admin"]}`, true},
		{`{"endpointNames":["x"]}`, false},
		{`{"shard":{"key":"Yg=="}}`, true},
		{`{"shard":{"key":"Y///"}}`, true},
		{`{"shard":{"key":"ZA=="}}`, false},
		{`{"shard":{"key":"YQ=="}}`, false},
		{`{"shard":{"key":""}}`, false},
		{`{"shard":{"shardId":1}}`, false},
		{`{"regions":["eu"],"zones":["eu-2"]}`, false},
		{`{"regions":["eu"],"zones":["eu-1"]}`, true},
	} {
		in := &musterv1.Instance{}
		if err := protojson.Unmarshal([]byte(instance), in); err != nil {
			t.Fatal(err)
		}
		s := compile(t, `{`+shopPay+`,"filter":`+c.filter+`}`)
		if got := s.Match(in); got != c.want || s.Passes(in) != c.want || s.Filtered() != (c.filter != `{}`) {
			t.Errorf("filter %s: Match = %v, Passes = %v, Filtered = %v", c.filter, got, s.Passes(in), s.Filtered())
		}
		in.Service = "other"
		if s.Match(in) || s.Passes(in) != c.want {
			t.Errorf("filter %s: another service: Match = %v, Passes = %v", c.filter, s.Match(in), s.Passes(in))
		}
	}
}

func TestFilterReadsUnsetAsDefault(t *testing.T) {
	bare := &musterv1.Instance{Namespace: "shop", Service: "pay"}
	for filter, want := range map[string]bool{
		`{"healths":["HEALTH_HEALTHY"]}`:        true,
		`{"healths":["HEALTH_UNHEALTHY"]}`:      false,
		`{"lifecycles":["LIFECYCLE_SERVING"]}`:  true,
		`{"lifecycles":["LIFECYCLE_STARTING"]}`: false,
		`{"shard":{"shardId":3}}`:               true,
		`{"shard":{"key":"YQ=="}}`:              true,
		`{"regions":[""]}`:                      true,
		`{"regions":["eu"]}`:                    false,
		`{"versionRange":"!=1.0.0"}`:            false,
	} {
		if got := compile(t, `{`+shopPay+`,"filter":`+filter+`}`).Match(bare); got != want {
			t.Errorf("filter %s: Match = %v, want %v", filter, got, want)
		}
	}
}

func TestShardRangesAreHalfOpenAndMayBeUnbounded(t *testing.T) {
	for _, c := range []struct {
		start, end, key string
		want            bool
	}{
		{"", "", "", true},
		{"", "", "x", true},
		{"b", "", "b", true},
		{"b", "", "zz", true},
		{"b", "", "a", false},
		{"", "b", "", true},
		{"", "b", "az", true},
		{"", "b", "b", false},
	} {
		in := &musterv1.Instance{Shard: &musterv1.Shard{Kind: &musterv1.Shard_KeyRange{
			KeyRange: &musterv1.KeyRange{Start: []byte(c.start), End: []byte(c.end)},
		}}}
		s, err := selector.Compile(&musterv1.Selector{
			Names:  &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{}},
			Filter: &musterv1.InstanceFilter{Shard: &musterv1.ShardMatch{Kind: &musterv1.ShardMatch_Key{Key: []byte(c.key)}}},
		})
		if err != nil || s.Match(in) != c.want {
			t.Errorf("range [%q, %q) and key %q: %v, want %v", c.start, c.end, c.key, !c.want, c.want)
		}
	}
	ids := &musterv1.Instance{Shard: &musterv1.Shard{Kind: &musterv1.Shard_ShardIds{ShardIds: &musterv1.ShardIds{Ids: []uint32{1, 5}}}}}
	for filter, want := range map[string]bool{`{"shardId":5}`: true, `{"shardId":4}`: false, `{"key":"BQ=="}`: false} {
		if got := compile(t, `{"prefix":{},"filter":{"shard":`+filter+`}}`).Match(ids); got != want {
			t.Errorf("ids 1, 5 and %s: %v, want %v", filter, got, want)
		}
	}
}

// drawSelector draws from a small alphabet, so that equal sets are likely.
func drawSelector(t *rapid.T) *musterv1.Selector {
	word := rapid.SampledFrom([]string{"", "a", "b", "ab", "aa", "é"})
	words := rapid.SliceOfN(word, 0, 3)
	m := &musterv1.Selector{}
	if rapid.Bool().Draw(t, "prefix") {
		m.Names = &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{Namespace: "n" + word.Draw(t, "ns"), Prefix: word.Draw(t, "p")}}
	} else {
		names := &musterv1.ServiceNames{}
		for range rapid.IntRange(1, 3).Draw(t, "n") {
			names.Names = append(names.Names, &musterv1.ServiceName{Namespace: word.Draw(t, "ns"), Service: word.Draw(t, "svc")})
		}
		m.Names = &musterv1.Selector_Services{Services: names}
	}
	f := &musterv1.InstanceFilter{
		VersionRange:  rapid.SampledFrom([]string{"", "1.0.0", "=1.0.0", ">=1.0.0 <2.0.0", "<2.0.0 >=1.0.0"}).Draw(t, "range"),
		Capabilities:  words.Draw(t, "caps"),
		Regions:       words.Draw(t, "regions"),
		Zones:         words.Draw(t, "zones"),
		InstanceIds:   words.Draw(t, "ids"),
		EndpointNames: words.Draw(t, "endpoints"),
		Healths:       rapid.SliceOfN(rapid.SampledFrom([]musterv1.Health{1, 2, 3}), 0, 2).Draw(t, "healths"),
		Lifecycles:    rapid.SliceOfN(rapid.SampledFrom([]musterv1.Lifecycle{1, 2, 3}), 0, 2).Draw(t, "lifecycles"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "m") {
		f.Metadata = append(f.Metadata, &musterv1.MetadataMatch{Key: word.Draw(t, "key"), Values: words.Draw(t, "values")})
	}
	switch rapid.IntRange(0, 2).Draw(t, "shard") {
	case 1:
		f.Shard = &musterv1.ShardMatch{Kind: &musterv1.ShardMatch_Key{Key: []byte(word.Draw(t, "shardkey"))}}
	case 2:
		f.Shard = &musterv1.ShardMatch{Kind: &musterv1.ShardMatch_ShardId{ShardId: rapid.Uint32Range(0, 2).Draw(t, "shardid")}}
	}
	m.Filter = f
	return m
}

// disorder shuffles and repeats the elements of every list.
func disorder(m *musterv1.Selector, seed uint64) *musterv1.Selector {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's own randomness
	m = proto.CloneOf(m)
	if names := m.GetServices(); names != nil {
		names.Names = disorderList(r, names.GetNames())
	}
	f := m.GetFilter()
	for _, match := range f.GetMetadata() {
		match.Values = disorderList(r, match.GetValues())
	}
	f.Metadata = disorderList(r, f.GetMetadata())
	f.Capabilities = disorderList(r, f.GetCapabilities())
	f.Regions = disorderList(r, f.GetRegions())
	f.Zones = disorderList(r, f.GetZones())
	f.InstanceIds = disorderList(r, f.GetInstanceIds())
	f.EndpointNames = disorderList(r, f.GetEndpointNames())
	f.Healths = disorderList(r, f.GetHealths())
	f.Lifecycles = disorderList(r, f.GetLifecycles())
	return m
}

func disorderList[E any](r *rand.Rand, list []E) []E {
	if len(list) == 0 {
		return nil
	}
	list = append(slices.Clone(list), list[r.IntN(len(list))])
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func TestOrderAndDuplicatesMeanNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawSelector(t)
		a, errA := selector.Compile(m)
		b, errB := selector.Compile(disorder(m, rapid.Uint64().Draw(t, "seed")))
		if errA != nil || errB != nil {
			t.Fatalf("Compile = %v, %v", errA, errB)
		}
		if !bytes.Equal(a.Canonical(), b.Canonical()) || a.ViewID("x") != b.ViewID("x") {
			t.Fatalf("canonical forms differ:\n%x\n%x", a.Canonical(), b.Canonical())
		}
	})
}

func TestCompileDoesNotChangeItsInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := disorder(drawSelector(t), 7)
		before := proto.CloneOf(m)
		if _, err := selector.Compile(m); err != nil || !proto.Equal(before, m) {
			t.Fatalf("Compile changed %v to %v (%v)", before, m, err)
		}
	})
}

// TestCanonicalFormIsUnambiguous compares forms of selectors that differ.
func TestCanonicalFormIsUnambiguous(t *testing.T) {
	forms := map[string]string{}
	for _, text := range []string{
		`{"services":{"names":[{"namespace":"a","service":"bc"}]}}`, `{"services":{"names":[{"namespace":"ab","service":"c"}]}}`,
		`{"prefix":{"namespace":"a","prefix":"bc"}}`, `{"prefix":{"namespace":"ab","prefix":"c"}}`, `{"prefix":{"namespace":"a"}}`,
		`{"prefix":{"namespace":"a"},"filter":{"regions":["x"]}}`, `{"prefix":{"namespace":"a"},"filter":{"zones":["x"]}}`,
		`{"prefix":{"namespace":"a"},"filter":{"regions":["x","y"]}}`, `{"prefix":{"namespace":"a"},"filter":{"regions":["xy"]}}`,
		`{"prefix":{"namespace":"a"},"filter":{"metadata":[{"key":"k","values":["v"]},{"key":"l"}]}}`,
		`{"prefix":{"namespace":"a"},"filter":{"metadata":[{"key":"k"},{"key":"l","values":["v"]}]}}`,
		`{"prefix":{"namespace":"a"},"filter":{"shard":{"key":"AQAAAA=="}}}`, `{"prefix":{"namespace":"a"},"filter":{"shard":{"shardId":1}}}`,
	} {
		form := string(compile(t, text).Canonical())
		if other, ok := forms[form]; ok {
			t.Errorf("%s and %s have one form", text, other)
		}
		forms[form] = text
	}
}

func TestViewIDDependsOnAccessClassAndSelector(t *testing.T) {
	a, b := compile(t, `{`+shopPay+`}`), compile(t, `{"prefix":{}}`)
	ids := []uint64{a.ViewID(""), a.ViewID("x"), b.ViewID(""), b.ViewID("x")}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 4 || slices.Contains(ids, 0) {
		t.Errorf("view ids %x are not distinct", ids)
	}
}

func FuzzCompile(f *testing.F) {
	for _, text := range []string{`{` + shopPay + `}`, `{"prefix":{},"filter":{"versionRange":">=1.0.0","shard":{"key":"AA=="},"healths":[1]}}`} {
		wire, err := proto.Marshal(parse(f, text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := &musterv1.Selector{}
		if proto.Unmarshal(wire, m) != nil {
			return
		}
		s, err := selector.Compile(m)
		if err != nil {
			return
		}
		s.Match(&musterv1.Instance{Version: "1.0.0"})
		if s.ViewID("") == 0 {
			t.Fatal("view id 0")
		}
	})
}

func benchmarkInstance() *musterv1.Instance {
	return &musterv1.Instance{
		Namespace: "shop", Service: "pay", InstanceId: "pay-7", Version: "1.4.2",
		Metadata: map[string]string{"tier": "gold"}, Locality: &musterv1.Locality{Region: "eu-west", Zone: "eu-west-1a"},
	}
}

func BenchmarkMatch(b *testing.B) {
	s := compile(b, `{`+shopPay+`,"filter":{"versionRange":">=1.2.0 <2.0.0","metadata":[{"key":"tier","values":["gold"]}],"regions":["eu-west"]}}`)
	in := benchmarkInstance()
	b.ReportAllocs()
	for b.Loop() {
		if !s.Match(in) {
			b.Fatal("no match")
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	m := parse(b, `{`+shopPay+`,"filter":{"versionRange":">=1.2.0 <2.0.0"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := selector.Compile(m); err != nil {
			b.Fatal(err)
		}
	}
}
