package view

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/muster-registry/muster/server/record"
)

// Entry kinds as the digest numbers them.
const (
	kindInstance     = 1
	kindServiceState = 2
)

// entryHash is one entry's summand in a view's digest (docs/protocol.md,
// "Digest"): XXH64 over kind, key, modify revision and tag, each part with its
// length, so that no two keys run together.
func entryHash(kind byte, name record.InstanceName, modifyRevision, tag uint64) uint64 {
	b := make([]byte, 0, 192)
	b = append(b, kind)
	for _, s := range [...]string{name.Namespace, name.Service, name.ID} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = binary.LittleEndian.AppendUint64(b, modifyRevision)
	b = binary.LittleEndian.AppendUint64(b, tag)
	return xxhash.Sum64(b)
}
