package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server"
	"github.com/muster-registry/muster/server/servertest"
)

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func watch(t *testing.T, c servertest.Clients, resume *musterv1.KnownView, services ...string) func() *musterv1.WatchResponse {
	t.Helper()
	w, err := c.Watch(t.Context(), &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{
		{SubscriptionId: 1, Selector: servertest.Services(services...), Resume: resume},
	}})
	if err != nil {
		t.Fatal(err)
	}
	next := func() *musterv1.WatchResponse {
		t.Helper()
		f, err := w.Recv()
		if err != nil {
			t.Fatalf("watch: %v", err)
		}
		return f
	}
	if f := next(); f.GetOpened() == nil {
		t.Fatalf("first frame = %v, want Opened", f)
	}
	return next
}

func TestWatchSendsSnapshotThenDeltasThenProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		next := watch(t, c, nil, "pay")
		snap := next().GetSnapshot()
		if snap == nil || snap.GetHeader().GetCount() != 0 || snap.GetCause() != musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST {
			t.Fatalf("snapshot = %v, want an empty one", snap)
		}
		reg, err := c.Register(t.Context(), servertest.Register(15*time.Second, servertest.Instance("pay", "pay-1")))
		if err != nil {
			t.Fatal(err)
		}
		d := next().GetDelta()
		if d.GetFromRevision() != snap.GetHeader().GetRevision() || len(d.GetInstances()) != 1 || d.GetHeader().GetCount() != 2 {
			t.Fatalf("delta = %v, want the instance and its service, from %d", d, snap.GetHeader().GetRevision())
		}
		if _, err := c.Deregister(t.Context(), &musterv1.DeregisterRequest{LeaseId: reg.GetLease().GetLeaseId()}); err != nil {
			t.Fatal(err)
		}
		d = next().GetDelta()
		if len(d.GetRemovals()) != 1 || d.GetRemovals()[0].GetReason() != musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED {
			t.Fatalf("delta = %v, want a DEREGISTERED removal", d)
		}
		f := next()
		if len(d.GetServices()) == 0 {
			if f.GetDelta() == nil {
				t.Fatalf("frame = %v, want the service's state saying that it is empty", f)
			}
			f = next()
		}
		if f.GetProgress() == nil {
			t.Fatalf("frame = %v, want Progress after silence", f)
		}
	})
}

func TestResumeByDigestAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		if _, err := c.Register(t.Context(), servertest.Register(time.Hour, servertest.Instance("pay", "pay-1"))); err != nil {
			t.Fatal(err)
		}
		h := watch(t, c, nil, "pay")().GetSnapshot().GetHeader()
		// Something else moves the revision on, so that only the digest helps.
		if _, err := c.Register(t.Context(), servertest.Register(time.Hour, servertest.Instance("cart", "cart-1"))); err != nil {
			t.Fatal(err)
		}
		s.Kill()
		s.Start()
		c = s.Dial()
		known := &musterv1.KnownView{Epoch: h.GetEpoch(), Revision: h.GetRevision(), ViewId: h.GetViewId(), Digest: h.GetDigest(), Count: h.GetCount()}
		if f := watch(t, c, known, "pay")(); f.GetProgress() == nil {
			t.Errorf("equal digest: %v, want Progress", f)
		}
		known.Digest++
		if f := watch(t, c, known, "pay")(); f.GetSnapshot().GetCause() != musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED {
			t.Errorf("other digest: %v, want Snapshot HISTORY_COMPACTED", f)
		}
		known.ViewId++
		if f := watch(t, c, known, "pay")(); f.GetSnapshot().GetCause() != musterv1.SnapshotCause_SNAPSHOT_CAUSE_SELECTOR_CHANGED {
			t.Errorf("other view: %v, want Snapshot SELECTOR_CHANGED", f)
		}
		known.ViewId--
		known.Revision += 1000
		if f := watch(t, c, known, "pay")(); f.GetSnapshot().GetCause() != musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_LOST {
			t.Errorf("ahead: %v, want Snapshot HISTORY_LOST", f)
		}
	})
}

// TestResumeBeyondTheLogs: a position that the logs no longer reach gets the
// whole set, one that they do gets what changed.
func TestResumeBeyondTheLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t, func(c *server.Config) { c.History = 1 })
		c := s.Dial()
		reg, err := c.Register(t.Context(), servertest.Register(time.Hour, servertest.Instance("pay", "pay-1")))
		if err != nil {
			t.Fatal(err)
		}
		known := func() *musterv1.KnownView {
			h := watch(t, c, nil, "pay")().GetSnapshot().GetHeader()
			return &musterv1.KnownView{Epoch: h.GetEpoch(), Revision: h.GetRevision(), ViewId: h.GetViewId(), Digest: h.GetDigest(), Count: h.GetCount()}
		}
		old := known()
		change := func(n int) {
			for i := range n {
				in := servertest.Instance("pay", "pay-1")
				in.SchemaVersion = uint32(i + 1)
				if _, err := c.Update(t.Context(), &musterv1.UpdateRequest{LeaseId: reg.GetLease().GetLeaseId(), Instance: in, UpdateMask: mask("schema_version")}); err != nil {
					t.Fatal(err)
				}
			}
		}
		change(200)
		recent := known()
		change(10)
		if f := watch(t, c, old, "pay")(); f.GetSnapshot().GetCause() != musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED {
			t.Errorf("old position: %v, want Snapshot HISTORY_COMPACTED", f)
		}
		if f := watch(t, c, recent, "pay")(); f.GetDelta().GetFromRevision() != recent.GetRevision() || len(f.GetDelta().GetInstances()) != 1 {
			t.Errorf("recent position: %v, want Delta with one instance", f)
		}
	})
}
