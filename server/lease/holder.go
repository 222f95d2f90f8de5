package lease

// Holder is who renews leases, such as a keepalive stream. The zero Holder is
// nobody.
type Holder uint32

// holders are the lists of leases by who renewed them last.
type holders struct {
	first []uint32 // by holder
	free  []Holder
}

// OpenHolder makes a holder. CloseHolder must follow.
func (t *Table) OpenHolder() Holder {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := &t.holders
	if n := len(h.free); n > 0 {
		x := h.free[n-1]
		h.free = h.free[:n-1]
		return x
	}
	if len(h.first) == 0 {
		h.first = append(h.first, 0) // nobody's
	}
	h.first = append(h.first, 0)
	return Holder(len(h.first) - 1) //nolint:gosec // there are fewer streams
}

// CloseHolder ends a holder: nobody holds its leases then. It hands them to
// each, if that is not nil, with the table locked.
func (t *Table) CloseHolder(h Holder, each func(id string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := t.holders.first[h]; i != 0; {
		e := t.slab.at(i)
		if each != nil {
			each(t.id(i, e))
		}
		i = e.heldNext
		e.holder, e.heldNext, e.heldPrev = 0, 0, 0
	}
	t.holders.first[h] = 0
	t.holders.free = append(t.holders.free, h)
}

// Held tells whether some holder renewed the lease last and is still there.
func (t *Table) Held(id string) bool {
	k := KeyOf(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	_, e := t.find(k)
	return e != nil && e.holder != 0
}

// HeldBy is how many leases a holder holds.
func (t *Table) HeldBy(h Holder) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := t.holders.first[h]; i != 0; i = t.slab.at(i).heldNext {
		n++
	}
	return n
}

// hold moves a lease to a holder, or to nobody.
func (t *Table) hold(i uint32, e *entry, h Holder) {
	if e.holder != 0 {
		if e.heldNext != 0 {
			t.slab.at(e.heldNext).heldPrev = e.heldPrev
		}
		if e.heldPrev != 0 {
			t.slab.at(e.heldPrev).heldNext = e.heldNext
		} else {
			t.holders.first[e.holder] = e.heldNext
		}
	}
	e.holder, e.heldNext, e.heldPrev = h, 0, 0
	if h == 0 {
		return
	}
	first := &t.holders.first[h]
	if *first != 0 {
		t.slab.at(*first).heldPrev = i
	}
	e.heldNext, *first = *first, i
}
