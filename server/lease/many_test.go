package lease

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestTableGivesRoomAgain: what comes and goes does not pile up.
func TestTableGivesRoomAgain(t *testing.T) {
	t.Parallel()
	table, now := NewTable(start), start
	for i := range 300_000 {
		id := Key{uint64(i), 1}.ID() //nolint:gosec // positive
		if i%2 == 0 {
			id = fmt.Sprint("lease-", i)
		}
		table.Put(id, 15*time.Second, 1, now)
		now = now.Add(time.Millisecond)
		table.Tick(now, 10)
		table.Remove(id)
	}
	if got := len(table.slab.chunks); got != 1 {
		t.Errorf("%d chunks of entries, want 1", got)
	}
	if got := len(table.names); got != 0 {
		t.Errorf("%d names of leases that are gone", got)
	}
	// Numbers of leases that are gone stay in the wheel until their time comes.
	if got, most := len(table.wheel.chunks)*blockChunkLen, 2*wheelLen; got > most {
		t.Errorf("%d blocks, want at most %d", got, most)
	}
}

// TestManyLeasesAreFoundAgain: whatever else came and went, a table finds those
// that it has, and no others.
func TestManyLeasesAreFoundAgain(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // repeatable
	table, has := NewTable(start), map[uint64]uint64{}
	id := func(n uint64) string { return Key{n * 0x9e3779b97f4a7c15, n}.ID() }
	const names = 30_000
	for i := range uint64(300_000) {
		n := random.Uint64N(names)
		if _, ok := has[n]; ok && random.IntN(2) == 0 {
			table.Remove(id(n))
			delete(has, n)
			continue
		}
		table.Put(id(n), time.Second, i, start)
		has[n] = i
	}
	for n := range uint64(names) {
		_, e := table.find(KeyOf(id(n)))
		if mod, ok := has[n]; ok != (e != nil) || ok && e.mod != mod {
			t.Fatalf("lease %d: %+v, want %v at %d", n, e, ok, mod)
		}
	}
	if got := table.Stats().Leases; got != len(has) {
		t.Errorf("%d leases, want %d", got, len(has))
	}
}

// TestManyDueAtOnce: all of them are found, whatever the limit, in turn with
// those that come due after them.
func TestManyDueAtOnce(t *testing.T) {
	t.Parallel()
	const mass, later, ttl = 100_000, 2_000, 10 * time.Second
	table, now := NewTable(start), start
	for i := range uint64(mass) {
		table.Put(Key{i, 7}.ID(), ttl, 1, now)
	}
	for i := range uint64(later) {
		table.Put(Key{i, 8}.ID(), ttl+time.Duration(i)*time.Millisecond, 2, now)
	}
	for now.Before(start.Add(ttl - 10*time.Millisecond)) {
		now = now.Add(10 * time.Millisecond)
		if due := table.Tick(now, mass); due != nil {
			t.Fatalf("%d found due at %v", len(due), now.Sub(start))
		}
	}
	found := map[string]bool{}
	for range 10 + (mass+later)/500 {
		now = now.Add(10 * time.Millisecond)
		for _, d := range table.Tick(now, 500) {
			if found[d.ID] {
				t.Fatalf("%s found due twice", d.ID)
			}
			found[d.ID] = true
		}
	}
	if len(found) != mass+later {
		t.Errorf("%d found due, want %d", len(found), mass+later)
	}
}

// TestManyPutOffAtOnce: a restart makes the deadlines of all leases one, and
// those who renewed meanwhile are spared.
func TestManyPutOffAtOnce(t *testing.T) {
	t.Parallel()
	const leases, ttl = 50_000, 10 * time.Second
	table, now := NewTable(start), start
	var keys []Key
	for i := range uint64(leases) {
		keys = append(keys, Key{i, 7})
		table.Put(keys[i].ID(), ttl, 1, now)
	}
	var out Renewal
	for now.Before(start.Add(3 * ttl)) {
		now = now.Add(10 * time.Millisecond)
		if now.Sub(start)%(4*time.Second) == 0 {
			table.Renew(keys[:leases/2], 0, now, &out)
		}
		for _, d := range table.Tick(now, leases) {
			if k := KeyOf(d.ID); k.a < leases/2 {
				t.Fatalf("%s is renewed and was found due", d.ID)
			}
		}
	}
	table.Renew(keys, 0, now, &out)
	if len(out.Exceptions) != leases/2 {
		t.Errorf("%d were found due, want %d", len(out.Exceptions), leases/2)
	}
}

// TestPresentTickIsLookedAtInParts: so many leases that one look does not get
// through them are found all the same, those left over first.
func TestPresentTickIsLookedAtInParts(t *testing.T) {
	t.Parallel()
	const leases = 5 * lookAtOnce
	table, now := NewTable(start), start
	for i := range uint64(leases) {
		table.Put(Key{i, 7}.ID(), time.Millisecond, 1, now)
	}
	found := 0
	for range 10 { // all within one tick of the wheel
		now = now.Add(time.Millisecond)
		due := len(table.Tick(now, leases))
		if due > lookAtOnce+blockLen {
			t.Fatalf("%d looked at in one go, want %d", due, lookAtOnce)
		}
		found += due
	}
	if found != leases {
		t.Errorf("%d found due, want %d", found, leases)
	}
}

// TestEarlierReadingOfTheClockTakesNothingBack: renewals of one lease on two
// streams may reach the table in the other order.
func TestEarlierReadingOfTheClockTakesNothingBack(t *testing.T) {
	t.Parallel()
	table := NewTable(start)
	table.Put("a", time.Second, 1, start)
	table.Confirm("a", start.Add(300*time.Millisecond))
	table.Confirm("a", start.Add(200*time.Millisecond))
	if at, _ := table.Heard("a"); at != start.Add(300*time.Millisecond) {
		t.Errorf("heard of at %v, want 300ms", at.Sub(start))
	}
}
