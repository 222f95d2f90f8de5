package registry

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// TestLongStreamForgetsLeasesThatAreGone: a stream on which leases come and go
// for years holds those that are there.
func TestLongStreamForgetsLeasesThatAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRegistry(t)
		k := r.OpenKeeper()
		for i := range uint64(100) {
			l := register(t, r, "pay", "pay-1", fmt.Sprintf("request-%016d", i))
			if _, err := k.Renew(t.Context(), &musterv1.KeepAliveRequest{Sequence: i + 1, LeaseIds: []string{l.GetLeaseId(), "unknown"}}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.Deregister(t.Context(), &musterv1.DeregisterRequest{LeaseId: l.GetLeaseId()}, Caller{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := r.leases.HeldBy(k.holder); n != 0 {
			t.Errorf("%d leases that are gone are remembered", n)
		}
		k.Close(true)
		if n := len(r.suspects.broken); n != 0 {
			t.Errorf("%d leases that are gone are suspect", n)
		}
	})
}

// TestReportsAreForgotten: what limits the reports of an instance is kept for
// no longer than it limits them.
func TestReportsAreForgotten(t *testing.T) {
	r := newReports()
	now := time.Now()
	for i := range 100_000 {
		now = now.Add(time.Millisecond)
		rep := report{}
		rep.name.ID = fmt.Sprint(i)
		if !r.admit(rep, true, now) {
			t.Fatal("a report is not taken")
		}
		if due, _ := r.take(now); len(due) != 1 {
			t.Fatal("the first report of an instance waits")
		}
		r.written(rep.name)
	}
	if n := len(r.last) + len(r.waiting) + len(r.writing); n > 4000 {
		t.Errorf("%d instances are remembered, of which 1,000 reported in the last second", n)
	}
}

// TestVerdictSparesWhoCameBack: between the decision and the commit a lease may
// turn up again.
func TestVerdictSparesWhoCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRegistry(t)
		l := register(t, r, "pay", "pay-1", "request-0000000000000001")
		k := r.OpenKeeper()
		if _, err := k.Renew(t.Context(), &musterv1.KeepAliveRequest{Sequence: 1, LeaseIds: []string{l.GetLeaseId()}}); err != nil {
			t.Fatal(err)
		}
		before := r.View().Revision
		if err := r.setConnection(t.Context(), l.GetLeaseId(), musterv1.Health_HEALTH_UNHEALTHY); err != nil || r.View().Revision != before {
			t.Errorf("a lease that is renewed got a verdict, %v", err)
		}
		k.Close(false)
		if err := r.setConnection(t.Context(), l.GetLeaseId(), musterv1.Health_HEALTH_UNHEALTHY); err != nil || r.View().Revision != before+1 {
			t.Errorf("a lease that nobody renews got none, %v", err)
		}
	})
}
