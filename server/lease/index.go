package lease

// parts is into how many parts the index is split. Each grows by itself, so
// that growing never holds up renewals for longer than a part of it takes.
const parts = 256

const leastHeads = 8

// index finds entries by key: a hash table whose chains run through the
// entries themselves.
type index struct{ parts [parts]part }

type part struct {
	heads []uint32
	n     int
}

func (x *index) part(hash uint64) *part { return &x.parts[hash>>56] }

func (p *part) head(hash uint64) *uint32 { return &p.heads[hash&uint64(len(p.heads)-1)] }

// find returns the number and the entry of a key, or 0 and nil.
func (t *Table) find(k Key) (uint32, *entry) {
	h := k.hash()
	p := t.index.part(h)
	if len(p.heads) == 0 {
		return 0, nil
	}
	for i := *p.head(h); i != 0; {
		e := t.slab.at(i)
		if e.key == k {
			return i, e
		}
		i = e.next
	}
	return 0, nil
}

// link adds an entry whose key is not there yet.
func (t *Table) link(i uint32, e *entry) {
	h := e.key.hash()
	p := t.index.part(h)
	if p.n == len(p.heads) {
		t.grow(p)
	}
	p.n++
	head := p.head(h)
	e.next, *head = *head, i
}

// unlink takes an entry out.
func (t *Table) unlink(i uint32, e *entry) {
	h := e.key.hash()
	p := t.index.part(h)
	p.n--
	at := p.head(h)
	for *at != i {
		at = &t.slab.at(*at).next
	}
	*at, e.next = e.next, 0
}

func (t *Table) grow(p *part) {
	old := p.heads
	p.heads = make([]uint32, max(leastHeads, 2*len(old)))
	for _, i := range old {
		for i != 0 {
			e := t.slab.at(i)
			after := e.next
			head := p.head(e.key.hash())
			e.next, *head = *head, i
			i = after
		}
	}
}
