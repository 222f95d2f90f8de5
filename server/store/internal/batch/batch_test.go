package batch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/internal/batch"
)

// write guards and puts some keys, and only guards others.
func write(puts, guards []string) *store.Mutation {
	m := &store.Mutation{}
	for _, k := range puts {
		m.Guards = append(m.Guards, store.Guard{Key: k})
		m.Puts = append(m.Puts, store.Put{Key: k, Value: []byte(k)})
	}
	for _, k := range guards {
		m.Guards = append(m.Guards, store.Guard{Key: k})
	}
	return m
}

func empty(string) store.Entry { return store.Entry{} }

func TestPacking(t *testing.T) {
	a, b := []string{"a"}, []string{"b"}
	for _, c := range []struct {
		name      string
		mutations []*store.Mutation
		want      []uint64 // revisions; 0: a guard failed
	}{
		{"UnrelatedOnesShareARevision", []*store.Mutation{write(a, nil), write(b, nil)}, []uint64{11, 11}},
		{"OneThatGuardsWhatAnotherWroteFails", []*store.Mutation{write(a, nil), write(b, a)}, []uint64{11, 0}},
		{"OneThatWritesWhatAnotherGuardedComesLater", []*store.Mutation{write(a, b), write(b, nil)}, []uint64{11, 12}},
		{"CommonGuardsShareARevision", []*store.Mutation{write(a, []string{"x"}), write(b, []string{"x"})}, []uint64{11, 11}},
		{
			"AFailedOneMakesNoConflict",
			[]*store.Mutation{write(a, nil), write([]string{"c"}, []string{"a", "b"}), write(b, nil)},
			[]uint64{11, 0, 11},
		},
		{
			"ALaterOneDoesNotGoBack",
			[]*store.Mutation{write(a, b), write(b, nil), write([]string{"c"}, nil)},
			[]uint64{11, 12, 12},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := batch.New(10, empty)
			got := make([]uint64, len(c.mutations))
			for i, m := range c.mutations {
				got[i] = x.Add(m).Revision
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("revisions (-want +got):\n%s", d)
			}
		})
	}
}

func TestChainOnOneKey(t *testing.T) {
	x := batch.New(0, empty)
	for i := range uint64(3) {
		o := x.Add(&store.Mutation{Guards: []store.Guard{{Key: "a", Revision: i}}, Puts: []store.Put{{Key: "a", Value: []byte{byte(i)}}}})
		if o.Revision != i+1 {
			t.Fatalf("write %d got revision %d", i, o.Revision)
		}
	}
	gone := x.Add(&store.Mutation{Guards: []store.Guard{{Key: "a", Aspect: store.Create, Revision: 1}}, Deletes: []string{"a"}, Note: []byte("n")})
	if gone.Revision != 4 {
		t.Fatalf("deletion got %+v", gone)
	}
	want := store.Commit{
		Revision: 4,
		Events:   []store.Event{{Entry: &store.Entry{Key: "a", CreateRevision: 1, ModRevision: 3}, Deleted: true}},
		Notes:    [][]byte{[]byte("n")},
	}
	if d := cmp.Diff(want, x.Commits()[3]); d != "" {
		t.Errorf("commit (-want +got):\n%s", d)
	}
	if o := x.Add(write([]string{"a"}, nil)); o.Revision != 5 || x.Commits()[4].Events[0].CreateRevision != 5 {
		t.Errorf("created again: %+v, %+v", o, x.Commits()[4])
	}
}

func TestSealedDecidesGuardsAndCommitsNothing(t *testing.T) {
	x := batch.New(7, func(k string) store.Entry {
		if k == "there" {
			return store.Entry{Key: k, CreateRevision: 3, ModRevision: 5}
		}
		return store.Entry{}
	})
	x.Add(write([]string{"a"}, nil))
	x.Reset(7)
	x.Seal()
	if o := x.Add(write([]string{"a"}, nil)); o.Committed() || o.Failed != nil {
		t.Errorf("a mutation whose guards hold got %+v", o)
	}
	o := x.Add(write([]string{"b", "there"}, nil))
	if d := cmp.Diff([]store.Entry{{Key: "b"}, {Key: "there", CreateRevision: 3, ModRevision: 5}}, o.Failed); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	if n := len(x.Commits()); n != 0 {
		t.Errorf("%d commits", n)
	}
}
