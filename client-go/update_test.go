package muster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// madeOf is a view of instances at revisions, by id.
func madeOf(snapshots uint64, instances ...*Instance) *View {
	config := Config{FreshFor: time.Hour, StaleFor: 2 * time.Hour}
	v := newView(Service("shop", "pay"), &config, clientClock{time.Now()})
	v.received, v.snapshots, v.cause, v.instances = true, snapshots, SnapshotHistoryCompacted, instances
	return v
}

func at(id string, revision uint64) *Instance {
	return &Instance{Key: Key{"shop", "pay", id}, ModifyRevision: revision}
}

func TestUpdatesBetweenViews(t *testing.T) {
	a, b, b2, c, d := at("a", 1), at("b", 2), at("b", 5), at("c", 3), at("d", 6)
	before := madeOf(1, a, b, c)
	for _, test := range []struct {
		name              string
		from, to          *View
		snapshot          bool
		upserted, removed []string
	}{
		{name: "changed, new and gone", from: before, to: madeOf(1, a, b2, d), upserted: []string{"b", "d"}, removed: []string{"c EXPIRED"}},
		{name: "a snapshot in between tells the same", from: before, to: madeOf(2, a, b2, d), snapshot: true, upserted: []string{"b", "d"}, removed: []string{"c EXPIRED"}},
		{name: "a snapshot that changed nothing is told", from: before, to: madeOf(2, a, b, c), snapshot: true},
		{name: "a snapshot that lacks what was not seen to go", from: before, to: madeOf(2, b, c), snapshot: true, removed: []string{"a SNAPSHOT_ABSENT"}},
		{name: "what went and is not remembered", from: before, to: madeOf(1, b, c), removed: []string{"a UNKNOWN"}},
		{name: "all gone", from: before, to: madeOf(1), removed: []string{"a UNKNOWN", "b UNKNOWN", "c EXPIRED"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.to.removals = remember(nil, []Removal{{Key: c.Key, Reason: RemovalExpired}}, Position{7, 9})
			freshness := Fresh
			updates := updatesBetween(test.from, test.to, &freshness)
			if len(updates) != 1 || updates[0].View() != test.to {
				t.Fatalf("updates %v", updates)
			}
			snapshot, isSnapshot := updates[0].(Snapshot)
			delta, _ := updates[0].(Delta)
			if isSnapshot != test.snapshot || isSnapshot && snapshot.Cause != SnapshotHistoryCompacted {
				t.Errorf("it is a %T of cause %v", updates[0], snapshot.Cause)
			}
			var upserted, removed []string
			for _, i := range append(snapshot.Upserted, delta.Upserted...) {
				upserted = append(upserted, i.ID)
			}
			for _, r := range append(snapshot.Removed, delta.Removed...) {
				removed = append(removed, r.Key.ID+" "+r.Reason.String())
			}
			if diff := cmp.Diff([][]string{test.upserted, test.removed}, [][]string{upserted, removed}); diff != "" {
				t.Errorf("upserted and removed (-want +got):\n%s", diff)
			}
		})
	}
	freshness := Fresh
	if updates := updatesBetween(before, madeOf(1, a, b, c), &freshness); len(updates) != 0 {
		t.Errorf("a view that changed nothing is told: %v", updates)
	}
}

func TestRemovalsAreRememberedUpToALimit(t *testing.T) {
	var log []seenRemoval
	var seen [][]seenRemoval
	for i := range 5000 {
		log = remember(log, []Removal{{Key: Key{"shop", "pay", string(rune('a' + i%26))}, Reason: RemovalExpired}}, Position{7, uint64(i)})
		if len(log) > 2*removalsKept {
			t.Fatalf("%d removals are kept", len(log))
		}
		seen = append(seen, log)
	}
	if got := log[len(log)-1].at.Revision; got != 4999 || len(log) < removalsKept {
		t.Errorf("the last of %d is of revision %d", len(log), got)
	}
	for i, old := range seen {
		if got := old[len(old)-1].at.Revision; got != uint64(i) {
			t.Fatalf("an old view's log changed: its last removal is of revision %d, was %d", got, i)
		}
	}
}
