package muster

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Kinds of entries, as the digest writes them.
const (
	kindInstance     = 1
	kindServiceState = 2
)

// entryHash is the hash of one entry: XXH64, seed 0, of the kind, the three
// parts of the key each behind its length, the modify revision and the tag.
// docs/protocol.md section 3 gives it byte by byte.
func entryHash(kind byte, namespace, service, id string, modifyRevision, tag uint64) uint64 {
	var space [256]byte
	b := append(space[:0], kind)
	for _, part := range [...]string{namespace, service, id} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	b = binary.LittleEndian.AppendUint64(b, modifyRevision)
	b = binary.LittleEndian.AppendUint64(b, tag)
	return xxhash.Sum64(b)
}

func instanceHash(i *Instance) uint64 {
	return entryHash(kindInstance, i.Namespace, i.Service, i.ID, i.ModifyRevision, i.tag)
}

func serviceHash(s *ServiceState) uint64 {
	return entryHash(kindServiceState, s.Namespace, s.Service, "", s.ModifyRevision, s.tag)
}

// digestOf is the sum of the hashes of all entries, modulo 2^64.
func digestOf(instances []*Instance, services []*ServiceState) uint64 {
	var sum uint64
	for _, i := range instances {
		sum += instanceHash(i)
	}
	for _, s := range services {
		sum += serviceHash(s)
	}
	return sum
}
