package server_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
	"github.com/muster-registry/muster/server/store"
)

// keeping is a KeepAlive stream in a test's hands.
type keeping struct {
	t      *testing.T
	stream interface {
		Send(*musterv1.KeepAliveRequest) error
		Recv() (*musterv1.KeepAliveResponse, error)
		CloseSend() error
	}
	sequence uint64
	cancel   context.CancelFunc
}

func openKeepAlive(t *testing.T, c servertest.Clients) *keeping {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := c.KeepAlive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &keeping{t: t, stream: stream, cancel: cancel}
}

// renew renews leases and gives reports.
func (k *keeping) renew(leases []string, reports ...*musterv1.HealthReport) *musterv1.KeepAliveResponse {
	k.t.Helper()
	k.sequence++
	if err := k.stream.Send(&musterv1.KeepAliveRequest{Sequence: k.sequence, LeaseIds: leases, Reports: reports}); err != nil {
		k.t.Fatalf("send: %v", err)
	}
	res, err := k.stream.Recv()
	if err != nil {
		k.t.Fatalf("receive: %v", err)
	}
	return res
}

func reportOf(id string, h musterv1.Health, reason string) *musterv1.HealthReport {
	return &musterv1.HealthReport{Key: servertest.Key("pay", id), SelfHealth: &musterv1.SelfHealth{Health: h, Reason: reason}}
}

const (
	healthy   = musterv1.Health_HEALTH_HEALTHY
	degraded  = musterv1.Health_HEALTH_DEGRADED
	unhealthy = musterv1.Health_HEALTH_UNHEALTHY
)

func healthOf(t *testing.T, c servertest.Clients, service string) (musterv1.Health, string) {
	t.Helper()
	in := lookup(t, c, service).GetInstances()[0]
	if len(in.GetHealthSlots()) == 0 {
		return in.GetHealth(), ""
	}
	return in.GetHealth(), in.GetHealthSlots()[0].GetReason()
}

func TestHealthReportsAreTakenAndRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		l := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		k := openKeepAlive(t, c)
		leases := []string{l.GetLeaseId()}
		if res := k.renew(leases, reportOf("pay-1", unhealthy, "no database")); len(res.GetExceptions()) != 0 {
			t.Fatalf("exceptions = %v", res)
		}
		synctest.Wait()
		if h, why := healthOf(t, c, "pay"); h != unhealthy || why != "no database" {
			t.Errorf("health = %v %q, want UNHEALTHY, at once", h, why)
		}
		at := lookup(t, c, "pay").GetHeader().GetRevision()
		time.Sleep(time.Minute)
		k.renew(leases, reportOf("pay-1", unhealthy, "no database"))
		if now := lookup(t, c, "pay").GetHeader().GetRevision(); now != at {
			t.Errorf("an unchanged report made revision %d of %d", now, at)
		}
		res := k.renew(leases, reportOf("nobody", healthy, ""))
		if x := res.GetExceptions(); len(x) != 1 || x[0].GetReportRefused().GetReason() != musterv1.ErrorReason_ERROR_REASON_INSTANCE_UNKNOWN {
			t.Errorf("exceptions = %v, want INSTANCE_UNKNOWN", res)
		}
		if _, err := c.Update(t.Context(), &musterv1.UpdateRequest{
			LeaseId: l.GetLeaseId(), Instance: servertest.Instance("pay", "pay-1"), UpdateMask: mask("self_health"),
		}); err != nil {
			t.Fatal(err)
		}
		if h, _ := healthOf(t, c, "pay"); h != healthy {
			t.Errorf("health = %v after an update to unset, want HEALTHY", h)
		}
	})
}

// TestFlappingHealthCostsOneChangeASecond: what comes sooner waits, the latest
// wins, and none is lost.
func TestFlappingHealthCostsOneChangeASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		l := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		k := openKeepAlive(t, c)
		before := lookup(t, c, "pay").GetHeader().GetRevision()
		for i := range 100 { // 10 s
			if res := k.renew([]string{l.GetLeaseId()}, reportOf("pay-1", degraded, fmt.Sprint("load ", i))); len(res.GetExceptions()) != 0 {
				t.Fatalf("exceptions = %v", res)
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if h, why := healthOf(t, c, "pay"); h != degraded || why != "load 99" {
			t.Errorf("health = %v %q, want the last report", h, why)
		}
		if n := lookup(t, c, "pay").GetHeader().GetRevision() - before; n < 10 || n > 12 {
			t.Errorf("100 reports in 10 s made %d changes, want one a second", n)
		}
		// Back and forth within a second leaves nothing to write.
		k.renew([]string{l.GetLeaseId()}, reportOf("pay-1", unhealthy, "x"))
		k.renew([]string{l.GetLeaseId()}, reportOf("pay-1", degraded, "load 99"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if h, why := healthOf(t, c, "pay"); h != degraded || why != "load 99" {
			t.Errorf("health = %v %q, want the last report", h, why)
		}
	})
}

// TestWaitingReportSurvives: a full disk delays it, a stop of the server does
// not lose it, and an update that is newer goes before it.
func TestWaitingReportSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		l := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		leases := []string{l.GetLeaseId()}
		k := openKeepAlive(t, c)
		k.renew(leases, reportOf("pay-1", degraded, "1"))
		synctest.Wait()
		k.renew(leases, reportOf("pay-1", degraded, "2"))
		s.Store().FailNext(store.ErrFull)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if _, why := healthOf(t, c, "pay"); why != "1" {
			t.Fatalf("health %q, but there was no room", why)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if _, why := healthOf(t, c, "pay"); why != "2" {
			t.Fatalf("health %q, want 2", why)
		}
		k.renew(leases, reportOf("pay-1", degraded, "3"))
		in := servertest.Instance("pay", "pay-1")
		in.SelfHealth = &musterv1.SelfHealth{Health: unhealthy, Reason: "update"}
		if _, err := c.Update(t.Context(), &musterv1.UpdateRequest{LeaseId: l.GetLeaseId(), Instance: in, UpdateMask: mask("self_health")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, why := healthOf(t, c, "pay"); why != "update" {
			t.Fatalf("health %q, want that of the update, which came later", why)
		}
		k.renew(leases, reportOf("pay-1", degraded, "4"))
		k.renew(leases, reportOf("pay-1", degraded, "5"))
		s.Stop()
		s.Start()
		if _, why := healthOf(t, s.Dial(), "pay"); why != "5" {
			t.Errorf("after a stop: health %q, want 5", why)
		}
	})
}

// TestRenewalsDoNotWaitForReports: a store that is slow to take a report does
// not keep leases from being renewed.
func TestRenewalsDoNotWaitForReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		l := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		s.Store().Hold()
		k := openKeepAlive(t, c)
		start := time.Now()
		for range 3 {
			k.renew([]string{l.GetLeaseId()}, reportOf("pay-1", degraded, "slow"))
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the answers took %v", took)
		}
		s.Store().Release()
		synctest.Wait()
		if h, _ := healthOf(t, c, "pay"); h != degraded {
			t.Errorf("health = %v, want DEGRADED", h)
		}
	})
}

// TestReportsKeepTheirOrder: what is said while an earlier report is on its way
// to the disk comes after it, though the view does not show that one yet.
func TestReportsKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		l := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		s.Store().SetDelay(3 * time.Second)
		k := openKeepAlive(t, c)
		sick, well := reportOf("pay-1", unhealthy, "x"), reportOf("pay-1", healthy, "")
		k.renew([]string{l.GetLeaseId()}, sick)
		time.Sleep(2 * time.Second)
		k.renew([]string{l.GetLeaseId()}, well)
		time.Sleep(10 * time.Second)
		if h, _ := healthOf(t, c, "pay"); h != healthy {
			t.Errorf("health = %v, want HEALTHY, which was reported last", h)
		}
		k.renew([]string{l.GetLeaseId()}, sick)
		time.Sleep(2 * time.Second)
		if _, err := c.Update(t.Context(), &musterv1.UpdateRequest{
			LeaseId: l.GetLeaseId(), Instance: servertest.Instance("pay", "pay-1"), UpdateMask: mask("self_health"),
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if h, _ := healthOf(t, c, "pay"); h != healthy {
			t.Errorf("health = %v, want HEALTHY, as updated last", h)
		}
	})
}

// TestReportsDoNotCrossLeases: one that waits is dropped when its lease is
// replaced.
func TestReportsDoNotCrossLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		l := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		k := openKeepAlive(t, c)
		k.renew([]string{l.GetLeaseId()}, reportOf("pay-1", degraded, "1"))
		k.renew([]string{l.GetLeaseId()}, reportOf("pay-1", unhealthy, "2"))
		req := servertest.Register(time.Hour, servertest.Instance("pay", "pay-1"))
		req.Claim = previous(l)
		if _, err := c.Register(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if h, why := healthOf(t, c, "pay"); h != healthy {
			t.Errorf("health = %v %q of a new registration, want HEALTHY", h, why)
		}
		res := k.renew([]string{l.GetLeaseId()}, reportOf("pay-1", unhealthy, "3"))
		reasons := map[musterv1.ErrorReason]int{}
		for _, x := range res.GetExceptions() {
			reasons[x.GetLost().GetReason()]++
			reasons[x.GetReportRefused().GetReason()]++
		}
		if reasons[musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN] != 1 || reasons[musterv1.ErrorReason_ERROR_REASON_FENCED] != 1 {
			t.Errorf("exceptions = %v, want the lease lost and the report FENCED", res)
		}
	})
}
