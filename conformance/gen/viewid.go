package main

import (
	"cmp"
	"encoding/json"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// filterVersion is part of every view id.
const filterVersion = 1

type viewIDVectors struct {
	About   string          `json:"about"`
	Cases   []viewIDCase    `json:"cases"`
	Refused []refusedVector `json:"refused"`
}

type viewIDCase struct {
	Name        string          `json:"name"`
	Selector    json.RawMessage `json:"selector"`
	Wire        string          `json:"wire"`
	AccessClass string          `json:"access_class"`
	Canonical   string          `json:"canonical"`
	ViewID      string          `json:"view_id"`
}

type refusedVector struct {
	Name     string          `json:"name"`
	Selector json.RawMessage `json:"selector"`
	Wire     string          `json:"wire"`
}

// viewIDOf makes a case. The normalised version range is written by hand, so
// that this program needs no grammar of its own.
func viewIDOf(name, selector, accessClass, normalisedRange string) viewIDCase {
	s, wire := selectorOf(selector)
	canonical := canonicalForm(s, normalisedRange)
	buf := str(slices.Clone(canonical), accessClass)
	id := max(xxh64(u32(buf, filterVersion)), 1)
	return viewIDCase{name, json.RawMessage(selector), wire, accessClass, hexOf(canonical), decimal(id)}
}

// selectorOf reads a selector and gives the hex of its encoding.
func selectorOf(text string) (*musterv1.Selector, string) {
	s := &musterv1.Selector{}
	if err := protojson.Unmarshal([]byte(text), s); err != nil {
		panic(text + ": " + err.Error())
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	if err != nil {
		panic(err)
	}
	return s, hexOf(wire)
}

func refused(name, selector string) refusedVector {
	_, wire := selectorOf(selector)
	return refusedVector{name, json.RawMessage(selector), wire}
}

func canonicalForm(s *musterv1.Selector, normalisedRange string) []byte {
	buf := []byte{1}
	if p := s.GetPrefix(); p != nil {
		buf = str(append(buf, 2), p.GetNamespace())
		buf = str(buf, p.GetPrefix())
	} else {
		buf = canonicalServices(append(buf, 1), s.GetServices().GetNames())
	}
	f := s.GetFilter()
	if normalisedRange != "" {
		buf = str(append(buf, 1), normalisedRange)
	}
	buf = canonicalMetadata(buf, f.GetMetadata())
	buf = canonicalStrings(buf, 3, f.GetCapabilities())
	switch kind := f.GetShard().GetKind().(type) {
	case *musterv1.ShardMatch_Key:
		buf = str(append(buf, 4, 1), string(kind.Key))
	case *musterv1.ShardMatch_ShardId:
		buf = u32(append(buf, 4, 2), kind.ShardId)
	}
	buf = canonicalEnums(buf, 5, f.GetHealths())
	buf = canonicalEnums(buf, 6, f.GetLifecycles())
	buf = canonicalStrings(buf, 7, f.GetRegions())
	buf = canonicalStrings(buf, 8, f.GetZones())
	buf = canonicalStrings(buf, 9, f.GetInstanceIds())
	return canonicalStrings(buf, 10, f.GetEndpointNames())
}

func canonicalServices(buf []byte, names []*musterv1.ServiceName) []byte {
	type pair struct{ namespace, service string }
	var list []pair
	for _, n := range names {
		list = append(list, pair{n.GetNamespace(), n.GetService()})
	}
	slices.SortFunc(list, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.service, b.service))
	})
	list = slices.Compact(list)
	buf = u32(buf, uint32(len(list))) //nolint:gosec // short
	for _, n := range list {
		buf = str(str(buf, n.namespace), n.service)
	}
	return buf
}

func canonicalMetadata(buf []byte, matches []*musterv1.MetadataMatch) []byte {
	type match struct {
		key    string
		values []string
	}
	var list []match
	for _, m := range matches {
		list = append(list, match{m.GetKey(), sorted(m.GetValues())})
	}
	order := func(a, b match) int { return cmp.Or(cmp.Compare(a.key, b.key), slices.Compare(a.values, b.values)) }
	slices.SortFunc(list, order)
	list = slices.CompactFunc(list, func(a, b match) bool { return order(a, b) == 0 })
	if len(list) == 0 {
		return buf
	}
	buf = u32(append(buf, 2), uint32(len(list))) //nolint:gosec // short
	for _, m := range list {
		buf = strs(str(buf, m.key), m.values)
	}
	return buf
}

func canonicalStrings(buf []byte, field byte, list []string) []byte {
	if len(list) == 0 {
		return buf
	}
	return strs(append(buf, field), list)
}

func canonicalEnums[E ~int32](buf []byte, field byte, list []E) []byte {
	if len(list) == 0 {
		return buf
	}
	list = slices.Clone(list)
	slices.Sort(list)
	list = slices.Compact(list)
	buf = u32(append(buf, field), uint32(len(list))) //nolint:gosec // short
	for _, e := range list {
		buf = u32(buf, uint32(e)) //nolint:gosec // above 0
	}
	return buf
}

func viewIDFile() any {
	const pay = `"services":{"names":[{"namespace":"shop","service":"pay"}]}`
	plain := func(name, selector string) viewIDCase { return viewIDOf(name, selector, "", "") }
	ranged := func(name, filter, normalised string) viewIDCase {
		return viewIDOf(name, `{`+pay+`,"filter":{"versionRange":"`+filter+`"}}`, "", normalised)
	}
	return viewIDVectors{
		About: "view_id = XXH64 of canonical, then the access class as string, then the filter version 1 as u32. See docs/protocol.md, section 2.13.",
		Cases: []viewIDCase{
			plain("one service", `{`+pay+`}`),
			viewIDOf("another access class is another view", `{`+pay+`}`, "team-a", ""),
			plain("services are a sorted set", `{"services":{"names":[{"namespace":"shop","service":"pay"},{"namespace":"shop","service":"cart"},{"namespace":"ops","service":"pay"},{"namespace":"shop","service":"pay"}]}}`),
			plain("the same services in another order", `{"services":{"names":[{"namespace":"ops","service":"pay"},{"namespace":"shop","service":"cart"},{"namespace":"shop","service":"pay"}]}}`),
			plain("lengths keep names apart, one way", `{"services":{"names":[{"namespace":"a","service":"bc"}]}}`),
			plain("lengths keep names apart, other way", `{"services":{"names":[{"namespace":"ab","service":"c"}]}}`),
			plain("a prefix", `{"prefix":{"namespace":"shop","prefix":"pay"}}`),
			plain("all services of a namespace", `{"prefix":{"namespace":"shop"}}`),
			plain("all services", `{"prefix":{}}`),
			plain("an empty filter is no filter", `{`+pay+`,"filter":{}}`),
			ranged("a version alone means =", `1.2.3`, "=1.2.3"),
			ranged("a range is normalised: sorted as bytes", `>=1.2.0 <2.0.0`, "<2.0.0 >=1.2.0"),
			ranged("a range is normalised: spaces, duplicates, build parts", ` <2.0.0+b   >=1.2.0 <2.0.0 `, "<2.0.0 >=1.2.0"),
			plain("metadata, sorted by key and values", `{`+pay+`,"filter":{"metadata":[{"key":"tier","values":["gold","iron","gold"]},{"key":"team"},{"key":"tier","values":["gold"]},{"key":"team"}]}}`),
			plain("a key that exists and a key of one empty value differ", `{`+pay+`,"filter":{"metadata":[{"key":"team","values":[""]}]}}`),
			plain("capabilities", `{`+pay+`,"filter":{"capabilities":["zip","resume","zip"]}}`),
			plain("a shard by key", `{`+pay+`,"filter":{"shard":{"key":"AP8="}}}`),
			plain("a shard by the empty key", `{`+pay+`,"filter":{"shard":{"key":""}}}`),
			plain("a shard by number", `{`+pay+`,"filter":{"shard":{"shardId":258}}}`),
			plain("shard number 0 is set", `{`+pay+`,"filter":{"shard":{"shardId":0}}}`),
			plain("healths and lifecycles", `{`+pay+`,"filter":{"healths":["HEALTH_DEGRADED","HEALTH_HEALTHY","HEALTH_HEALTHY"],"lifecycles":["LIFECYCLE_SERVING"]}}`),
			plain("regions and zones", `{`+pay+`,"filter":{"regions":["eu-west"],"zones":["eu-west-1b","eu-west-1a"]}}`),
			plain("zones alone are not regions", `{`+pay+`,"filter":{"zones":["eu-west"]}}`),
			plain("ids and endpoint names", `{`+pay+`,"filter":{"instanceIds":["pay-7","pay-1@eu"],"endpointNames":["grpc"]}}`),
			viewIDOf("everything at once", `{"prefix":{"namespace":"shop","prefix":"p"},"filter":{"versionRange":">=1.0.0","metadata":[{"key":"k","values":["é"]}],"capabilities":["c"],"shard":{"shardId":1},"healths":["HEALTH_UNHEALTHY"],"lifecycles":["LIFECYCLE_STARTING"],"regions":["r"],"zones":["z"],"instanceIds":["i"],"endpointNames":["e"]}}`, "x", ">=1.0.0"),
		},
		Refused: []refusedVector{
			refused("no names", `{}`),
			refused("no service", `{"services":{}}`),
			refused("a prefix without namespace", `{"prefix":{"prefix":"pay"}}`),
			refused("a range that is none", `{`+pay+`,"filter":{"versionRange":"^1.0.0"}}`),
			refused("a shard of no kind", `{`+pay+`,"filter":{"shard":{}}}`),
			refused("an unspecified health", `{`+pay+`,"filter":{"healths":["HEALTH_UNSPECIFIED"]}}`),
			refused("a lifecycle that is not known", `{`+pay+`,"filter":{"lifecycles":[77]}}`),
		},
	}
}
