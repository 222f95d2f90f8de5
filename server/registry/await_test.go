package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/storetest"
	"github.com/muster-registry/muster/server/view"
)

// newRegistry starts a registry on a store in memory.
func newRegistry(t *testing.T) (*Registry, *storetest.Memory) {
	t.Helper()
	st := storetest.NewMemory()
	r := New(Options{Store: st, Log: slog.New(slog.DiscardHandler)})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Stop()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, st
}

// touch commits something that nobody looks at.
func touch(r *Registry, key string) error {
	_, err := r.change(context.Background(), func(*view.View) (*store.Mutation, error) {
		return &store.Mutation{
			Guards: []store.Guard{{Key: key}}, Puts: []store.Put{{Key: key, Value: []byte("x")}},
		}, nil
	})
	return err
}

// TestWaitersThatGaveUpLeaveNothing: a revision that never comes costs nothing
// once nobody waits for it.
func TestWaitersThatGaveUpLeaveNothing(t *testing.T) {
	r, _ := newRegistry(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if _, err := r.AwaitRevision(ctx, 1_000_000+uint64(i)); !errors.Is(err, context.Canceled) {
				t.Errorf("await = %v, want Canceled", err)
			}
		})
	}
	cancel()
	wg.Wait()
	if n := len(r.waiters); n != 0 {
		t.Errorf("%d waiters are left", n)
	}
}

// TestHubIsNeverBehindTheView: whoever saw a revision finds it in the hub, from
// which Lookup answers (M1.5a).
func TestHubIsNeverBehindTheView(t *testing.T) {
	r, _ := newRegistry(t)
	sel, err := selector.Compile(&musterv1.Selector{Names: &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{}}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			seen := r.View().Revision
			if v, _, _ := r.Hub().Digest(sel, ""); v.Revision < seen {
				t.Errorf("the view is at %d, the hub at %d", seen, v.Revision)
				return
			}
		}
	})
	for i := range 3000 {
		if err := touch(r, fmt.Sprintf("/x/%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	wg.Wait()
}

// TestProbeOfAFailedStoreHasAReason: it is no defect of the server.
func TestProbeOfAFailedStoreHasAReason(t *testing.T) {
	r, st := newRegistry(t)
	st.Fail(errors.New("the disk burns"), false)
	if _, err := r.Probe(t.Context()); !fault.Is(err, musterv1.ErrorReason_ERROR_REASON_STORE_FAILED) {
		t.Errorf("probe = %v, want STORE_FAILED", err)
	}
}
