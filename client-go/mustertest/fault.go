package mustertest

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// fault is an error that the registry decided: a gRPC status with ErrorInfo.
type fault struct {
	reason   musterv1.ErrorReason
	message  string
	metadata map[string]string
}

// refuse makes a fault; pairs are its metadata, key and value by turns.
func refuse(reason musterv1.ErrorReason, message string, pairs ...string) *fault {
	f := &fault{reason: reason, message: message}
	for i := 1; i < len(pairs); i += 2 {
		if f.metadata == nil {
			f.metadata = map[string]string{}
		}
		f.metadata[pairs[i-1]] = pairs[i]
	}
	return f
}

// invalid makes the fault of a wrong field.
func invalid(format string, args ...any) *fault {
	return refuse(musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, fmt.Sprintf(format, args...))
}

// refused makes a fault of what the client's checks said.
func refused(err error) *fault {
	f := invalid("%v", err)
	var wrong *muster.Error
	if errors.As(err, &wrong) {
		f.message = wrong.Message
		if wrong.Reason == muster.ReasonInvalidEndpoint {
			f.reason = musterv1.ErrorReason_ERROR_REASON_INVALID_ENDPOINT
		}
	}
	return f
}

// name is the reason as ErrorInfo carries it.
func (f *fault) name() string { return strings.TrimPrefix(f.reason.String(), "ERROR_REASON_") }

// Error is the text and the reason.
func (f *fault) Error() string { return f.message + " [" + f.name() + "]" }

// GRPCStatus is the fault on the wire.
func (f *fault) GRPCStatus() *status.Status {
	st := status.New(codeOf(f.reason), f.message)
	with, err := st.WithDetails(&errdetails.ErrorInfo{Domain: "muster", Reason: f.name(), Metadata: f.metadata})
	if err != nil {
		return st
	}
	return with
}

// codeOf is the gRPC code of a reason; docs/errors.md has them all.
func codeOf(reason musterv1.ErrorReason) codes.Code {
	switch reason {
	case musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, musterv1.ErrorReason_ERROR_REASON_INVALID_ENDPOINT:
		return codes.InvalidArgument
	case musterv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED:
		return codes.ResourceExhausted
	case musterv1.ErrorReason_ERROR_REASON_RESULT_TOO_LARGE:
		return codes.OutOfRange
	case musterv1.ErrorReason_ERROR_REASON_FEATURE_NOT_SERVED:
		return codes.Unimplemented
	case musterv1.ErrorReason_ERROR_REASON_PROTOCOL_NOT_SERVED, musterv1.ErrorReason_ERROR_REASON_FENCED,
		musterv1.ErrorReason_ERROR_REASON_WRONG_CLUSTER:
		return codes.FailedPrecondition
	case musterv1.ErrorReason_ERROR_REASON_INSTANCE_EXISTS:
		return codes.AlreadyExists
	case musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN, musterv1.ErrorReason_ERROR_REASON_INSTANCE_UNKNOWN,
		musterv1.ErrorReason_ERROR_REASON_STREAM_UNKNOWN:
		return codes.NotFound
	case musterv1.ErrorReason_ERROR_REASON_DRAIN_CANCELLED, musterv1.ErrorReason_ERROR_REASON_EPOCH_CHANGED:
		return codes.Aborted
	case musterv1.ErrorReason_ERROR_REASON_VIEW_BEHIND, musterv1.ErrorReason_ERROR_REASON_EPOCH_BEHIND,
		musterv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN:
		return codes.Unavailable
	default:
		return codes.Internal
	}
}
