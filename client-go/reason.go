package muster

import (
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Reason is the machine-readable cause of an error: the name of a value of
// muster.v1.ErrorReason without its prefix. docs/errors.md lists them with
// what to do.
type Reason string

// Reasons that servers give.
const (
	// ReasonInvalidArgument: a field is wrong; Violations names each.
	ReasonInvalidArgument Reason = "INVALID_ARGUMENT"
	// ReasonInvalidEndpoint: an address cannot be dialled by others.
	ReasonInvalidEndpoint Reason = "INVALID_ENDPOINT"
	// ReasonLimitExceeded: the request exceeds a limit of the server.
	ReasonLimitExceeded Reason = "LIMIT_EXCEEDED"
	// ReasonResultTooLarge: the Lookup would answer too much; subscribe.
	ReasonResultTooLarge Reason = "RESULT_TOO_LARGE"
	// ReasonFeatureNotServed: this server lacks an ability.
	ReasonFeatureNotServed Reason = "FEATURE_NOT_SERVED"
	// ReasonProtocolNotServed: this server does not speak our protocol version.
	ReasonProtocolNotServed Reason = "PROTOCOL_NOT_SERVED"
	// ReasonInstanceExists: another lease holds the instance.
	ReasonInstanceExists Reason = "INSTANCE_EXISTS"
	// ReasonFenced: a newer lease holds the instance. Final.
	ReasonFenced Reason = "FENCED"
	// ReasonLeaseUnknown: the lease is gone.
	ReasonLeaseUnknown Reason = "LEASE_UNKNOWN"
	// ReasonInstanceUnknown: the lease does not hold this instance.
	ReasonInstanceUnknown Reason = "INSTANCE_UNKNOWN"
	// ReasonConflict: too many concurrent changes of the same entries.
	ReasonConflict Reason = "CONFLICT"
	// ReasonDrainCancelled: the instance went back to SERVING during Drain.
	ReasonDrainCancelled Reason = "DRAIN_CANCELLED"
	// ReasonEpochChanged: a wanted position belongs to another history.
	ReasonEpochChanged Reason = "EPOCH_CHANGED"
	// ReasonViewBehind: the server has not reached a wanted revision.
	ReasonViewBehind Reason = "VIEW_BEHIND"
	// ReasonEpochBehind: the server serves an older history.
	ReasonEpochBehind Reason = "EPOCH_BEHIND"
	// ReasonWrongCluster: the server belongs to another cluster.
	ReasonWrongCluster Reason = "WRONG_CLUSTER"
	// ReasonStreamUnknown: the server has no such stream.
	ReasonStreamUnknown Reason = "STREAM_UNKNOWN"
	// ReasonShuttingDown: the server is stopping.
	ReasonShuttingDown Reason = "SHUTTING_DOWN"
	// ReasonIsolated: the server cannot reach its store.
	ReasonIsolated Reason = "ISOLATED"
	// ReasonStoreFull: the store has no room; nothing changed.
	ReasonStoreFull Reason = "STORE_FULL"
	// ReasonStoreFailed: the store failed; the outcome is unknown.
	ReasonStoreFailed Reason = "STORE_FAILED"
	// ReasonOverloaded: too many requests; RetryAfter says when.
	ReasonOverloaded Reason = "OVERLOADED"
	// ReasonUnauthenticated: the credentials are missing or wrong.
	ReasonUnauthenticated Reason = "UNAUTHENTICATED"
	// ReasonForbidden: the credentials do not permit it.
	ReasonForbidden Reason = "FORBIDDEN"
	// ReasonInternal: a defect of the server.
	ReasonInternal Reason = "INTERNAL"
)

// Reasons that this client gives.
const (
	// ReasonNoServer: no server of the list answers.
	ReasonNoServer Reason = "NO_SERVER"
	// ReasonServiceUnknown: the service was never registered.
	ReasonServiceUnknown Reason = "SERVICE_UNKNOWN"
	// ReasonNoInstances: the service has no instance that could be picked.
	ReasonNoInstances Reason = "NO_INSTANCES"
	// ReasonNoReadyEndpoint: instances are known, none is connected.
	ReasonNoReadyEndpoint Reason = "NO_READY_ENDPOINT"
	// ReasonNoView: no first view arrived in time.
	ReasonNoView Reason = "NO_VIEW"
	// ReasonClosed: the client, registration or subscription is closed.
	ReasonClosed Reason = "CLOSED"
	// ReasonDeadline: the call's deadline passed.
	ReasonDeadline Reason = "DEADLINE"
	// ReasonLeaseExpired: the lease expired while the process did not run.
	ReasonLeaseExpired Reason = "LEASE_EXPIRED"
	// ReasonCancelled: the caller gave up.
	ReasonCancelled Reason = "CANCELLED"
	// ReasonProtocolViolation: the server broke a rule of the protocol.
	ReasonProtocolViolation Reason = "PROTOCOL_VIOLATION"
)

// reasonOf names a reason of the contract; unspecified and unknown ones are "".
func reasonOf(r musterv1.ErrorReason) Reason {
	name, ok := musterv1.ErrorReason_name[int32(r)]
	if !ok || r == musterv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		return ""
	}
	return Reason(strings.TrimPrefix(name, "ERROR_REASON_"))
}

// row is what the rule of errors says of r, given the code that came with it.
func (r Reason) row(code codes.Code) rules.Row {
	return rules.MapError(rules.Code(code), rules.ErrorDomain, string(r))
}

// codeOf is the gRPC code that errors of a reason have.
func codeOf(r Reason) codes.Code {
	row, ok := rules.RowOf(string(r))
	if !ok {
		return codes.Unknown
	}
	return codes.Code(row.Code)
}
