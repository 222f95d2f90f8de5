package muster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// failLookups makes all servers fail all lookups.
func failLookups(r *fakeregistry.Registry) {
	r.OnLookup = func(*musterv1.LookupRequest) (*musterv1.LookupResponse, error) {
		return nil, fakeregistry.Fault(codes.Unavailable, musterv1.ErrorReason_ERROR_REASON_STORE_FAILED, "failing", nil)
	}
}

func TestRepetitionsBeyondTheBudgetWaitInLine(t *testing.T) {
	const callers, seconds = 200, 30
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		failLookups(r)
		c := newTestClient(t, r)
		ctx := timeout(t, time.Hour)
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				if _, err := c.Lookup(ctx, Service("shop", "pay")); ReasonOf(err) != ReasonClosed {
					t.Errorf("error %v", err)
				}
			})
		}
		time.Sleep(seconds * time.Second) // virtual
		repeated := len(fakeregistry.Calls[*musterv1.LookupRequest](r)) - callers
		// What a full budget holds, a fifth of the calls, and 10 a second.
		if most := 100 + callers/5 + 10*seconds; repeated < 10*seconds || repeated > most {
			t.Errorf("%d repetitions in %d s, want %d to %d", repeated, seconds, 10*seconds, most)
		}
		closeClient(t, c)
		all.Wait()
	})
}

func TestCallsWithoutTimeForAnotherTryEndAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		failLookups(r)
		c := newTestClient(t, r)
		began := time.Now()
		_, err := c.Lookup(timeout(t, 40*time.Millisecond), Service("shop", "pay")) // a backoff is 50 ms at least
		if took := time.Since(began); took != 0 || ReasonOf(err) != ReasonDeadline || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("after %v: %v", took, err)
		}
		if !strings.HasPrefix(err.Error(), "muster: lookup shop/pay: the deadline leaves no time to try again; last: lookup shop/pay: server a:1") {
			t.Errorf("error %v", err)
		}
	})
}
