package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/server/store"
)

// put writes a key under a guard on the revision of its last write.
func put(key, value string, mod uint64) store.Mutation {
	return store.Mutation{
		Guards: []store.Guard{{Key: key, Revision: mod}},
		Puts:   []store.Put{{Key: key, Value: []byte(value)}},
	}
}

// remove deletes a key under the same guard.
func remove(key string, mod uint64) store.Mutation {
	return store.Mutation{Guards: []store.Guard{{Key: key, Revision: mod}}, Deletes: []string{key}}
}

func guardsDecide(t *testing.T, s *started) {
	created := s.must(t, put("/there", "1", 0))
	changed := s.must(t, put("/there", "2", created))
	for _, c := range []struct {
		name  string
		guard store.Guard
		holds bool
	}{
		{"Mod", store.Guard{Key: "/there", Revision: changed}, true},
		{"ModOfAnEarlierWrite", store.Guard{Key: "/there", Revision: created}, false},
		{"ModOfALaterWrite", store.Guard{Key: "/there", Revision: changed + 1}, false},
		{"ModAbsentOfPresent", store.Guard{Key: "/there"}, false},
		{"ModAbsent", store.Guard{Key: "/absent"}, true},
		{"ModOfAbsent", store.Guard{Key: "/absent", Revision: created}, false},
		{"Create", store.Guard{Key: "/there", Aspect: store.Create, Revision: created}, true},
		{"CreateOfALaterWrite", store.Guard{Key: "/there", Aspect: store.Create, Revision: changed}, false},
		{"CreateAbsentOfPresent", store.Guard{Key: "/there", Aspect: store.Create}, false},
		{"CreateAbsent", store.Guard{Key: "/absent", Aspect: store.Create}, true},
		{"PrefixIsNoKey", store.Guard{Key: "/the"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := put("/other/"+c.name, "x", 0)
			m.Guards = append(m.Guards, c.guard)
			a := s.do(t, m)
			if a.err != nil || a.outcome.Committed() != c.holds {
				t.Fatalf("got %+v, want committed %v", a, c.holds)
			}
			if _, written := s.state()["/other/"+c.name]; written != c.holds {
				t.Errorf("written: %v, want %v", written, c.holds)
			}
		})
	}
}

func failedGuardsNameAll(t *testing.T, s *started) {
	first := s.must(t, put("/a", "1", 0))
	before := s.applied()
	a := s.do(t, store.Mutation{
		Guards: []store.Guard{{Key: "/a", Revision: first}, {Key: "/b", Revision: 7}, {Key: "/c"}},
		Puts:   []store.Put{{Key: "/a", Value: []byte("2")}, {Key: "/c"}},
	})
	want := []store.Entry{
		{Key: "/a", Value: []byte("1"), CreateRevision: first, ModRevision: first},
		{Key: "/b"},
		{Key: "/c"},
	}
	if d := cmp.Diff(want, a.outcome.Failed); d != "" || a.err != nil || a.outcome.Committed() {
		t.Errorf("got %+v; entries (-want +got):\n%s", a, d)
	}
	if s.applied() != before {
		t.Errorf("revision %d after a mutation without effect, want %d", s.applied(), before)
	}
}

func revisionsOfAnEntry(t *testing.T, s *started) {
	var last uint64
	check := func(step string, revision, created uint64) {
		t.Helper()
		if revision <= last {
			t.Errorf("%s: revision %d after %d", step, revision, last)
		}
		last = revision
		if e := s.state()["/k"]; e.CreateRevision != created || (created != 0 && e.ModRevision != revision) {
			t.Errorf("%s at %d: %+v, want create revision %d", step, revision, e, created)
		}
	}
	r1 := s.must(t, put("/k", "1", 0))
	check("created", r1, r1)
	r2 := s.must(t, put("/k", "2", r1))
	check("changed", r2, r1)
	r3 := s.must(t, remove("/k", r2))
	check("deleted", r3, 0)
	r4 := s.must(t, put("/k", "3", 0))
	check("created again", r4, r4)
}

func refusesInvalid(t *testing.T, s *started) {
	guard := []store.Guard{{Key: "/k"}}
	value := []store.Put{{Key: "/k", Value: []byte("v")}}
	before := s.applied()
	for name, m := range map[string]store.Mutation{
		"writes nothing":            {Guards: guard},
		"is empty":                  {},
		"puts without a guard":      {Puts: value},
		"deletes without a guard":   {Guards: guard, Puts: value, Deletes: []string{"/other"}},
		"puts twice":                {Guards: guard, Puts: append(value[:1:1], value...)},
		"puts and deletes":          {Guards: []store.Guard{{Key: "/k", Revision: 1}}, Puts: value, Deletes: []string{"/k"}},
		"deletes what must be gone": {Guards: guard, Deletes: []string{"/k"}},
		"has an empty key":          {Guards: []store.Guard{{Key: ""}}, Puts: []store.Put{{Key: ""}}},
		"has an unknown aspect":     {Guards: []store.Guard{{Key: "/k", Aspect: 9}}, Puts: value},
	} {
		if a := s.do(t, m); !errors.Is(a.err, store.ErrInvalid) {
			t.Errorf("a mutation that %s got %+v, want ErrInvalid", name, a)
		}
	}
	if s.applied() != before {
		t.Errorf("revision %d after invalid mutations, want %d", s.applied(), before)
	}
}

func refusesLarge(t *testing.T, s *started) {
	if a := s.do(t, put("/k", strings.Repeat("x", store.MaxMutationBytes), 0)); !errors.Is(a.err, store.ErrTooLarge) {
		t.Errorf("got %+v, want ErrTooLarge", a)
	}
	s.must(t, put("/k", "small", 0))
}

func takesLargest(t *testing.T, s *started) {
	m := put("/k", "", 0)
	m.Puts[0].Value = []byte(strings.Repeat("x", store.MaxMutationBytes-m.Size()))
	s.must(t, m)
	if n := len(s.state()["/k"].Value); n != len(m.Puts[0].Value) {
		t.Errorf("%d bytes arrived, %d were written", n, len(m.Puts[0].Value))
	}
}
