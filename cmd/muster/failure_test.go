package main

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
)

// exitOf is the exit code of every reason that servers give.
var exitOf = map[string]int{
	"INVALID_ARGUMENT": exitUsage, "INVALID_ENDPOINT": exitUsage,
	"LIMIT_EXCEEDED": exitRefused, "RESULT_TOO_LARGE": exitRefused, "FEATURE_NOT_SERVED": exitRefused,
	"PROTOCOL_NOT_SERVED": exitRefused, "INSTANCE_EXISTS": exitRefused, "FENCED": exitRefused,
	"LEASE_UNKNOWN": exitNotFound, "INSTANCE_UNKNOWN": exitNotFound, "STREAM_UNKNOWN": exitNotFound,
	"CONFLICT": exitUnavailable, "DRAIN_CANCELLED": exitRefused, "EPOCH_CHANGED": exitUnavailable,
	"VIEW_BEHIND": exitUnavailable, "EPOCH_BEHIND": exitUnavailable, "WRONG_CLUSTER": exitRefused,
	"SHUTTING_DOWN": exitUnavailable, "ISOLATED": exitUnavailable, "STORE_FULL": exitUnavailable,
	"STORE_FAILED": exitUnavailable, "OVERLOADED": exitUnavailable,
	"UNAUTHENTICATED": exitRefused, "FORBIDDEN": exitRefused, "INTERNAL": exitError,
}

func TestExitCodeOfReasons(t *testing.T) {
	for number := range musterv1.ErrorReason_name {
		reason := musterv1.ErrorReason(number)
		if reason == 0 || fault.Code(reason) == codes.Unknown {
			continue // never sent by servers
		}
		name := fault.Name(reason)
		want, ok := exitOf[name]
		if !ok {
			t.Errorf("%s: the test does not say what it means", name)
			continue
		}
		f := callFailure("update", "shop/pay/pay-1", "s:1", fault.New(reason, "no luck").GRPCStatus().Err())
		if f.code != want {
			t.Errorf("%s ends with %d, want %d", name, f.code, want)
		}
		if text := "update shop/pay/pay-1: server s:1: no luck [" + name + "]"; f.text != text {
			t.Errorf("%s says %q, want %q", name, f.text, text)
		}
	}
}

func TestExitCodeOfCodes(t *testing.T) {
	tests := []struct {
		code codes.Code
		exit int
		text string
	}{
		{codes.DeadlineExceeded, exitUnavailable, "get: server s:1: no answer in time; --timeout allows more [DEADLINE_EXCEEDED]"},
		{codes.Canceled, exitInterrupted, "get: server s:1: interrupted [CANCELLED]"},
		{codes.Unavailable, exitUnavailable, "get: server s:1: gone [UNAVAILABLE]"},
		{codes.ResourceExhausted, exitUnavailable, "get: server s:1: gone [RESOURCE_EXHAUSTED]"},
		{codes.Unimplemented, exitRefused, "get: server s:1: gone [UNIMPLEMENTED]"},
		{codes.Unknown, exitError, "get: server s:1: gone [UNKNOWN]"},
	}
	for _, tt := range tests {
		f := callFailure("get", "", "s:1", status.Error(tt.code, "gone"))
		if f.code != tt.exit || f.text != tt.text {
			t.Errorf("%s: %d %q, want %d %q", tt.code, f.code, f.text, tt.exit, tt.text)
		}
	}
}

func TestForeignReasonsAreNone(t *testing.T) {
	st, err := status.New(codes.NotFound, "x").WithDetails(&errdetails.ErrorInfo{Domain: "proxy", Reason: "OVERLOADED"})
	if err != nil {
		t.Fatal(err)
	}
	if f := callFailure("get", "", "s:1", st.Err()); f.code != exitNotFound || !strings.HasSuffix(f.text, "[NOT_FOUND]") {
		t.Errorf("got %d %q", f.code, f.text)
	}
}

func TestAsFailureKeepsTheCause(t *testing.T) {
	cause := errors.New("muster: why")
	f := asFailure(cause)
	if f.code != exitError || f.text != "why" || !errors.Is(f, cause) {
		t.Errorf("got %d %q", f.code, f.text)
	}
}
