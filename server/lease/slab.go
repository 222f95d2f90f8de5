package lease

// entry is one lease: 64 bytes, a cache line, without pointers, so that a
// million of them cost the garbage collector nothing. Entries refer to each
// other by number; 0 is none.
type entry struct {
	key Key
	// heard is when the lease was last heard of, in ns since the table's base.
	heard int64
	// mod is the mod revision of the lease as the view has it. While it is
	// expiring, that is what the expiry under way guards on.
	mod uint64
	// ttl is in ms.
	ttl uint32
	// next is the next entry of the index's chain, or of the free ones.
	next uint32
	// tick is the tick of the wheel at which it is looked at, modulo 2^32.
	tick uint32
	// holder renewed it last; heldNext and heldPrev are the others it renews.
	holder             Holder
	heldNext, heldPrev uint32
	state              state
	// named says that the table's names has its lease_id.
	named bool
}

// state is what an entry is at.
type state uint8

const (
	free     state = iota
	waiting        // in the wheel
	expiring       // an expiry is under way; not in the wheel
)

const (
	chunkBits = 10
	chunkLen  = 1 << chunkBits
)

// slab holds entries by number. It grows by chunks, so that no entry ever
// moves, and gives the numbers of freed ones out again.
type slab struct {
	chunks []*[chunkLen]entry
	used   uint32 // numbers given out so far, with 0, which never is
	free   uint32 // the first of the freed entries
}

func (s *slab) at(i uint32) *entry { return &s.chunks[i>>chunkBits][i&(chunkLen-1)] }

// take gives out an entry, which is zero.
func (s *slab) take() (uint32, *entry) {
	if i := s.free; i != 0 {
		e := s.at(i)
		s.free, e.next = e.next, 0
		return i, e
	}
	if s.used == 0 {
		s.used = 1
	}
	i := s.used
	if int(i>>chunkBits) == len(s.chunks) {
		s.chunks = append(s.chunks, new([chunkLen]entry))
	}
	s.used++
	return i, s.at(i)
}

func (s *slab) give(i uint32) {
	*s.at(i) = entry{next: s.free}
	s.free = i
}
