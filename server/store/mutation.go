package store

import (
	"errors"
	"fmt"
)

var (
	// ErrInvalid answers a mutation that breaks the rules of [Mutation]; the
	// text says which. It has no effect, and proposing it again is of no use.
	ErrInvalid = errors.New("mutation is invalid")
	// ErrBusy answers a proposal that found the store's queue full. It has no
	// effect; a later one may succeed, once the disk has caught up. It exists
	// because Propose must neither block nor queue without bound.
	ErrBusy = errors.New("store is busy")
)

// Size is what MaxMutationBytes bounds: the bytes of all keys (those of the
// guards too), values and the note.
func (m *Mutation) Size() int {
	n := len(m.Note)
	for i := range m.Guards {
		n += len(m.Guards[i].Key)
	}
	for i := range m.Puts {
		n += len(m.Puts[i].Key) + len(m.Puts[i].Value)
	}
	for i := range m.Deletes {
		n += len(m.Deletes[i])
	}
	return n
}

// Check tells whether a store takes the mutation: nil, or an error that wraps
// [ErrTooLarge] or [ErrInvalid]. Every implementation calls it first, so that
// all of them refuse the same.
//
// A mutation must write something (a store has no other way to give it a
// revision), guard every key that it writes, write no key twice, and guard a
// key that it deletes with a revision other than 0: a deletion then always
// deletes something, in every store.
func (m *Mutation) Check() error {
	if n := m.Size(); n > MaxMutationBytes {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed; split it", ErrTooLarge, n, MaxMutationBytes)
	}
	if len(m.Puts)+len(m.Deletes) == 0 {
		return fmt.Errorf("%w: it writes no key; use Probe to read the revision", ErrInvalid)
	}
	guarded := make(guardIndex, 0, smallMutation)
	guarded, large := guarded.fill(m.Guards)
	for i := range m.Guards {
		if m.Guards[i].Key == "" {
			return fmt.Errorf("%w: guard %d has an empty key", ErrInvalid, i)
		}
		if m.Guards[i].Aspect > Create {
			return fmt.Errorf("%w: guard on key %q has unknown aspect %d", ErrInvalid, m.Guards[i].Key, m.Guards[i].Aspect)
		}
	}
	for i := range m.Puts {
		if err := checkWrite(m.Puts[i].Key, guarded.take(large, m.Puts[i].Key), false); err != nil {
			return err
		}
	}
	for _, key := range m.Deletes {
		if err := checkWrite(key, guarded.take(large, key), true); err != nil {
			return err
		}
	}
	return nil
}

func checkWrite(key string, g *guardedKey, deleted bool) error {
	switch {
	case g == nil:
		return fmt.Errorf("%w: it writes key %q without a guard on it", ErrInvalid, key)
	case g.written:
		return fmt.Errorf("%w: it writes key %q twice", ErrInvalid, key)
	case deleted && g.absent:
		return fmt.Errorf("%w: it deletes key %q under a guard that the key is absent", ErrInvalid, key)
	}
	g.written = true
	return nil
}

// smallMutation is the number of guards up to which a walk beats a map.
const smallMutation = 16

// guardedKey is what Check knows of one guarded key.
type guardedKey struct {
	key     string
	absent  bool
	written bool
}

type guardIndex []guardedKey

// fill adds the guards; for many of them it also returns an index by key.
func (x guardIndex) fill(guards []Guard) (guardIndex, map[string]int) {
	var large map[string]int
	if len(guards) > smallMutation {
		large = make(map[string]int, len(guards))
	}
	for i := range guards {
		g := &guards[i]
		if known := x.take(large, g.Key); known != nil {
			known.absent = known.absent || g.Revision == 0
			continue
		}
		if large != nil {
			large[g.Key] = len(x)
		}
		x = append(x, guardedKey{key: g.Key, absent: g.Revision == 0})
	}
	return x, large
}

func (x guardIndex) take(large map[string]int, key string) *guardedKey {
	if large != nil {
		if i, ok := large[key]; ok {
			return &x[i]
		}
		return nil
	}
	for i := range x {
		if x[i].key == key {
			return &x[i]
		}
	}
	return nil
}
