package main

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// entryHash is one entry's summand in a view's digest; see docs/protocol.md,
// "Digest".
func entryHash(kind musterv1.EntryKind, namespace, service, id string, modifyRevision, tag uint64) uint64 {
	b := []byte{byte(kind)}
	for _, s := range [...]string{namespace, service, id} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = binary.LittleEndian.AppendUint64(b, modifyRevision)
	b = binary.LittleEndian.AppendUint64(b, tag)
	return xxhash.Sum64(b)
}

func instanceHash(i *musterv1.Instance) uint64 {
	return entryHash(musterv1.EntryKind_ENTRY_KIND_INSTANCE,
		i.GetNamespace(), i.GetService(), i.GetInstanceId(), i.GetModifyRevision(), i.GetTag())
}

func stateHash(s *musterv1.ServiceState) uint64 {
	return entryHash(musterv1.EntryKind_ENTRY_KIND_SERVICE_STATE,
		s.GetNamespace(), s.GetService(), "", s.GetModifyRevision(), s.GetTag())
}
