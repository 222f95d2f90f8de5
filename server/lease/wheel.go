package lease

const (
	// tickBits is how much of a nanosecond count falls into one tick of the
	// wheel, about 17 ms. It bounds no precision: the bucket of the present is
	// looked at each time.
	tickBits = 24
	// wheelLen is how many ticks the wheel spans, about 34 s. What is due later
	// is looked at earlier than need be, and put off.
	wheelLen = 1 << 11

	blockLen       = 62
	blockChunkBits = 6
	blockChunkLen  = 1 << blockChunkBits
	noBlock        = 0
)

// wheel holds the numbers of entries by the tick at which they are to be looked
// at. It never takes anything out: whoever finds a number looks at the entry
// whether it is still meant (see entry.tick). So a number may be in it twice.
type wheel struct {
	// pos is the tick of the present: that of the last look.
	pos     int64
	buckets [wheelLen]uint32 // first block
	// late are the numbers of buckets before pos, oldest first.
	late, lateEnd uint32

	chunks []*[blockChunkLen]block
	used   uint32
	free   uint32
}

// block is a piece of a list of numbers: 256 bytes.
type block struct {
	next    uint32
	n       uint32
	numbers [blockLen]uint32
}

func tickOf(ns int64) int64 { return ns >> tickBits }

func (w *wheel) block(b uint32) *block { return &w.chunks[b>>blockChunkBits][b&(blockChunkLen-1)] }

// add puts an entry where it is looked at at the given time: now if that has
// passed, and earlier if it is beyond the wheel's end.
func (w *wheel) add(i uint32, e *entry, ns int64) {
	tick := min(max(tickOf(ns), w.pos), w.pos+wheelLen-1)
	e.state, e.tick = waiting, uint32(tick) //nolint:gosec // modulo 2^32
	first := &w.buckets[tick&(wheelLen-1)]
	if *first == noBlock || w.block(*first).n == blockLen {
		b := w.take()
		w.block(b).next, *first = *first, b
	}
	b := w.block(*first)
	b.numbers[b.n] = i
	b.n++
}

// advance moves the present on, and what lies before it to late.
func (w *wheel) advance(pos int64) {
	for p := w.pos; p < min(pos, w.pos+wheelLen); p++ {
		first := &w.buckets[p&(wheelLen-1)]
		if *first == noBlock {
			continue
		}
		if w.late == noBlock {
			w.late = *first
		} else {
			w.block(w.lateEnd).next = *first
		}
		w.lateEnd = *first
		for next := w.block(w.lateEnd).next; next != noBlock; next = w.block(w.lateEnd).next {
			w.lateEnd = next
		}
		*first = noBlock
	}
	w.pos = max(w.pos, pos)
}

// isLate tells whether an entry found in late is meant.
func (w *wheel) isLate(e *entry) bool {
	return e.state == waiting && int32(e.tick-uint32(w.pos)) < 0 //nolint:gosec // modulo 2^32
}

// isPresent tells whether an entry found in the bucket of the present is meant.
func (w *wheel) isPresent(e *entry) bool {
	return e.state == waiting && e.tick == uint32(w.pos) //nolint:gosec // modulo 2^32
}

// take gives out an empty block.
func (w *wheel) take() uint32 {
	if b := w.free; b != noBlock {
		w.free = w.block(b).next
		w.block(b).next = noBlock
		return b
	}
	if w.used == noBlock {
		w.used = 1
	}
	b := w.used
	if int(b>>blockChunkBits) == len(w.chunks) {
		w.chunks = append(w.chunks, new([blockChunkLen]block))
	}
	w.used++
	return b
}

func (w *wheel) give(b uint32) {
	bl := w.block(b)
	bl.n, bl.next = 0, w.free
	w.free = b
}
