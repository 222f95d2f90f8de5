package selector

import "encoding/binary"

// The tags of the canonical form. The numbers of filter fields are those of
// InstanceFilter.
const (
	canonicalVersion = 1

	tagServices = 1
	tagPrefix   = 2

	fieldVersionRange  = 1
	fieldMetadata      = 2
	fieldCapabilities  = 3
	fieldShard         = 4
	fieldHealths       = 5
	fieldLifecycles    = 6
	fieldRegions       = 7
	fieldZones         = 8
	fieldInstanceIDs   = 9
	fieldEndpointNames = 10

	tagShardKey = 1
	tagShardID  = 2
)

func (s *Selector) appendCanonical(buf []byte) []byte {
	buf = append(buf, canonicalVersion)
	if s.byPrefix {
		buf = append(buf, tagPrefix)
		buf = appendString(buf, s.namespace)
		buf = appendString(buf, s.prefix)
	} else {
		buf = append(buf, tagServices)
		buf = appendCount(buf, len(s.exact))
		for _, n := range s.exact {
			buf = appendString(buf, n.Namespace)
			buf = appendString(buf, n.Service)
		}
	}
	return s.filter.appendCanonical(buf)
}

// appendCanonical writes the fields that are set, in ascending order of their
// numbers.
func (f *filter) appendCanonical(buf []byte) []byte {
	if !f.versions.Empty() {
		buf = append(buf, fieldVersionRange)
		buf = appendString(buf, f.versions.String())
	}
	if len(f.metadata) > 0 {
		buf = append(buf, fieldMetadata)
		buf = appendCount(buf, len(f.metadata))
		for _, m := range f.metadata {
			buf = appendString(buf, m.key)
			buf = appendStrings(buf, m.values)
		}
	}
	buf = appendStringField(buf, fieldCapabilities, f.capabilities)
	if f.shard != nil {
		buf = append(buf, fieldShard)
		buf = f.shard.appendCanonical(buf)
	}
	buf = appendEnumField(buf, fieldHealths, f.healths)
	buf = appendEnumField(buf, fieldLifecycles, f.lifecycles)
	buf = appendStringField(buf, fieldRegions, f.regions)
	buf = appendStringField(buf, fieldZones, f.zones)
	buf = appendStringField(buf, fieldInstanceIDs, f.instanceIDs)
	return appendStringField(buf, fieldEndpointNames, f.endpointNames)
}

func (m *shardMatch) appendCanonical(buf []byte) []byte {
	if m.byID {
		return binary.LittleEndian.AppendUint32(append(buf, tagShardID), m.id)
	}
	buf = appendCount(append(buf, tagShardKey), len(m.key))
	return append(buf, m.key...)
}

func appendStringField(buf []byte, field byte, list []string) []byte {
	if len(list) == 0 {
		return buf
	}
	return appendStrings(append(buf, field), list)
}

func appendEnumField(buf []byte, field byte, list []uint32) []byte {
	if len(list) == 0 {
		return buf
	}
	buf = appendCount(append(buf, field), len(list))
	for _, e := range list {
		buf = binary.LittleEndian.AppendUint32(buf, e)
	}
	return buf
}

func appendStrings(buf []byte, list []string) []byte {
	buf = appendCount(buf, len(list))
	for _, s := range list {
		buf = appendString(buf, s)
	}
	return buf
}

func appendString(buf []byte, s string) []byte {
	return append(appendCount(buf, len(s)), s...)
}

// appendCount writes a length. Requests are bounded far below 2^32 bytes.
func appendCount(buf []byte, n int) []byte {
	return binary.LittleEndian.AppendUint32(buf, uint32(n)) //nolint:gosec // see above
}
