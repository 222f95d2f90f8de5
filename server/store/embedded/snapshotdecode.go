package embedded

import (
	"bytes"
	"cmp"
	"runtime"
	"slices"
	"sync"

	"github.com/muster-registry/muster/server/internal/entrymap"
	"github.com/muster-registry/muster/server/store"
)

// decoded is a block's entries, in order, with the hashes of their keys.
type decoded struct {
	index   int
	offset  int64
	entries []*store.Entry
	hashes  []uint64
	err     error
}

// load fills an empty state with the entries of all blocks. They are decoded
// by as many goroutines as there are processors, and put into the state by as
// many. Contents go back to free, unless it is nil.
func (s *state) load(blocks <-chan block, path string, revision uint64, free chan<- []byte) error {
	all, count, err := decodeAll(blocks, path, revision, free)
	if err != nil {
		return err
	}
	s.parallel(count, func(p *part) {
		for i := range all {
			for j, hash := range all[i].hashes {
				if p.has(hash) {
					p.bytes += entryBytes(all[i].entries[j])
					p.entries.SetHashed(hash, all[i].entries[j])
				}
			}
		}
	})
	for i := range all {
		s.loaded = append(s.loaded, all[i].entries)
	}
	return nil
}

// decodeAll decodes all blocks and puts them in order. Its error is the first
// in the file.
func decodeAll(blocks <-chan block, path string, revision uint64, free chan<- []byte) (all []decoded, count int, err error) {
	var mu sync.Mutex
	var joined sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		joined.Go(func() {
			for b := range blocks {
				d := decodeBlock(&b, path, revision)
				select {
				case free <- b.content:
				default:
				}
				mu.Lock()
				all = append(all, d)
				mu.Unlock()
				if d.err != nil {
					return
				}
			}
		})
	}
	joined.Wait()
	slices.SortFunc(all, func(a, b decoded) int { return cmp.Compare(a.index, b.index) })
	last := ""
	for i := range all {
		d := &all[i]
		if d.err == nil && len(d.entries) > 0 && d.entries[0].Key <= last {
			d.err = senseless(path, d.offset)
		}
		if d.err != nil {
			return nil, 0, d.err
		}
		if n := len(d.entries); n > 0 {
			last = d.entries[n-1].Key
		}
		count += len(d.entries)
	}
	return all, count, nil
}

func senseless(path string, offset int64) error {
	return damaged(path, offset, "a block passes its checksum, but its content makes no sense")
}

// leastEntry is less than any entry takes in a block.
const leastEntry = 32

func decodeBlock(b *block, path string, revision uint64) decoded {
	d := decoded{index: b.index, offset: b.offset, err: b.err}
	if b.err != nil {
		return d
	}
	room := len(b.content) / leastEntry / 4
	d.entries, d.hashes = make([]*store.Entry, 0, room), make([]uint64, 0, room)
	last := ""
	for r := (reader{b: b.content}); len(r.b) > 0; {
		e := r.entry()
		if r.failed || e.CreateRevision == 0 || e.ModRevision < e.CreateRevision || e.ModRevision > revision || e.Key <= last {
			d.err = senseless(path, b.offset)
			return d
		}
		last = e.Key
		d.entries, d.hashes = append(d.entries, e), append(d.hashes, entrymap.Hash(e.Key))
	}
	return d
}

// entry reads an entry. Key and value are copies: if they were parts of the
// block, the whole block would stay in memory for as long as any one of its
// entries is not rewritten.
func (r *reader) entry() *store.Entry {
	e := &store.Entry{Key: string(r.bytes())}
	e.CreateRevision = r.uvarint()
	e.ModRevision = r.uvarint()
	e.Value = bytes.Clone(r.bytes())
	return e
}
