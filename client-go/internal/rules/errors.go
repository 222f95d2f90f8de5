package rules

// Class is what may help after an error: the column "retryable" of
// docs/errors.md.
type Class uint8

// The classes.
const (
	// ClassNo: the same call will fail again.
	ClassNo Class = iota
	// ClassYes: the same call may succeed later.
	ClassYes
	// ClassElsewhere: the same call may succeed at another server now.
	ClassElsewhere
	// ClassChanged: a changed call may succeed.
	ClassChanged
	// ClassFinal: for this instance or server it is over.
	ClassFinal
)

// Row is one line of the tables of docs/errors.md.
type Row struct {
	Reason string
	Code   Code
	Class  Class
	// NextServer tells whether this client prefers another server from then on.
	NextServer bool
}

// Retryable tells whether the same call may succeed, later or elsewhere.
func (r Row) Retryable() bool { return r.Class == ClassYes || r.Class == ClassElsewhere }

// Rows are the tables of docs/errors.md, in their order.
var Rows = []Row{
	{"INVALID_ARGUMENT", CodeInvalidArgument, ClassNo, false},
	{"INVALID_ENDPOINT", CodeInvalidArgument, ClassNo, false},
	{"LIMIT_EXCEEDED", CodeResourceExhausted, ClassNo, false},
	{"RESULT_TOO_LARGE", CodeOutOfRange, ClassNo, false},
	{"FEATURE_NOT_SERVED", CodeUnimplemented, ClassNo, false},
	{"PROTOCOL_NOT_SERVED", CodeFailedPrecondition, ClassNo, true},
	{"INSTANCE_EXISTS", CodeAlreadyExists, ClassChanged, false},
	{"FENCED", CodeFailedPrecondition, ClassFinal, false},
	{"LEASE_UNKNOWN", CodeNotFound, ClassChanged, false},
	{"INSTANCE_UNKNOWN", CodeNotFound, ClassNo, false},
	{"CONFLICT", CodeAborted, ClassYes, false},
	{"DRAIN_CANCELLED", CodeAborted, ClassNo, false},
	{"EPOCH_CHANGED", CodeAborted, ClassChanged, false},
	{"VIEW_BEHIND", CodeUnavailable, ClassElsewhere, true},
	{"EPOCH_BEHIND", CodeUnavailable, ClassElsewhere, true},
	{"WRONG_CLUSTER", CodeFailedPrecondition, ClassFinal, true},
	{"STREAM_UNKNOWN", CodeNotFound, ClassChanged, false},
	{"SHUTTING_DOWN", CodeUnavailable, ClassElsewhere, true},
	{"ISOLATED", CodeUnavailable, ClassElsewhere, true},
	{"STORE_FULL", CodeUnavailable, ClassYes, false},
	{"STORE_FAILED", CodeUnavailable, ClassElsewhere, true},
	{"OVERLOADED", CodeResourceExhausted, ClassYes, false},
	{"UNAUTHENTICATED", CodeUnauthenticated, ClassChanged, false},
	{"FORBIDDEN", CodePermissionDenied, ClassNo, false},
	{"INTERNAL", CodeInternal, ClassNo, false},

	{"NO_SERVER", CodeUnavailable, ClassYes, false},
	{"SERVICE_UNKNOWN", CodeNotFound, ClassYes, false},
	{"NO_INSTANCES", CodeUnavailable, ClassYes, false},
	{"NO_READY_ENDPOINT", CodeUnavailable, ClassYes, false},
	{"NO_VIEW", CodeUnavailable, ClassYes, false},
	{"CLOSED", CodeCancelled, ClassFinal, false},
	{"DEADLINE", CodeDeadlineExceeded, ClassYes, true},
	{"LEASE_EXPIRED", CodeFailedPrecondition, ClassChanged, false},
	{"CANCELLED", CodeCancelled, ClassNo, false},
	{"PROTOCOL_VIOLATION", CodeInternal, ClassYes, true},
}

// ErrorDomain marks the details of errors that Muster itself decided.
const ErrorDomain = "muster"

// RowOf finds the row of a reason.
func RowOf(reason string) (Row, bool) {
	for _, row := range Rows {
		if row.Reason == reason {
			return row, true
		}
	}
	return Row{}, false
}

// MapError tells what a status means: its code, and the domain and the reason
// of its ErrorInfo, empty if it has none. A reason of ours keeps the code that
// came with it. Any other status goes by its code alone, and Reason is empty if
// no reason stands for that code.
func MapError(code Code, domain, reason string) Row {
	if domain == ErrorDomain {
		if row, ok := RowOf(reason); ok {
			row.Code = code
			return row
		}
	}
	return rowOfCode(code)
}

// rowOfCode stands in for a status without a reason of ours: a proxy's or a
// gRPC library's.
func rowOfCode(code Code) Row {
	switch code {
	case CodeDeadlineExceeded:
		return Row{"DEADLINE", code, ClassYes, true}
	case CodeUnauthenticated:
		return Row{"UNAUTHENTICATED", code, ClassChanged, false}
	case CodePermissionDenied:
		return Row{"FORBIDDEN", code, ClassNo, false}
	case CodeInvalidArgument:
		return Row{"INVALID_ARGUMENT", code, ClassNo, false}
	case CodeCancelled, CodeUnknown, CodeUnavailable:
		// The first two are a reset of the stream or the connection, by the server
		// or by something between.
		return Row{"", CodeUnavailable, ClassElsewhere, true}
	case CodeAborted, CodeResourceExhausted:
		return Row{"", code, ClassYes, false}
	default:
		return Row{"", code, ClassNo, false}
	}
}
