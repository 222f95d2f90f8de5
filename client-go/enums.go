package muster

import (
	"strings"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// The numbers of these types are those of the contract.
type (
	// Protocol is what an endpoint speaks.
	Protocol int32
	// Security tells how an endpoint is dialled.
	Security int32
	// Lifecycle is what an instance is doing with its life.
	Lifecycle int32
	// Health is how well an instance does; the numbers rise with badness.
	Health int32
	// HealthSource is who speaks in a health slot.
	HealthSource int32
	// RemovalReason is why an instance left a view.
	RemovalReason int32
	// SnapshotCause is why a view was sent whole.
	SnapshotCause int32
)

// What endpoints speak. The zero value registers as GRPC.
const (
	// ProtocolGRPC is gRPC over HTTP/2.
	ProtocolGRPC = Protocol(musterv1.Protocol_PROTOCOL_GRPC)
	// ProtocolHTTP is HTTP, any version.
	ProtocolHTTP = Protocol(musterv1.Protocol_PROTOCOL_HTTP)
	// ProtocolTCP is a byte stream of the users' own.
	ProtocolTCP = Protocol(musterv1.Protocol_PROTOCOL_TCP)
	// ProtocolUDP is datagrams of the users' own.
	ProtocolUDP = Protocol(musterv1.Protocol_PROTOCOL_UDP)
)

// How endpoints are dialled. The zero value registers as PLAINTEXT.
const (
	// SecurityPlaintext is no encryption.
	SecurityPlaintext = Security(musterv1.TransportSecurity_TRANSPORT_SECURITY_PLAINTEXT)
	// SecurityTLS is TLS with a certificate of the server.
	SecurityTLS = Security(musterv1.TransportSecurity_TRANSPORT_SECURITY_TLS)
	// SecurityMutualTLS is TLS with certificates of both.
	SecurityMutualTLS = Security(musterv1.TransportSecurity_TRANSPORT_SECURITY_MUTUAL_TLS)
)

// What instances do with their lives. The zero value registers as SERVING.
const (
	// Starting is registered, not ready yet: never picked.
	Starting = Lifecycle(musterv1.Lifecycle_LIFECYCLE_STARTING)
	// Serving takes requests.
	Serving = Lifecycle(musterv1.Lifecycle_LIFECYCLE_SERVING)
	// Draining takes no new requests: never picked.
	Draining = Lifecycle(musterv1.Lifecycle_LIFECYCLE_DRAINING)
)

// How well instances do.
const (
	// Healthy works.
	Healthy = Health(musterv1.Health_HEALTH_HEALTHY)
	// Degraded works, but prefer others.
	Degraded = Health(musterv1.Health_HEALTH_DEGRADED)
	// Unhealthy does not work; picked only if too few others are left.
	Unhealthy = Health(musterv1.Health_HEALTH_UNHEALTHY)
)

// Who speaks in health slots.
const (
	// SourceSelf is the process itself.
	SourceSelf = HealthSource(musterv1.HealthSource_HEALTH_SOURCE_SELF)
	// SourceCheck is the registry's active check.
	SourceCheck = HealthSource(musterv1.HealthSource_HEALTH_SOURCE_CHECK)
	// SourceConnection is the registry, judging by a broken keepalive stream.
	SourceConnection = HealthSource(musterv1.HealthSource_HEALTH_SOURCE_CONNECTION)
	// SourceOperator is an operator.
	SourceOperator = HealthSource(musterv1.HealthSource_HEALTH_SOURCE_OPERATOR)
)

// Why instances leave views.
const (
	// RemovalDeregistered is the chosen end.
	RemovalDeregistered = RemovalReason(musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED)
	// RemovalExpired is the missed TTL.
	RemovalExpired = RemovalReason(musterv1.RemovalReason_REMOVAL_REASON_EXPIRED)
	// RemovalOriginLost: the region it was imported from withdrew it.
	RemovalOriginLost = RemovalReason(musterv1.RemovalReason_REMOVAL_REASON_ORIGIN_LOST)
	// RemovalFilteredOut: it exists but no longer matches, or may not be seen.
	RemovalFilteredOut = RemovalReason(musterv1.RemovalReason_REMOVAL_REASON_FILTERED_OUT)
	// RemovalUnknown: nobody knows any more.
	RemovalUnknown = RemovalReason(musterv1.RemovalReason_REMOVAL_REASON_UNKNOWN)
	// RemovalSnapshotAbsent: a snapshot that replaced the view lacked it.
	RemovalSnapshotAbsent = RemovalReason(musterv1.RemovalReason_REMOVAL_REASON_SNAPSHOT_ABSENT)
)

// Why views are sent whole.
const (
	// SnapshotFirst: the client had nothing.
	SnapshotFirst = SnapshotCause(musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST)
	// SnapshotNewEpoch: the client's history is over.
	SnapshotNewEpoch = SnapshotCause(musterv1.SnapshotCause_SNAPSHOT_CAUSE_NEW_EPOCH)
	// SnapshotAccessChanged: the client may see something else than before.
	SnapshotAccessChanged = SnapshotCause(musterv1.SnapshotCause_SNAPSHOT_CAUSE_ACCESS_CHANGED)
	// SnapshotSelectorChanged: the position belonged to another selector.
	SnapshotSelectorChanged = SnapshotCause(musterv1.SnapshotCause_SNAPSHOT_CAUSE_SELECTOR_CHANGED)
	// SnapshotHistoryLost: the client was ahead of the registry.
	SnapshotHistoryLost = SnapshotCause(musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_LOST)
	// SnapshotHistoryCompacted: the client was too far behind.
	SnapshotHistoryCompacted = SnapshotCause(musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED)
)

// String is the name in the contract, such as "GRPC".
func (p Protocol) String() string { return short(musterv1.Protocol(p).String(), "PROTOCOL_") }

// String is the name in the contract, such as "TLS".
func (s Security) String() string {
	return short(musterv1.TransportSecurity(s).String(), "TRANSPORT_SECURITY_")
}

// String is the name in the contract, such as "SERVING".
func (l Lifecycle) String() string { return short(musterv1.Lifecycle(l).String(), "LIFECYCLE_") }

// String is the name in the contract, such as "HEALTHY".
func (h Health) String() string { return short(musterv1.Health(h).String(), "HEALTH_") }

// String is the name in the contract, such as "SELF".
func (s HealthSource) String() string {
	return short(musterv1.HealthSource(s).String(), "HEALTH_SOURCE_")
}

// String is the name in the contract, such as "EXPIRED".
func (r RemovalReason) String() string {
	return short(musterv1.RemovalReason(r).String(), "REMOVAL_REASON_")
}

// String is the name in the contract, such as "FIRST".
func (c SnapshotCause) String() string {
	return short(musterv1.SnapshotCause(c).String(), "SNAPSHOT_CAUSE_")
}

func short(name, prefix string) string { return strings.TrimPrefix(name, prefix) }
