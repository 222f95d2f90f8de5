package lease

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// modelLease is what the table must know of a lease, without any wheel.
type modelLease struct {
	ttl, heard time.Duration
	mod        uint64
	expiring   bool
	holder     Holder
}

// model is a table that looks at every lease at every tick.
type model struct {
	table   *Table
	leases  map[string]*modelLease
	holders []Holder

	now, quiet, lastTick time.Duration
	mod                  uint64
}

func (m *model) at() time.Time { return start.Add(m.now) }

func (m *model) isDue(l *modelLease) bool {
	return !l.expiring && m.now >= max(l.heard, m.quiet)+l.ttl
}

// TestWheelAgainstModel holds random histories of everything that a table is
// told to a model without a wheel, over TTLs and pauses shorter and longer than
// the wheel: what is found due is exactly what is due, up to the limit.
func TestWheelAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{table: NewTable(start), leases: map[string]*modelLease{}, holders: []Holder{0}}
		t.Repeat(map[string]func(*rapid.T){
			"put":    m.put,
			"remove": m.remove,
			"renew":  m.renew,
			"failed": m.failed,
			"tick":   m.tick,
			"ticks": func(t *rapid.T) {
				for range rapid.IntRange(1, 200).Draw(t, "ticks") {
					m.tick(t)
				}
			},
			"minutes": func(t *rapid.T) {
				step := time.Duration(rapid.IntRange(300, 500).Draw(t, "step")) * time.Millisecond
				for range rapid.IntRange(1, 400).Draw(t, "steps") {
					m.step(t, step, 100)
				}
			},
			"open":  func(*rapid.T) { m.holders = append(m.holders, m.table.OpenHolder()) },
			"close": m.closeHolder,
			"reset": m.reset,
			"":      m.check,
		})
	})
}

// draw chooses a lease_id: half of them are of the form that servers make.
func (m *model) draw(t *rapid.T) string {
	n := rapid.IntRange(0, 15).Draw(t, "lease")
	if n%2 == 0 {
		return fmt.Sprintf("%032x", n)
	}
	return fmt.Sprint("lease-", n)
}

func (m *model) put(t *rapid.T) {
	id := m.draw(t)
	ttl := time.Duration(rapid.OneOf(rapid.IntRange(1, 20_000), rapid.IntRange(20_000, 100_000), rapid.IntRange(1, 4_000_000)).Draw(t, "ttl")) * time.Millisecond
	m.mod++
	m.table.Put(id, ttl, m.mod, m.at())
	l := m.leases[id]
	switch {
	case l == nil:
		m.leases[id] = &modelLease{ttl: ttl, heard: m.now, mod: m.mod}
		return
	case l.expiring:
		l.expiring, l.heard = false, m.now
	}
	l.ttl, l.mod = ttl, m.mod
}

func (m *model) remove(t *rapid.T) {
	id := m.draw(t)
	m.table.Remove(id)
	delete(m.leases, id)
}

func (m *model) renew(t *rapid.T) {
	var ids []string
	var keys []Key
	for range rapid.IntRange(0, 8).Draw(t, "leases") {
		ids = append(ids, m.draw(t))
		keys = append(keys, KeyOf(ids[len(ids)-1]))
	}
	h := rapid.SampledFrom(m.holders).Draw(t, "holder")
	var want, got Renewal
	for i, id := range ids {
		l := m.leases[id]
		switch {
		case l == nil:
			want.Exceptions = append(want.Exceptions, Exception{Index: i, State: Unknown})
			continue
		case l.expiring:
			want.Exceptions = append(want.Exceptions, Exception{Index: i, State: Expiring})
		default:
			l.heard = m.now
		}
		if l.holder != h {
			l.holder, want.Moved = h, append(want.Moved, i)
		}
	}
	m.table.Renew(keys, h, m.at(), &got)
	if !slices.Equal(got.Exceptions, want.Exceptions) || !slices.Equal(got.Moved, want.Moved) {
		t.Fatalf("renew %v for %d = %+v, want %+v", ids, h, got, want)
	}
}

func (m *model) failed(t *rapid.T) {
	id := m.draw(t)
	l := m.leases[id]
	if l == nil {
		return
	}
	d := Due{ID: id, ModRevision: l.mod - uint64(rapid.IntRange(0, 1).Draw(t, "older"))} //nolint:gosec // small
	m.table.ExpiryFailed(d, m.at())
	if d.ModRevision == l.mod {
		l.expiring = false
	}
}

func (m *model) tick(t *rapid.T) {
	step := rapid.OneOf(
		rapid.Just(10*time.Millisecond),
		rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(rapid.Int64Range(0, 6e8).Draw(t, "gap")) }),
		rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(1, 100_000).Draw(t, "pause")) * time.Millisecond
		}),
	).Draw(t, "step")
	m.step(t, step, rapid.SampledFrom([]int{0, 1, 3, 100, 100, 100}).Draw(t, "limit"))
}

func (m *model) step(t *rapid.T, step time.Duration, limit int) {
	m.now += step
	if m.now-m.lastTick > MaxTickGap {
		m.quiet = m.now
	}
	m.lastTick = m.now
	due := 0
	for _, l := range m.leases {
		if m.isDue(l) {
			due++
		}
	}
	found := m.table.Tick(m.at(), limit)
	if len(found) != min(due, limit) {
		t.Fatalf("%d found due at %v, want %d of %d", len(found), m.now, limit, due)
	}
	for _, d := range found {
		l := m.leases[d.ID]
		if l == nil || !m.isDue(l) || l.mod != d.ModRevision {
			t.Fatalf("%+v found due at %v: %+v", d, m.now, l)
		}
		l.expiring = true
	}
}

func (m *model) closeHolder(t *rapid.T) {
	at := rapid.IntRange(0, len(m.holders)-1).Draw(t, "holder")
	h := m.holders[at]
	if h == 0 {
		return
	}
	m.holders = slices.Delete(m.holders, at, at+1)
	var got, want []string
	m.table.CloseHolder(h, func(id string) { got = append(got, id) })
	for id, l := range m.leases {
		if l.holder == h {
			l.holder, want = 0, append(want, id)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("holder %d held %v, want %v", h, got, want)
	}
}

func (m *model) reset(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
		m.table.Reset(m.at())
		clear(m.leases)
		m.quiet = m.now
	}
}

func (m *model) check(t *rapid.T) {
	s := m.table.Stats()
	if s.Leases != len(m.leases) || s.QuietSince != start.Add(m.quiet) {
		t.Fatalf("%+v, want %d leases, quiet since %v", s, len(m.leases), m.quiet)
	}
	held := map[Holder]int{}
	for id, l := range m.leases {
		held[l.holder]++
		heard, ok := m.table.Heard(id)
		if !ok || heard != start.Add(l.heard) || m.table.Held(id) != (l.holder != 0) {
			t.Fatalf("%s heard of %v, held %v, want %+v", id, heard.Sub(start), m.table.Held(id), l)
		}
	}
	for _, h := range m.holders[1:] {
		if got := m.table.HeldBy(h); got != held[h] {
			t.Fatalf("holder %d holds %d, want %d", h, got, held[h])
		}
	}
}
