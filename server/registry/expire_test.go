package registry

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/storetest"
)

// watched is a store that tells of the mutations proposed to it.
type watched struct {
	*storetest.Memory
	proposed func(*store.Mutation)
}

func (w *watched) Propose(m store.Mutation, done func(store.Outcome, error)) {
	w.proposed(&m)
	w.Memory.Propose(m, done)
}

// leaseDeletes are the leases that a mutation deletes.
func leaseDeletes(m *store.Mutation) (n int) {
	for _, k := range m.Deletes {
		if record.KindOf(k) == record.KindLease {
			n++
		}
	}
	return n
}

// watchedRegistry starts a registry on a watched store.
func watchedRegistry(t *testing.T, log *slog.Logger, proposed func(*store.Mutation)) (*Registry, *storetest.Memory) {
	t.Helper()
	st := storetest.NewMemory()
	r := New(Options{Store: &watched{st, proposed}, Log: log})
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

// registerPay registers the nth instance of shop/pay for a second.
func registerPay(t *testing.T, r *Registry, n int) *musterv1.Lease {
	t.Helper()
	return registerFor(t, r, time.Second, "pay", fmt.Sprint("pay-", n), fmt.Sprintf("request-%016d", n))
}

// TestManyLeasesExpireTogether: in few mutations, in full, soon, and with one
// line in the log.
func TestManyLeasesExpireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const leases = 3*expireAtOnce + 100
		var lines bytes.Buffer
		mutations, largest := 0, 0
		pay, guardsState := record.ServiceName{Namespace: "shop", Service: "pay"}, true
		r, _ := watchedRegistry(t, slog.New(slog.NewTextHandler(&lines, nil)), func(m *store.Mutation) {
			if n := leaseDeletes(m); n > 0 {
				mutations++
				largest = max(largest, n)
				guardsState = guardsState && slices.ContainsFunc(m.Guards, func(g store.Guard) bool { return g.Key == pay.Key() && g.Revision > 0 })
			}
		})
		for i := range leases {
			registerPay(t, r, i)
		}
		time.Sleep(time.Second + 2*sweepEvery)
		synctest.Wait()
		if n := r.View().Leases(); n != 0 {
			t.Fatalf("%d leases are left", n)
		}
		if n := r.View().Instances(); n != 0 {
			t.Errorf("%d instances are left", n)
		}
		if largest != expireTogether || mutations > leases/expireTogether+4 {
			t.Errorf("%d mutations, the largest of %d leases", mutations, largest)
		}
		if !guardsState {
			t.Error("a mutation does not guard the state of the service (M6.4a)")
		}
		if n := strings.Count(lines.String(), "leases expired"); n != 1 || !strings.Contains(lines.String(), fmt.Sprint("leases=", leases)) {
			t.Errorf("%d lines in the log, want one for all:\n%s", n, lines.String())
		}
	})
}

// TestGuardThatFailsSparesTheOthers: leases that shared a mutation of which a
// guard failed go alone, and the one that was rewritten as it is by then
// (M6.4a).
func TestGuardThatFailsSparesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		r, st := watchedRegistry(t, slog.New(slog.DiscardHandler), func(m *store.Mutation) {
			if n := leaseDeletes(m); n > 0 {
				sizes = append(sizes, n)
			}
		})
		const leases = 5
		var first *musterv1.Lease
		for i := range leases {
			if l := registerPay(t, r, i); i == 0 {
				first = l
			}
		}
		time.Sleep(900 * time.Millisecond)
		st.Hold()
		updated := make(chan error, 1)
		go func() { // it is ahead of the expiry, and changes what that guards
			updated <- r.setConnection(t.Context(), first.GetLeaseId(), musterv1.Health_HEALTH_UNHEALTHY)
		}()
		time.Sleep(100*time.Millisecond + sweepEvery)
		synctest.Wait()
		if len(sizes) != 1 || sizes[0] != leases {
			t.Fatalf("mutations of %v leases, want one of %d", sizes, leases)
		}
		st.Release()
		synctest.Wait()
		if err := <-updated; err != nil {
			t.Fatal(err)
		}
		if n := r.View().Leases(); n != leases {
			t.Fatalf("%d leases are left after a guard failed, want all of %d", n, leases)
		}
		time.Sleep(2 * sweepEvery)
		synctest.Wait()
		if n := r.View().Leases(); n != 0 {
			t.Errorf("%d leases are left", n)
		}
		for _, n := range sizes[1:] {
			if n != 1 {
				t.Errorf("mutations of %v leases, want single ones after the first", sizes)
				break
			}
		}
	})
}

// TestExpiriesUnderWayAreBounded, and the rest follows as they settle, without
// waiting for the sweeper's next tick.
func TestExpiriesUnderWayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const leases = maxExpiring + 3000
		proposed := 0
		r, st := watchedRegistry(t, slog.New(slog.DiscardHandler), func(m *store.Mutation) { proposed += leaseDeletes(m) })
		for i := range leases {
			registerPay(t, r, i)
		}
		st.Hold()
		time.Sleep(time.Second + 5*sweepEvery)
		synctest.Wait()
		if proposed != maxExpiring {
			t.Fatalf("%d expiries are under way, want %d", proposed, maxExpiring)
		}
		st.Release()
		synctest.Wait()
		if n := r.View().Leases(); n != 0 {
			t.Errorf("%d leases are left", n)
		}
	})
}

// TestManyServicesAreEmptiedTogether: their states say so after a few commits,
// not one for each of them.
func TestManyServicesAreEmptiedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const services = 2*emptiedTogether + 10
		r, st := newRegistry(t)
		for i := range services {
			registerFor(t, r, time.Second, fmt.Sprint("s", i), "a", fmt.Sprintf("request-%016d", i))
		}
		st.SetDelay(10 * time.Millisecond) // a commit
		time.Sleep(time.Second + 2*sweepEvery + 200*time.Millisecond)
		synctest.Wait()
		for i := range services {
			n := record.ServiceName{Namespace: "shop", Service: fmt.Sprint("s", i)}
			e := r.View().Service(n).State.GetEmptied()
			if e.GetReason() != musterv1.RemovalReason_REMOVAL_REASON_EXPIRED || e.GetInstanceId() != "a" {
				t.Fatalf("%s is emptied by %v", n, e)
			}
		}
	})
}
