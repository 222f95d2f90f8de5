package embedded

import (
	"encoding/binary"

	"github.com/muster-registry/muster/server/store"
)

// A commit in a frame: the number of its events, then each of them: a kind
// (1 put, 2 deletion), the key's length and bytes, and for a put the value's.
// Lengths are uvarints. Revisions follow from the frame's; notes are not kept,
// since nothing reads them after a restart.
const (
	kindPut      = 1
	kindDeletion = 2
)

func appendCommit(dst []byte, c *store.Commit) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.Events)))
	for i := range c.Events {
		e := &c.Events[i]
		if e.Deleted {
			dst = append(dst, kindDeletion)
			dst = appendBytes(dst, e.Key)
			continue
		}
		dst = append(dst, kindPut)
		dst = appendBytes(dst, e.Key)
		dst = appendBytes(dst, e.Value)
	}
	return dst
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// boundOf is more than a mutation takes in a frame, its commit included.
func boundOf(m *store.Mutation) int {
	const lengths = 1 + 2*binary.MaxVarintLen32
	n := binary.MaxVarintLen32
	for i := range m.Puts {
		n += lengths + len(m.Puts[i].Key) + len(m.Puts[i].Value)
	}
	for i := range m.Deletes {
		n += lengths + len(m.Deletes[i])
	}
	return n
}

// change is one event read back; key and value alias the frame.
type change struct {
	revision uint64
	key      []byte
	value    []byte
	deleted  bool
}

// changes calls do for each event of the frame, in order. After an error, do
// was called for those before what makes no sense.
func (f *frame) changes(do func(change)) error {
	r := reader{b: f.payload}
	for i := range f.commits {
		for events := r.uvarint(); events > 0 && !r.failed; events-- {
			c := change{revision: f.revision + uint64(i)}
			kind := r.byte()
			c.key = r.bytes()
			if kind == kindPut {
				c.value = r.bytes()
			}
			c.deleted = kind == kindDeletion
			if r.failed || len(c.key) == 0 || (kind != kindPut && kind != kindDeletion) {
				return errPayload
			}
			do(c)
		}
	}
	if r.failed || len(r.b) != 0 {
		return errPayload
	}
	return nil
}

// reader takes apart what append made. After the first thing that does not
// fit, failed is set, and everything further is empty.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) fail() { r.b, r.failed = nil, true }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if r.failed || n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}
