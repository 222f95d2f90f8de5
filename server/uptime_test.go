package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

// wantUptime holds server_uptime_ms to its meaning: the uptime when the frame
// was made. A client takes one that lags behind for a frame that was under way.
func wantUptime(t *testing.T, h *musterv1.ViewHeader, started time.Time) {
	t.Helper()
	if up := time.Since(started).Milliseconds(); h.GetServerUptimeMs() != uint64(up) {
		t.Errorf("server_uptime_ms = %d, the server is up for %d ms", h.GetServerUptimeMs(), up)
	}
}

// TestProgressOfAnIdleServerIsFresh is M4.5a from the server's side: where
// nothing happens for long, watchers are not told that their view grows old.
func TestProgressOfAnIdleServerIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		c := servertest.New(t).Dial()
		next := watch(t, c, nil, "pay")
		wantUptime(t, next().GetSnapshot().GetHeader(), started)
		last := time.Now()
		for range 100 {
			p := next().GetProgress()
			wantUptime(t, p.GetHeader(), started)
			if silent := time.Since(last); silent < 8*time.Second || silent > 12*time.Second {
				t.Fatalf("progress after %v, want 10 s give or take a fifth", silent)
			}
			last = time.Now()
		}
	})
}

// TestLateSnapshotOfAnIdleServerIsFresh: the second watcher of a view does not
// get the frame that was made for the first one an hour ago.
func TestLateSnapshotOfAnIdleServerIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		c := servertest.New(t).Dial()
		wantUptime(t, watch(t, c, nil, "pay")().GetSnapshot().GetHeader(), started)
		time.Sleep(time.Hour)
		wantUptime(t, watch(t, c, nil, "pay")().GetSnapshot().GetHeader(), started)
	})
}
