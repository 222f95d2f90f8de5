package entrymap

import "github.com/muster-registry/muster/server/store"

// growth is the room that a full bucket gains, beside an eighth of its length:
// many small buckets should not be half empty.
const growth = 4

func (m *Map) ownRoot() *root {
	if m.owner == 0 {
		m.owner = owners.Add(1)
	}
	if m.root == nil || m.root.owner != m.owner {
		r := &root{owner: m.owner}
		if m.root != nil {
			r.nodes = m.root.nodes
		}
		m.root = r
	}
	return m.root
}

// own returns the bucket of a hash, which this map alone has, to be changed.
func (m *Map) own(hash uint64) *bucket {
	r := m.ownRoot()
	slot := &r.nodes[nodeOf(hash)]
	if n := *slot; n == nil || n.owner != m.owner {
		*slot = &node{owner: m.owner}
		if n != nil {
			(*slot).buckets = n.buckets
		}
	}
	place := &(*slot).buckets[bucketOf(hash)]
	b := *place
	switch {
	case b == nil:
		*place = &bucket{owner: m.owner}
		if m.room > 0 {
			(*place).reserve(m.room)
		}
	case b.owner != m.owner:
		c := &bucket{owner: m.owner, tags: b.tags, entries: b.entries}
		c.grow()
		*place = c
	}
	return *place
}

// grow moves the bucket to new arrays with room for more.
func (b *bucket) grow() { b.reserve(len(b.tags) + len(b.tags)/8 + growth) }

func (b *bucket) reserve(room int) {
	tags, entries := make([]uint32, len(b.tags), room), make([]*store.Entry, len(b.entries), room)
	copy(tags, b.tags)
	copy(entries, b.entries)
	b.tags, b.entries = tags, entries
}

// Split returns n maps over this one's memory, for n goroutines to change at
// once: the i-th must be given only keys whose Part is i of n. Join ends that;
// until then this map must not be used. If it is empty so far, new buckets get
// room for as many entries as are expected in all.
func (m *Map) Split(n, expected int) []*Map {
	m.ownRoot()
	room := expected / buckets
	parts := make([]*Map, n)
	for i := range parts {
		parts[i] = &Map{root: m.root, owner: m.owner, room: room + room/8}
	}
	return parts
}

// Join takes back what Split gave out.
func (m *Map) Join(parts []*Map) {
	for _, p := range parts {
		m.len += p.len
	}
}

// Part tells which of n parts a hash belongs to.
func Part(hash uint64, n int) int { return int(nodeOf(hash)) * n >> rootBits }
