package mustergrpc

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/muster-registry/muster/client-go"
)

func TestReasonOf(t *testing.T) {
	of := func(domain, reason string) error {
		s, err := status.New(codes.Unavailable, "x").WithDetails(&errdetails.ErrorInfo{Domain: domain, Reason: reason})
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	for name, c := range map[string]struct {
		err  error
		want muster.Reason
	}{
		"ours":          {of("muster", "NO_INSTANCES"), muster.ReasonNoInstances},
		"wrapped":       {fmt.Errorf("pay: %w", of("muster", "NO_VIEW")), muster.ReasonNoView},
		"another's":     {of("other", "NO_INSTANCES"), ""},
		"no details":    {status.Error(codes.Unavailable, "x"), ""},
		"no status":     {errors.New("x"), ""},
		"success":       {nil, ""},
		"the client's":  {&muster.Error{Reason: muster.ReasonClosed, Code: codes.Canceled}, muster.ReasonClosed},
		"a later one's": {of("muster", "NEW_REASON"), "NEW_REASON"},
	} {
		if got := ReasonOf(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
