package muster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// Error is every error of this package. Its text names the object, the value,
// the cause and the next step, and ends in the reason in brackets.
type Error struct {
	// Reason is the machine-readable cause; empty if a server gave none.
	Reason Reason
	// Code is the gRPC code that belongs to Reason.
	Code codes.Code
	// Op is what was attempted, such as "register".
	Op string
	// Subject is what it was about, such as "shop/pay/pay-7".
	Subject string
	// Server is the address of the server that answered; empty if none did.
	Server string
	// RetryAfter is when the server asked to try again; 0 if it did not.
	RetryAfter time.Duration
	// Message is the text without reason.
	Message string
	// Metadata holds what the reason's documentation names.
	Metadata map[string]string
	// Violations names each wrong field of an INVALID_ARGUMENT.
	Violations []Violation

	cause error
	// gaveUpMessage replaces Message once nobody retries any more.
	gaveUpMessage string
}

// Violation is one wrong field.
type Violation struct {
	// Field is the path of the field, such as "instances[0].endpoints[1].address".
	Field string
	// Problem is what is wrong and what is allowed.
	Problem string
}

// Sentinels for errors.Is; they compare by reason alone.
var (
	// ErrNoServer matches errors because no server of the list answers.
	ErrNoServer = &Error{Reason: ReasonNoServer}
	// ErrFenced matches errors because a newer lease holds the instance.
	ErrFenced = &Error{Reason: ReasonFenced}
	// ErrClosed matches errors because something was closed.
	ErrClosed = &Error{Reason: ReasonClosed}
	// ErrForbidden matches errors because of missing permission.
	ErrForbidden = &Error{Reason: ReasonForbidden}
	// ErrServiceUnknown matches errors because a service was never registered.
	ErrServiceUnknown = &Error{Reason: ReasonServiceUnknown}
	// ErrNoInstances matches errors because a service has no usable instance.
	ErrNoInstances = &Error{Reason: ReasonNoInstances}
	// ErrNoView matches errors because no first view arrived in time.
	ErrNoView = &Error{Reason: ReasonNoView}
)

// Error implements error.
func (e *Error) Error() string { return "muster: " + e.text() }

// text is the error without the package's name, as statuses carry it.
func (e *Error) text() string {
	switch {
	case e.Message == "":
		return fmt.Sprintf("[%s]", e.Reason)
	case e.Reason == "":
		return fmt.Sprintf("%s [%s]", e.Message, e.Code)
	default:
		return fmt.Sprintf("%s [%s]", e.Message, e.Reason)
	}
}

// Unwrap returns the cause, so that errors.Is finds context errors.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an Error of the same reason; see the sentinels.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Reason == e.Reason
}

// Retryable tells whether the same call may succeed later.
func (e *Error) Retryable() bool { return e.Reason.row(e.Code).Retryable() }

// nextServer tells whether to prefer another server from now on.
func (e *Error) nextServer() bool { return e.Reason.row(e.Code).NextServer }

// GRPCStatus makes status.FromError work, with the reason as ErrorInfo.
func (e *Error) GRPCStatus() *status.Status {
	st := status.New(e.Code, e.text())
	info := &errdetails.ErrorInfo{Reason: string(e.Reason), Domain: rules.ErrorDomain, Metadata: e.Metadata}
	detailed, err := st.WithDetails(protoadapt.MessageV1Of(info))
	if err != nil { // only for code OK, which no Error has
		return st
	}
	return detailed
}

// ReasonOf returns the reason of err, or "" if err is none of this package's.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// final is the error once nobody retries any more.
func (e *Error) final() *Error {
	if e == nil || e.gaveUpMessage == "" {
		return e
	}
	last := *e
	last.Message = e.gaveUpMessage
	return &last
}

// orNil makes a nil *Error a nil error.
func (e *Error) orNil() error {
	if e == nil {
		return nil
	}
	return e
}

// newError makes an error that this client decided.
func newError(reason Reason, code codes.Code, op, subject, message string) *Error {
	return &Error{Reason: reason, Code: code, Op: op, Subject: subject, Message: message}
}

// closedError is what everything returns after its Close. object is "client",
// "registration" or "subscription".
func closedError(object string) *Error {
	return newError(ReasonClosed, codes.Canceled, "", object, textClosed(object))
}

func noInstancesError(subject, message string) *Error {
	return newError(ReasonNoInstances, codes.Unavailable, "pick", subject, message)
}

// noViewError is for a first view that did not come; last may be nil.
func noViewError(subject string, waited time.Duration, last *Error) *Error {
	return newError(ReasonNoView, codes.Unavailable, "pick", subject, textNoView(subject, waited, last))
}

// fromStatus makes an Error of what a call returned. ctx is the caller's: it
// tells a caller that gave up from a server that reset the call.
func fromStatus(ctx context.Context, err error, op, subject, server string) *Error {
	var own *Error
	if errors.As(err, &own) { // decided here, before anything was sent
		e := *own
		e.Op, e.Subject = op, subject
		return &e
	}
	if errors.Is(err, io.EOF) {
		err = status.Error(codes.Unavailable, "the server ended the stream")
	}
	st := status.Convert(err)
	e := &Error{Code: st.Code(), Op: op, Subject: subject, Server: server, cause: err}
	e.readDetails(st)
	if e.Reason == "" && ctx.Err() != nil {
		e = contextError(ctx, op, subject, nil)
		e.Server = server
		return e
	}
	row := e.Reason.row(e.Code)
	e.Reason, e.Code = Reason(row.Reason), codes.Code(row.Code)
	e.Message = textServerError(op, subject, server, st.Message())
	return e
}

func (e *Error) readDetails(st *status.Status) {
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == rules.ErrorDomain {
				e.Reason, e.Metadata = Reason(d.GetReason()), d.GetMetadata()
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Violations = append(e.Violations, Violation{Field: v.GetField(), Problem: v.GetDescription()})
			}
		}
	}
}

// tooLateError is for a call whose next attempt could begin only after its
// deadline; last is why there would be one.
func tooLateError(op, subject string, last *Error) *Error {
	if last.gaveUpMessage != "" {
		e := last.final()
		e.cause = context.DeadlineExceeded
		return e
	}
	e := newError(ReasonDeadline, codes.DeadlineExceeded, op, subject, textTooLate(op, subject, last))
	e.Server = last.Server
	e.cause = errors.Join(context.DeadlineExceeded, last)
	return e
}

// contextError is for a call whose context ended; last is what it met before.
func contextError(ctx context.Context, op, subject string, last *Error) *Error {
	reason, code := ReasonCancelled, codes.Canceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		reason, code = ReasonDeadline, codes.DeadlineExceeded
	}
	if last != nil && last.gaveUpMessage != "" {
		e := last.final()
		e.cause = ctx.Err()
		return e
	}
	e := newError(reason, code, op, subject, textGaveUp(op, subject, reason, last))
	e.cause = ctx.Err()
	if last != nil {
		e.Server = last.Server
		e.cause = errors.Join(ctx.Err(), last)
	}
	return e
}
