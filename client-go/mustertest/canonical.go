package mustertest

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// canonical is the one form of a selector that means this, byte by byte
// (docs/protocol.md, section 2.13). The numbers of filter fields are those of
// InstanceFilter. Pure.
func canonical(sel *musterv1.Selector) ([]byte, error) {
	b, err := appendNames([]byte{1}, sel)
	if err != nil {
		return nil, err
	}
	f := sel.GetFilter()
	versions, err := rules.ParseRange(f.GetVersionRange())
	if err != nil {
		return nil, invalid("selector.filter.version_range: %v", err)
	}
	if !versions.Empty() {
		b = appendString(append(b, 1), versions.String())
	}
	b = appendMetadata(b, f.GetMetadata())
	b = appendSet(b, 3, f.GetCapabilities())
	if b, err = appendShard(b, f.GetShard()); err != nil {
		return nil, err
	}
	if b, err = appendEnums(b, 5, musterv1.Health_name, f.GetHealths()); err != nil {
		return nil, err
	}
	if b, err = appendEnums(b, 6, musterv1.Lifecycle_name, f.GetLifecycles()); err != nil {
		return nil, err
	}
	b = appendSet(b, 7, f.GetRegions())
	b = appendSet(b, 8, f.GetZones())
	b = appendSet(b, 9, f.GetInstanceIds())
	return appendSet(b, 10, f.GetEndpointNames()), nil
}

// viewID names the view of a selector in its canonical form, for clients of an
// access class.
func viewID(canonical []byte, accessClass string) uint64 {
	b := appendString(slices.Clone(canonical), accessClass)
	return max(1, xxhash.Sum64(appendNumber(b, 1))) // the filters' version
}

func appendNames(b []byte, sel *musterv1.Selector) ([]byte, error) {
	switch names := sel.GetNames().(type) {
	case *musterv1.Selector_Services:
		var set []serviceName
		for _, n := range names.Services.GetNames() {
			set = append(set, serviceName{n.GetNamespace(), n.GetService()})
		}
		if len(set) == 0 {
			return nil, invalid("selector.services.names: is empty; name at least one service, or use prefix")
		}
		slices.SortFunc(set, serviceName.compare)
		set = slices.Compact(set)
		b = appendNumber(append(b, 1), len(set))
		for _, n := range set {
			b = appendString(appendString(b, n.namespace), n.service)
		}
		return b, nil
	case *musterv1.Selector_Prefix:
		p := names.Prefix
		if p.GetNamespace() == "" && p.GetPrefix() != "" {
			return nil, invalid("selector.prefix.prefix: %q without a namespace; name the namespace, or leave both empty", p.GetPrefix())
		}
		return appendString(appendString(append(b, 2), p.GetNamespace()), p.GetPrefix()), nil
	}
	return nil, invalid("selector: names no services; set services or prefix")
}

func appendMetadata(b []byte, conditions []*musterv1.MetadataMatch) []byte {
	type condition struct {
		key    string
		values []string
	}
	compare := func(a, b condition) int {
		return cmp.Or(cmp.Compare(a.key, b.key), slices.Compare(a.values, b.values))
	}
	var set []condition
	for _, m := range conditions {
		set = append(set, condition{m.GetKey(), sorted(m.GetValues())})
	}
	if len(set) == 0 {
		return b
	}
	slices.SortFunc(set, compare)
	set = slices.CompactFunc(set, func(x, y condition) bool { return compare(x, y) == 0 })
	b = appendNumber(append(b, 2), len(set))
	for _, m := range set {
		b = appendStrings(appendString(b, m.key), m.values)
	}
	return b
}

func appendShard(b []byte, shard *musterv1.ShardMatch) ([]byte, error) {
	if shard == nil {
		return b, nil
	}
	switch kind := shard.GetKind().(type) {
	case *musterv1.ShardMatch_Key:
		return appendString(append(b, 4, 1), string(kind.Key)), nil
	case *musterv1.ShardMatch_ShardId:
		return appendNumber(append(b, 4, 2), int(kind.ShardId)), nil
	}
	return nil, invalid("selector.filter.shard: says neither key nor shard_id; set one, or leave shard unset")
}

// appendEnums refuses 0 and numbers that are not known: nobody could tell which
// instances they are about.
func appendEnums[E ~int32](b []byte, field byte, known map[int32]string, list []E) ([]byte, error) {
	if len(list) == 0 {
		return b, nil
	}
	set := slices.Clone(list)
	slices.Sort(set)
	set = slices.Compact(set)
	b = appendNumber(append(b, field), len(set))
	for _, e := range set {
		if _, ok := known[int32(e)]; !ok || e == 0 {
			return nil, invalid("selector.filter: %d is no value to select by", e)
		}
		b = appendNumber(b, int(e))
	}
	return b, nil
}

func appendSet(b []byte, field byte, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	return appendStrings(append(b, field), sorted(list))
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func appendStrings(b []byte, list []string) []byte {
	b = appendNumber(b, len(list))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

func appendString(b []byte, s string) []byte { return append(appendNumber(b, len(s)), s...) }

// appendNumber writes a length or a number of 32 bits.
func appendNumber(b []byte, n int) []byte {
	return binary.LittleEndian.AppendUint32(b, uint32(n)) //nolint:gosec // requests are bounded far below 2^32 bytes
}
