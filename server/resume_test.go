package server_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

// resumed opens a watch of pay at a position, and returns the first frame
// after Opened, or the error that ends the stream.
func resumed(t *testing.T, c servertest.Clients, k *musterv1.KnownView) (*musterv1.WatchResponse, error) {
	t.Helper()
	w, err := c.Watch(t.Context(), &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{subscription(1, k, "pay")}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := w.Recv()
	if err != nil {
		return nil, err
	}
	if f.GetOpened() == nil {
		t.Fatalf("first frame = %v, want Opened (M2.1a)", f)
	}
	return w.Recv()
}

// TestResumeByEpoch is rule 1 of 2.9, which goes before all others.
func TestResumeByEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		k := knownOf(lookup(t, c, "pay").GetHeader())
		k.Epoch++
		_, err := resumed(t, c, k)
		wantReason(t, err, "EPOCH_BEHIND")
		if m := metadataOf(err); m["epoch"] != fmt.Sprint(k.GetEpoch()-1) {
			t.Errorf("metadata = %v, want the server's epoch", m)
		}
		k.Epoch -= 2
		k.ViewId++
		f, err := resumed(t, c, k)
		if err != nil || f.GetSnapshot().GetCause() != musterv1.SnapshotCause_SNAPSHOT_CAUSE_NEW_EPOCH {
			t.Errorf("frame = %v, %v; want Snapshot NEW_EPOCH", f, err)
		}
	})
}

// TestResumeAheadOfTheStore is rule 3 of 2.9: without the store's word that
// history was lost the stream ends after 2 s; another view (rule 2) needs none.
func TestResumeAheadOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withMuteStore(t).Dial()
		k := knownOf(lookup(t, c, "pay").GetHeader())
		k.Revision += 1000
		start := time.Now()
		_, err := resumed(t, c, k)
		wantReason(t, err, "VIEW_BEHIND")
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("answered after %v, want 2 s", took)
		}
		k.ViewId++
		f, err := resumed(t, c, k)
		if err != nil || f.GetSnapshot().GetCause() != musterv1.SnapshotCause_SNAPSHOT_CAUSE_SELECTOR_CHANGED {
			t.Errorf("frame = %v, %v; want Snapshot SELECTOR_CHANGED", f, err)
		}
	})
}

// TestWrongClusterIsRefused: a server of another cluster is an error, never a
// new epoch.
func TestWrongClusterIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		info, err := c.GetServerInfo(t.Context(), &musterv1.GetServerInfoRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]string{info.GetClusterId(): "", "": "", "another": "WRONG_CLUSTER"} {
			w, err := c.Watch(t.Context(), &musterv1.WatchRequest{
				ClusterId: id, Subscriptions: []*musterv1.Subscription{subscription(1, nil, "pay")},
			})
			if err == nil {
				_, err = w.Recv()
			}
			if reason(err) != want {
				t.Errorf("cluster %q: %v, want %q", id, err, want)
			}
			if want != "" && metadataOf(err)["cluster_id"] != info.GetClusterId() {
				t.Errorf("metadata = %v, want the server's cluster", metadataOf(err))
			}
		}
	})
}
