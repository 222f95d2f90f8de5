package fault

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// TestStatusCarriesEverything that a client acts on.
func TestStatusCarriesEverything(t *testing.T) {
	f := New(musterv1.ErrorReason_ERROR_REASON_OVERLOADED, "too many %s", "calls").With("a", "b")
	f.RetryAfter, f.Violations = time.Second, []Violation{{Field: "x", Description: "is wrong"}}
	f.Cause = errors.New("cause")
	st := status.Convert(fmt.Errorf("wrapped: %w", f))
	if st.Code() != codes.ResourceExhausted {
		t.Errorf("code = %v", st.Code())
	}
	var seen int
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() != "muster" || d.GetReason() != "OVERLOADED" || d.GetMetadata()["a"] != "b" {
				t.Errorf("info = %v", d)
			}
			seen++
		case *errdetails.RetryInfo:
			if d.GetRetryDelay().AsDuration() != time.Second {
				t.Errorf("retry = %v", d)
			}
			seen++
		case *errdetails.BadRequest:
			if v := d.GetFieldViolations(); len(v) != 1 || v[0].GetField() != "x" {
				t.Errorf("violations = %v", d)
			}
			seen++
		}
	}
	if seen != 3 {
		t.Errorf("%d details, want 3", seen)
	}
	if !errors.Is(f, f.Cause) || !Is(fmt.Errorf("x: %w", f), f.Reason) || Is(f.Cause, f.Reason) {
		t.Error("causes or reasons are not found")
	}
}
