package mustertest

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

func entryHash(kind byte, namespace, service, id string, modifyRevision, tag uint64) uint64 {
	b := []byte{kind}
	for _, part := range []string{namespace, service, id} {
		b = appendString(b, part)
	}
	b = binary.LittleEndian.AppendUint64(b, modifyRevision)
	return xxhash.Sum64(binary.LittleEndian.AppendUint64(b, tag))
}
