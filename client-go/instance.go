package muster

import (
	"cmp"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Key names one instance. ID is unique only within its service.
type Key struct {
	// Namespace of the service.
	Namespace string
	// Service within the namespace.
	Service string
	// ID of the instance within the service.
	ID string
}

// String is "namespace/service/id".
func (k Key) String() string { return k.Namespace + "/" + k.Service + "/" + k.ID }

// ServiceName is the service that k belongs to.
func (k Key) ServiceName() ServiceName { return ServiceName{k.Namespace, k.Service} }

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Service, b.Service), cmp.Compare(a.ID, b.ID))
}

// ServiceName is the full name of a service.
type ServiceName struct {
	// Namespace of the service.
	Namespace string
	// Service within the namespace.
	Service string
}

// String is "namespace/service".
func (s ServiceName) String() string { return s.Namespace + "/" + s.Service }

func compareServices(a, b ServiceName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Service, b.Service))
}

// Position is a place in the registry's history. Revisions of different
// epochs do not compare.
type Position struct {
	// Epoch is the history.
	Epoch uint64
	// Revision is the commit within it.
	Revision uint64
}

// atLeast tells whether p is q or later in the same history.
func (p Position) atLeast(q Position) bool {
	return p.Epoch == q.Epoch && p.Revision >= q.Revision
}

// Instance is one running process of a service. Instances of a View are
// shared: do not change them.
type Instance struct {
	Key
	// Version of the release, as semantic version; empty if unversioned.
	Version string
	// Endpoints are what clients dial.
	Endpoints []Endpoint
	// Locality is where the process runs.
	Locality Locality
	// Weight is the share of new requests relative to others; 0 takes none.
	Weight uint32
	// Lifecycle is what the process is doing with its life.
	Lifecycle Lifecycle
	// Shard is the part of a sharded service that it serves; nil is all.
	Shard *Shard
	// Metadata is anything else.
	Metadata map[string]string
	// Capabilities are optional abilities.
	Capabilities []string
	// SchemaVersion is the version of the form of this entry.
	SchemaVersion uint32
	// Health is the verdict over HealthSlots.
	Health Health
	// HealthSlots are who says what, at most one per source.
	HealthSlots []HealthSlot
	// Incarnation rises with each registration of the instance.
	Incarnation uint64
	// CreateRevision is when the key came to exist.
	CreateRevision uint64
	// ModifyRevision is when it changed last.
	ModifyRevision uint64
	// CreateTime is CreateRevision by the writing server's clock; for people.
	CreateTime time.Time
	// ModifyTime is ModifyRevision by the writing server's clock; for people.
	ModifyTime time.Time
	// Origin is set on instances of another region.
	Origin *Origin
	// Unconfirmed is set by the client on an instance that a registry which
	// lost history has not seen again yet. It may be called.
	Unconfirmed bool

	tag uint64
}

// Endpoint is one thing that clients dial.
type Endpoint struct {
	// Name of the port, such as "grpc".
	Name string
	// Address is host:port.
	Address string
	// Protocol is what is spoken there.
	Protocol Protocol
	// Security tells whether the connection is encrypted.
	Security Security
	// ServerName is the name in the certificate; empty is "service.namespace".
	ServerName string
	// Authority is the :authority of requests; empty is ServerName.
	Authority string
}

// Locality is where an instance runs; empty parts are unknown.
type Locality struct {
	// Region such as "eu-west".
	Region string
	// Zone within the region.
	Zone string
}

// Shard is the part of a sharded service that an instance serves: the keys
// from Start to before End, or if IDs is not empty these shard numbers.
type Shard struct {
	// Start is the first key; empty is the lowest.
	Start []byte
	// End is the first key after; empty is past the highest.
	End []byte
	// IDs are shard numbers, ascending.
	IDs []uint32
}

// HealthSlot is one source's word on an instance.
type HealthSlot struct {
	// Source says it.
	Source HealthSource
	// Health is what it says.
	Health Health
	// Reason is why, for people.
	Reason string
	// Since is when it began, by the server's clock; for people.
	Since time.Time
}

// Origin tells where an imported instance comes from.
type Origin struct {
	// Region it was imported from.
	Region string
	// ClusterID there.
	ClusterID string
	// Position there.
	Position Position
}

// ServiceState is what the registry remembers of a service apart from its
// instances.
type ServiceState struct {
	ServiceName
	// Policy is how operators want traffic spread; nil if they said nothing.
	Policy *TrafficPolicy
	// Held tells whether expiry is held back in some part of the service.
	Held bool
	// Emptied tells how the last instance went; nil if there are instances.
	Emptied *Emptied
	// CreateRevision is when the state came to exist.
	CreateRevision uint64
	// ModifyRevision is when it changed last.
	ModifyRevision uint64

	tag uint64
}

// Emptied tells how a service lost its last instance.
type Emptied struct {
	// Reason of the last removal.
	Reason RemovalReason
	// InstanceID that went last.
	InstanceID string
	// Revision at which it went.
	Revision uint64
	// Time by the server's clock; for people. Zero if unknown.
	Time time.Time
}

func keyOf(k *musterv1.InstanceKey) Key {
	return Key{k.GetNamespace(), k.GetService(), k.GetInstanceId()}
}
