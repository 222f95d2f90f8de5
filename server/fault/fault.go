// Package fault holds the errors that Muster itself decides: a reason from the
// contract, a text for people, and what a client needs to act on it. One table
// gives each reason its gRPC code.
package fault

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Domain is the domain of every ErrorInfo.
const Domain = "muster"

const reasonPrefix = "ERROR_REASON_"

// table is the reasons that servers give, with their codes. docs/errors.md
// shows the same; a test compares the two.
var table = map[musterv1.ErrorReason]codes.Code{
	musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT:    codes.InvalidArgument,
	musterv1.ErrorReason_ERROR_REASON_INVALID_ENDPOINT:    codes.InvalidArgument,
	musterv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED:      codes.ResourceExhausted,
	musterv1.ErrorReason_ERROR_REASON_RESULT_TOO_LARGE:    codes.OutOfRange,
	musterv1.ErrorReason_ERROR_REASON_FEATURE_NOT_SERVED:  codes.Unimplemented,
	musterv1.ErrorReason_ERROR_REASON_PROTOCOL_NOT_SERVED: codes.FailedPrecondition,
	musterv1.ErrorReason_ERROR_REASON_INSTANCE_EXISTS:     codes.AlreadyExists,
	musterv1.ErrorReason_ERROR_REASON_FENCED:              codes.FailedPrecondition,
	musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN:       codes.NotFound,
	musterv1.ErrorReason_ERROR_REASON_INSTANCE_UNKNOWN:    codes.NotFound,
	musterv1.ErrorReason_ERROR_REASON_CONFLICT:            codes.Aborted,
	musterv1.ErrorReason_ERROR_REASON_DRAIN_CANCELLED:     codes.Aborted,
	musterv1.ErrorReason_ERROR_REASON_EPOCH_CHANGED:       codes.Aborted,
	musterv1.ErrorReason_ERROR_REASON_VIEW_BEHIND:         codes.Unavailable,
	musterv1.ErrorReason_ERROR_REASON_EPOCH_BEHIND:        codes.Unavailable,
	musterv1.ErrorReason_ERROR_REASON_WRONG_CLUSTER:       codes.FailedPrecondition,
	musterv1.ErrorReason_ERROR_REASON_STREAM_UNKNOWN:      codes.NotFound,
	musterv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN:       codes.Unavailable,
	musterv1.ErrorReason_ERROR_REASON_ISOLATED:            codes.Unavailable,
	musterv1.ErrorReason_ERROR_REASON_STORE_FULL:          codes.Unavailable,
	musterv1.ErrorReason_ERROR_REASON_STORE_FAILED:        codes.Unavailable,
	musterv1.ErrorReason_ERROR_REASON_OVERLOADED:          codes.ResourceExhausted,
	musterv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED:     codes.Unauthenticated,
	musterv1.ErrorReason_ERROR_REASON_FORBIDDEN:           codes.PermissionDenied,
	musterv1.ErrorReason_ERROR_REASON_INTERNAL:            codes.Internal,
}

// Code is the gRPC code of a reason; Unknown for one that servers do not give.
func Code(r musterv1.ErrorReason) codes.Code {
	if c, ok := table[r]; ok {
		return c
	}
	return codes.Unknown
}

// Name is a reason as ErrorInfo carries it, without the enum's prefix.
func Name(r musterv1.ErrorReason) string { return r.String()[len(reasonPrefix):] }

// Violation is one wrong field.
type Violation struct {
	Field, Description string
}

// Error is an error with a reason. It is a gRPC status to whoever asks.
type Error struct {
	Reason     musterv1.ErrorReason
	Message    string
	Metadata   map[string]string
	Violations []Violation
	// RetryAfter is when trying again makes sense; 0 says nothing.
	RetryAfter time.Duration
	Cause      error
}

// New makes an error with a formatted text.
func New(r musterv1.ErrorReason, format string, args ...any) *Error {
	return &Error{Reason: r, Message: fmt.Sprintf(format, args...)}
}

// With adds one piece of metadata and returns the same error.
func (e *Error) With(key, value string) *Error {
	if e.Metadata == nil {
		e.Metadata = map[string]string{}
	}
	e.Metadata[key] = value
	return e
}

// Error is the text and the reason.
func (e *Error) Error() string { return e.Message + " [" + Name(e.Reason) + "]" }

// Unwrap is the cause, if there is one.
func (e *Error) Unwrap() error { return e.Cause }

// GRPCStatus is the error on the wire.
func (e *Error) GRPCStatus() *status.Status {
	st := status.New(Code(e.Reason), e.Message)
	details, err := st.WithDetails(&errdetails.ErrorInfo{Domain: Domain, Reason: Name(e.Reason), Metadata: e.Metadata})
	if err != nil {
		return st
	}
	st = details
	if len(e.Violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range e.Violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.Field, Description: v.Description,
			})
		}
		if d, err := st.WithDetails(bad); err == nil {
			st = d
		}
	}
	if e.RetryAfter > 0 {
		if d, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)}); err == nil {
			st = d
		}
	}
	return st
}

// Is tells whether an error has a reason.
func Is(err error, r musterv1.ErrorReason) bool {
	var e *Error
	return errors.As(err, &e) && e.Reason == r
}
