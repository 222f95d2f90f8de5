package rules

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Kinds of entries, as digests write them.
const (
	// KindInstance is an instance.
	KindInstance = 1
	// KindServiceState is the state of a service; its key has no ID.
	KindServiceState = 2
)

// EntryKey names an entry of a view.
type EntryKey struct {
	Namespace, Service, ID string
}

// EntryHash is the hash of one entry: XXH64, seed 0, of the kind, the three
// parts of the key each behind its length, the modify revision and the tag. The
// digest of a set is the sum of its hashes, modulo 2^64.
func EntryHash(kind byte, key EntryKey, modifyRevision, tag uint64) uint64 {
	var space [256]byte
	b := append(space[:0], kind)
	for _, part := range [...]string{key.Namespace, key.Service, key.ID} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // names are short
		b = append(b, part...)
	}
	b = binary.LittleEndian.AppendUint64(b, modifyRevision)
	b = binary.LittleEndian.AppendUint64(b, tag)
	return xxhash.Sum64(b)
}
