package embedded

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/muster-registry/muster/server/internal/entrymap"
	"github.com/muster-registry/muster/server/store"
)

// keyed is an entry beside eight bytes of its key, so that most comparisons
// need not look at the key itself, which no cache holds.
type keyed struct {
	head  uint64
	entry *store.Entry
}

const (
	headBytes = 8
	// fewKeys are sorted by whole keys.
	fewKeys = 24
)

// sorted returns the entries in key order. If stop is closed meanwhile, the
// order is not complete.
func sorted(m *entrymap.Map, stop <-chan struct{}) []*store.Entry {
	all := make([]keyed, 0, m.Len())
	for e := range m.All {
		all = append(all, keyed{entry: e})
	}
	sortFrom(all, 0, stop)
	entries := make([]*store.Entry, len(all))
	for i := range all {
		entries[i] = all[i].entry
	}
	return entries
}

// sortFrom sorts entries whose keys are alike before byte from: by the eight
// bytes from there on, then those that are alike in these by the next eight.
func sortFrom(all []keyed, from int, stop <-chan struct{}) {
	select {
	case <-stop:
		return
	default:
	}
	longer := false
	for i := range all {
		key := all[i].entry.Key
		all[i].head = headOf(key, from)
		longer = longer || len(key) > from+headBytes
	}
	if len(all) <= fewKeys || !longer {
		// Also because a key that ends and one that goes on with zeros have
		// the same head.
		slices.SortFunc(all, func(a, b keyed) int {
			if c := cmp.Compare(a.head, b.head); c != 0 {
				return c
			}
			return strings.Compare(a.entry.Key, b.entry.Key)
		})
		return
	}
	slices.SortFunc(all, func(a, b keyed) int { return cmp.Compare(a.head, b.head) })
	for begin := 0; begin < len(all); {
		end := begin + 1
		for end < len(all) && all[end].head == all[begin].head {
			end++
		}
		if end-begin > 1 {
			sortFrom(all[begin:end], from+headBytes, stop)
		}
		begin = end
	}
}

// headOf is eight bytes of a key as a number that sorts alike; zeros follow the
// key's end.
func headOf(key string, from int) uint64 {
	var b [headBytes]byte
	if from < len(key) {
		copy(b[:], key[from:])
	}
	return binary.BigEndian.Uint64(b[:])
}
