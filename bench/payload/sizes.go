package payload

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// LeaseIDBytes is how long Muster's lease ids are; the driver checks it.
	LeaseIDBytes = 32
	// KeepAliveResponseBytes is the length of an answer that confirms all
	// leases, once the sequence number has three bytes.
	KeepAliveResponseBytes = 4
	// revision and sequence are typical numbers: three bytes long.
	revision, sequence = 100_000, 100_000
)

// RegisterResponseBytes is the length of Muster's usual answer to Register.
var RegisterResponseBytes = len(Encode(&musterv1.RegisterResponse{
	Lease: &musterv1.Lease{
		LeaseId: strings.Repeat("x", LeaseIDBytes), Incarnation: revision, Epoch: 1, Ttl: durationpb.New(DefaultTTL),
	},
	ClusterId: strings.Repeat("x", LeaseIDBytes), Epoch: 1, Revision: revision,
}))

// KeepAliveRequestBytes is the length of a request that renews n leases.
func KeepAliveRequestBytes(n int) int {
	return 1 + protowire.SizeVarint(sequence) + n*(1+protowire.SizeBytes(LeaseIDBytes))
}

// AppendLeaseID adds a lease to an encoded KeepAliveRequest.
func AppendLeaseID(b []byte, id string) []byte {
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	return protowire.AppendString(b, id)
}

// AppendSequence adds the sequence number to an encoded KeepAliveRequest.
func AppendSequence(b []byte, n uint64) []byte {
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	return protowire.AppendVarint(b, n)
}
