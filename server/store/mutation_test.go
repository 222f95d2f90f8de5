package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/muster-registry/muster/server/store"
)

// many guards and puts n keys: above and below the size at which Check
// changes its ways.
func many(n int) store.Mutation {
	var m store.Mutation
	for i := range n {
		key := fmt.Sprint("key", i)
		m.Guards = append(m.Guards, store.Guard{Key: key, Revision: 1})
		m.Puts = append(m.Puts, store.Put{Key: key})
	}
	return m
}

func TestCheckOfSmallAndLargeMutations(t *testing.T) {
	for _, n := range []int{1, 2, 16, 17, 40} {
		valid := many(n)
		valid.Guards = append(valid.Guards, store.Guard{Key: "key0", Aspect: store.Create, Revision: 1})
		if err := valid.Check(); err != nil {
			t.Errorf("%d keys: %v", n, err)
		}
		for name, spoil := range map[string]func(*store.Mutation){
			"unguarded put":      func(m *store.Mutation) { m.Puts = append(m.Puts, store.Put{Key: "other"}) },
			"unguarded deletion": func(m *store.Mutation) { m.Deletes = []string{"other"} },
			"second put":         func(m *store.Mutation) { m.Puts = append(m.Puts, m.Puts[n-1]) },
			"put and deletion":   func(m *store.Mutation) { m.Deletes = []string{m.Puts[n-1].Key} },
			"second deletion": func(m *store.Mutation) {
				m.Deletes = []string{m.Puts[0].Key, m.Puts[0].Key}
				m.Puts = nil
			},
			"deletion of what is absent by either guard": func(m *store.Mutation) {
				m.Guards = append(m.Guards, store.Guard{Key: m.Puts[0].Key, Aspect: store.Create})
				m.Deletes, m.Puts = []string{m.Puts[0].Key}, m.Puts[1:]
			},
		} {
			m := many(n)
			spoil(&m)
			if err := m.Check(); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%d keys, %s: got %v, want ErrInvalid", n, name, err)
			}
		}
	}
}

func TestSizeCountsAllThatIsSent(t *testing.T) {
	m := store.Mutation{
		Guards:  []store.Guard{{Key: "a"}, {Key: "bb"}},
		Puts:    []store.Put{{Key: "a", Value: []byte("123")}},
		Deletes: []string{"bb"},
		Note:    []byte("note"),
	}
	if n := m.Size(); n != 3+4+2+4 {
		t.Errorf("size is %d, want 13", n)
	}
}
