// Package entrymap holds the store's entries by key: a hash map whose copy
// takes constant time, for millions of entries.
//
// A [Map] is a tree of fixed height: 256 × 64 buckets, chosen by the key's
// hash, each a list of pointers with 32 bits of each one's hash beside it. At a
// million entries a bucket has some 60; finding one reads their hashes, which
// lie together, and then one entry. That costs about the same at a thousand
// entries as at a million, which a search tree cannot do: there, twenty keys
// are compared, each in memory that no cache holds. An entry costs 15 bytes.
//
// [Map.Copy] shares everything; whatever either changes from then on, it
// copies first: the bucket, the node above it, and once the root. A copy may
// be read by any number of goroutines, while its original is changed by
// another.
package entrymap

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/muster-registry/muster/server/store"
)

const (
	rootBits = 8
	nodeBits = 6
	// buckets is how many there are.
	buckets = 1 << (rootBits + nodeBits)
)

// seed differs in each process: nobody can choose keys that share a bucket.
var seed = maphash.MakeSeed()

// owners tells apart who may change a node in place.
var owners atomic.Uint64

// Map is a map of entries by their keys. The zero Map is empty. It must not be
// copied but by Copy.
type Map struct {
	root  *root
	owner uint64
	len   int
	room  int // that a new bucket gets; 0 for the usual
}

type root struct {
	owner uint64
	nodes [1 << rootBits]*node
}

type node struct {
	owner   uint64
	buckets [1 << nodeBits]*bucket
}

// bucket has its entries in no order.
type bucket struct {
	owner   uint64
	tags    []uint32
	entries []*store.Entry
}

// Hash is what the ...Hashed methods want to know of a key.
func Hash(key string) uint64 { return maphash.String(seed, key) }

// HashBytes is Hash of a key that is not a string yet.
func HashBytes(key []byte) uint64 { return maphash.Bytes(seed, key) }

// A hash is used from both ends: the highest bits choose node and bucket, the
// lowest are the tag.
func nodeOf(hash uint64) uint64   { return hash >> (64 - rootBits) }
func bucketOf(hash uint64) uint64 { return hash >> (64 - rootBits - nodeBits) & (1<<nodeBits - 1) }
func tagOf(hash uint64) uint32    { return uint32(hash) }

// Len is the number of entries.
func (m *Map) Len() int { return m.len }

// Get finds a key's entry, or returns nil.
func (m *Map) Get(key string) *store.Entry { return get(m, Hash(key), key) }

// GetHashed is Get for a key whose Hash is known.
func (m *Map) GetHashed(hash uint64, key []byte) *store.Entry { return get(m, hash, key) }

func get[K string | []byte](m *Map, hash uint64, key K) *store.Entry {
	b := m.bucket(hash)
	if b == nil {
		return nil
	}
	if i := find(b, hash, key); i >= 0 {
		return b.entries[i]
	}
	return nil
}

func (m *Map) bucket(hash uint64) *bucket {
	if m.root == nil {
		return nil
	}
	n := m.root.nodes[nodeOf(hash)]
	if n == nil {
		return nil
	}
	return n.buckets[bucketOf(hash)]
}

func find[K string | []byte](b *bucket, hash uint64, key K) int {
	tag := tagOf(hash)
	for i, t := range b.tags {
		if t == tag && b.entries[i].Key == string(key) {
			return i
		}
	}
	return -1
}

// Set puts an entry under its key, and returns the one that was there, or nil.
func (m *Map) Set(e *store.Entry) *store.Entry { return m.SetHashed(Hash(e.Key), e) }

// SetHashed is Set for an entry whose key's Hash is known.
func (m *Map) SetHashed(hash uint64, e *store.Entry) *store.Entry {
	b := m.own(hash)
	if i := find(b, hash, e.Key); i >= 0 {
		old := b.entries[i]
		b.entries[i] = e
		return old
	}
	if len(b.tags) == cap(b.tags) {
		b.grow()
	}
	b.tags, b.entries = append(b.tags, tagOf(hash)), append(b.entries, e)
	m.len++
	return nil
}

// Delete removes a key's entry and returns it, or nil if there is none.
func (m *Map) Delete(key string) *store.Entry {
	hash := Hash(key)
	if b := m.bucket(hash); b == nil || find(b, hash, key) < 0 {
		return nil
	}
	b := m.own(hash)
	i, last := find(b, hash, key), len(b.tags)-1
	old := b.entries[i]
	b.tags[i], b.entries[i] = b.tags[last], b.entries[last]
	b.entries[last] = nil
	b.tags, b.entries = b.tags[:last], b.entries[:last]
	m.len--
	return old
}

// All yields the entries in no particular order. The map must not be changed
// meanwhile; a copy of it may be.
func (m *Map) All(yield func(*store.Entry) bool) {
	if m.root == nil {
		return
	}
	for _, n := range m.root.nodes {
		if n != nil && !n.all(yield) {
			return
		}
	}
}

func (n *node) all(yield func(*store.Entry) bool) bool {
	for _, b := range n.buckets {
		if b == nil {
			continue
		}
		for _, e := range b.entries {
			if !yield(e) {
				return false
			}
		}
	}
	return true
}

// Copy returns a copy, which shares memory with the original until either is
// changed. It takes constant time, but counts as a change of the original.
func (m *Map) Copy() *Map {
	m.owner = owners.Add(1)
	return &Map{root: m.root, owner: owners.Add(1), len: m.len}
}
