package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// failure is an error of a command: what it says and how the program ends.
type failure struct {
	code int
	// text is one or more lines for people; empty if everything is said.
	text string
	err  error
}

// Error implements error.
func (f *failure) Error() string { return f.text }

// Unwrap is the cause, if there is one.
func (f *failure) Unwrap() error { return f.err }

func fail(code int, format string, args ...any) *failure {
	err := fmt.Errorf(format, args...)
	return &failure{code: code, text: err.Error(), err: err}
}

// usage is for what is wrong with the command line.
func usage(format string, args ...any) *failure { return fail(exitUsage, format, args...) }

// usageText is what cobra says, and where to read more.
func usageText(err error, cmd *cobra.Command) string {
	text, join := strings.TrimRight(err.Error(), "\n"), "; "
	if strings.Contains(text, "\n") {
		join = "\n\n"
	}
	return text + join + "see \"" + cmd.CommandPath() + " --help\""
}

// asFailure gives any error an exit code.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	f = &failure{code: exitError, text: strings.TrimPrefix(err.Error(), "muster: "), err: err}
	if st, ok := status.FromError(err); ok {
		f.code = codeOf(st)
	} else if errors.Is(err, context.DeadlineExceeded) {
		f.code = exitUnavailable
	}
	return f
}

// callFailure is for what a server answered. op and subject say what was
// attempted, such as "update" and "shop/pay/pay-1".
func callFailure(op, subject, server string, err error) *failure {
	st := status.Convert(err)
	message := st.Message()
	reason := reasonOf(st)
	if reason == "" {
		reason = canonical(st.Code())
	}
	switch reason {
	case "DEADLINE_EXCEEDED":
		message = "no answer in time; --timeout allows more"
	case "CANCELLED":
		message = "interrupted"
	}
	what := strings.TrimSpace(op + " " + subject)
	return &failure{
		code: codeOf(st), err: err,
		text: fmt.Sprintf("%s: server %s: %s [%s]", what, server, message, reason),
	}
}

// reasonOf is the reason that a server gave; empty if it gave none.
func reasonOf(st *status.Status) string {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == "muster" {
			return info.GetReason()
		}
	}
	return ""
}

// codeOf is the exit code of a status. Where its reason means something else
// to the caller than its code alone, the reason counts.
func codeOf(st *status.Status) int {
	switch reasonOf(st) {
	case "OVERLOADED", "CONFLICT", "EPOCH_CHANGED":
		return exitUnavailable
	case "LIMIT_EXCEEDED":
		return exitRefused
	}
	switch st.Code() {
	case codes.InvalidArgument:
		return exitUsage
	case codes.NotFound:
		return exitNotFound
	case codes.AlreadyExists, codes.FailedPrecondition, codes.PermissionDenied, codes.Unauthenticated,
		codes.Aborted, codes.Unimplemented, codes.OutOfRange:
		return exitRefused
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return exitUnavailable
	case codes.Canceled:
		return exitInterrupted
	default:
		return exitError
	}
}

// canonical is a code as the gRPC documents write it.
func canonical(c codes.Code) string {
	var b strings.Builder
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	text := strings.ToUpper(b.String())
	if c == codes.Canceled {
		return "CANCELLED"
	}
	return text
}
