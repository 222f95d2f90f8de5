package rules

import (
	"cmp"
	"encoding/binary"
)

// SlotKey is what a connection is for: instances with equal keys share one. All
// parts are the contract's names and texts; a key without address is none.
type SlotKey struct {
	// Protocol that is spoken, such as "GRPC".
	Protocol string
	// Address is host:port.
	Address string
	// ServerName is the name wanted in the certificate.
	ServerName string
	// Security is how it is dialled, such as "TLS".
	Security string
	// Authority is the :authority of requests.
	Authority string
}

func (k SlotKey) parts() [5]string {
	return [...]string{k.Protocol, k.Address, k.ServerName, k.Security, k.Authority}
}

// CompareSlotKeys orders keys by their parts, as bytes.
func CompareSlotKeys(a, b SlotKey) int {
	return cmp.Or(
		cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Address, b.Address), cmp.Compare(a.ServerName, b.ServerName),
		cmp.Compare(a.Security, b.Security), cmp.Compare(a.Authority, b.Authority),
	)
}

// append writes the key as it is hashed: each part behind its length.
func (k SlotKey) append(b []byte) []byte {
	for _, part := range k.parts() {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}
