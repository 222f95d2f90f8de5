package validate

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Limits are what a server allows. They may be configured; the bounds in the
// contract's comments may not.
type Limits struct {
	// SubscriptionsPerStream bounds the subscriptions of one watch stream.
	SubscriptionsPerStream int
	// ServicesPerSelector bounds the services that one selector names.
	ServicesPerSelector int
	// InstancesPerLease bounds the instances of one Register. More than 40 do
	// not fit into one etcd transaction.
	InstancesPerLease int
	// LookupInstances bounds what one Lookup answers; above it is
	// RESULT_TOO_LARGE.
	LookupInstances int
	// RequestBytes bounds an encoded request. The transport enforces it.
	RequestBytes int
	// InstanceBytes bounds one encoded instance.
	InstanceBytes int
	// MinTTL and MaxTTL bound the TTL of a lease.
	MinTTL, MaxTTL time.Duration
	// StreamsPerConnection bounds watch and keepalive streams. The transport
	// enforces it.
	StreamsPerConnection int
	// LeasesPerKeepalive bounds the leases of one keepalive request.
	LeasesPerKeepalive int
}

// DefaultLimits are those of a server whose configuration names none.
func DefaultLimits() Limits {
	return Limits{
		SubscriptionsPerStream: 1_000,
		ServicesPerSelector:    1_000,
		InstancesPerLease:      40,
		LookupInstances:        10_000,
		RequestBytes:           4 << 20,
		InstanceBytes:          64 << 10,
		MinTTL:                 time.Second,
		MaxTTL:                 time.Hour,
		StreamsPerConnection:   100,
		LeasesPerKeepalive:     1_024,
	}
}

// Proto writes the limits as clients see them.
func (l Limits) Proto() *musterv1.Limits {
	return &musterv1.Limits{
		SubscriptionsPerStream: number(l.SubscriptionsPerStream),
		ServicesPerSelector:    number(l.ServicesPerSelector),
		InstancesPerLease:      number(l.InstancesPerLease),
		LookupInstances:        number(l.LookupInstances),
		RequestBytes:           number(l.RequestBytes),
		InstanceBytes:          number(l.InstanceBytes),
		MinTtl:                 durationpb.New(l.MinTTL),
		MaxTtl:                 durationpb.New(l.MaxTTL),
		StreamsPerConnection:   number(l.StreamsPerConnection),
		LeasesPerKeepalive:     number(l.LeasesPerKeepalive),
	}
}

// number writes a limit; what does not fit is as good as unlimited.
func number(n int) uint32 {
	return uint32(min(max(int64(n), 0), 1<<32-1)) //nolint:gosec // bounded right here
}
