package lease

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestPauseExpiresNobodyWhoseRenewalMayLieUnread(t *testing.T) {
	const ttl = 10 * time.Second
	now := start
	table := NewTable(now)
	table.Put("a", ttl, 1, now)
	for range 150 { // 15 s of life, renewed all along
		now = now.Add(100 * time.Millisecond)
		if table.Confirm("a", now) != Confirmed {
			t.Fatal("not confirmed")
		}
		if due := table.Tick(now, 10); due != nil {
			t.Fatalf("expired while it was renewed: %v", due)
		}
	}
	// SIGSTOP for an hour; then the sweeper runs before any reader does.
	now = now.Add(time.Hour)
	if due := table.Tick(now, 10); due != nil {
		t.Fatalf("expired right after a pause: %v", due)
	}
	if got := table.Stats().Pauses; got != 1 {
		t.Errorf("%d pauses counted, want 1", got)
	}
	for range 99 {
		now = now.Add(100 * time.Millisecond)
		if due := table.Tick(now, 10); due != nil {
			t.Fatalf("expired %v after a pause, TTL %v", now.Sub(start), ttl)
		}
	}
	now = now.Add(100 * time.Millisecond)
	if due := table.Tick(now, 10); len(due) != 1 {
		t.Fatal("not expired a full TTL after the pause")
	}
}

func TestExpiringIsNeitherConfirmedNorFoundDueAgain(t *testing.T) {
	now := start
	table := NewTable(now)
	table.Put("a", time.Second, 7, now)
	tick := func() []Due {
		var due []Due
		for range 15 {
			now = now.Add(100 * time.Millisecond)
			due = append(due, table.Tick(now, 10)...)
		}
		return due
	}
	due := tick()
	if len(due) != 1 || due[0] != (Due{"a", 7}) {
		t.Fatalf("due = %v, want a at 7", due)
	}
	if s := table.Confirm("a", now); s != Expiring {
		t.Errorf("confirm = %v, want Expiring", s)
	}
	if again := tick(); again != nil {
		t.Errorf("found due again: %v", again)
	}
	// An answer to an older expiry means nothing for this one.
	table.ExpiryFailed(Due{"a", 6}, now)
	if s := table.Confirm("a", now); s != Expiring {
		t.Errorf("after another's failure: %v, want Expiring", s)
	}
	table.ExpiryFailed(due[0], now)
	if s := table.Confirm("a", now); s != Confirmed {
		t.Errorf("after its own failure: %v, want Confirmed", s)
	}
}

func TestRewrittenLeaseEndsExpiring(t *testing.T) {
	now := start
	table := NewTable(now)
	table.Put("a", time.Second, 7, now)
	for range 12 {
		now = now.Add(100 * time.Millisecond)
		table.Tick(now, 10)
	}
	table.Put("a", time.Second, 8, now)
	if at, ok := table.Heard("a"); !ok || at != now {
		t.Errorf("heard at %v, want when the view had it, %v (M6.4b)", at, now)
	}
	for range 9 {
		now = now.Add(100 * time.Millisecond)
		if due := table.Tick(now, 10); due != nil {
			t.Fatalf("found due within a TTL of the rewriting: %v", due)
		}
	}
	if s := table.Confirm("a", now); s != Confirmed {
		t.Errorf("confirm = %v, want Confirmed", s)
	}
}

// TestTableAgainstModel holds random histories to the promise: nothing is
// found due before its TTL has passed since it was last confirmed and since
// the last pause, and everything is found due soon after (M6.2c, M6.8a).
func TestTableAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type model struct {
			ttl, heardAt time.Duration
			due          bool
		}
		leases := map[string]*model{}
		var now, pause, lastTick time.Duration
		at := func(d time.Duration) time.Time { return start.Add(d) }
		table := NewTable(at(0))
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			id := fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "lease"))
			m := leases[id]
			switch rapid.IntRange(0, 9).Draw(t, "action") {
			case 0:
				if m == nil {
					m = &model{ttl: time.Duration(rapid.IntRange(1, 30).Draw(t, "ttl")) * 100 * time.Millisecond, heardAt: now}
					leases[id] = m
					table.Put(id, m.ttl, 1, at(now))
				}
			case 1, 2:
				want := Unknown
				if m != nil && m.due {
					want = Expiring
				} else if m != nil {
					want, m.heardAt = Confirmed, now
				}
				if got := table.Confirm(id, at(now)); got != want {
					t.Fatalf("confirm %s = %v, want %v", id, got, want)
				}
			case 3:
				if m != nil {
					table.Remove(id)
					delete(leases, id)
				}
			case 4:
				now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond
			default:
				now += time.Duration(rapid.IntRange(1, 500).Draw(t, "gap")) * time.Millisecond
			}
			if now-lastTick > MaxTickGap {
				pause = now
			}
			lastTick = now
			found := map[string]bool{}
			for _, d := range table.Tick(at(now), 100) {
				found[d.ID] = true
			}
			for id, m := range leases {
				overdue := now >= max(m.heardAt, pause)+m.ttl
				if found[id] != (overdue && !m.due) {
					t.Fatalf("lease %s: found due %v at %v, heard at %v, pause ended at %v, TTL %v", id, found[id], now, m.heardAt, pause, m.ttl)
				}
				m.due = m.due || found[id]
			}
		}
	})
}
