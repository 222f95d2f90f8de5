package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// loadedSnapshot is what a snapshot says beside the entries.
type loadedSnapshot struct {
	segment uint64 // in which the log goes on
	bytes   int64
}

// blocksAhead is how many blocks are read and summed ahead of being decoded.
const blocksAhead = 16

// loadSnapshot reads a snapshot into an empty state. A second goroutine reads
// the file; it has ended when loadSnapshot returns.
func loadSnapshot(fs vfs.FS, path string, cluster clusterID, revision uint64, s *state) (loadedSnapshot, error) {
	f, err := fs.Open(path)
	if err != nil {
		return loadedSnapshot{}, fmt.Errorf("open snapshot: %w", err)
	}
	loaded, err := decodeSnapshot(f, path, cluster, revision, s)
	if err = errors.Join(err, f.Close()); err != nil {
		return loadedSnapshot{}, fmt.Errorf("open snapshot: %w", err)
	}
	return loaded, nil
}

func decodeSnapshot(f vfs.File, path string, cluster clusterID, revision uint64, s *state) (loadedSnapshot, error) {
	size, err := f.Size()
	if err != nil {
		return loadedSnapshot{}, err
	}
	h, err := snapshotHeader(f, size, path)
	switch {
	case err != nil:
		return loadedSnapshot{}, err
	case h.cluster != cluster:
		return loadedSnapshot{}, damaged(path, 0, "%v: %v, expected %v", errHeaderCluster, h.cluster, cluster)
	case h.fields[0] != revision || revision == 0:
		return loadedSnapshot{}, damaged(path, 0, "it says that it is of revision %d, its name says %d", h.fields[0], revision)
	}
	r := &blockReader{
		file: f, path: path, size: size, offset: sectorBytes,
		out: make(chan block, blocksAhead), stop: make(chan struct{}), free: make(chan []byte, 2*blocksAhead),
	}
	binary.LittleEndian.PutUint64(r.seed[:], revision)
	go r.run()
	err = s.load(r.out, path, revision, r.free)
	close(r.stop)
	for range r.out { // until the reader has ended
	}
	if err == nil && uint64(s.entries.Len()) != h.fields[2] {
		err = damaged(path, 0, "it holds %d entries, its header says %d", s.entries.Len(), h.fields[2])
	}
	s.revision = revision
	return loadedSnapshot{segment: h.fields[1], bytes: size}, err
}

func snapshotHeader(f vfs.File, size int64, path string) (header, error) {
	b := make([]byte, min(size, sectorBytes))
	if _, err := f.ReadAt(b, 0); err != nil && size >= sectorBytes {
		return header{}, err
	}
	h, err := decodeHeader(b, snapshotMagic)
	switch {
	case errors.Is(err, ErrFormat):
		return header{}, fmt.Errorf("%s: %w", path, err)
	case err != nil:
		return header{}, damaged(path, 0, "%v", err)
	}
	return h, nil
}

// block is a block whose checksum is right, or an error.
type block struct {
	content []byte
	offset  int64
	index   int
	err     error
}

type blockReader struct {
	file   vfs.File
	path   string
	size   int64
	offset int64
	seed   [16]byte
	out    chan block
	stop   chan struct{}
	free   chan []byte // contents that were decoded, to be used again
}

func (r *blockReader) run() {
	defer close(r.out)
	for index := 0; ; index++ {
		binary.LittleEndian.PutUint64(r.seed[8:], uint64(index))
		b := r.next()
		b.index = index
		select {
		case r.out <- b:
		case <-r.stop:
			return
		}
		if b.err != nil || len(b.content) == 0 {
			return
		}
	}
}

func (r *blockReader) next() block {
	var head [blockHeader]byte
	if r.size-r.offset < blockHeader {
		return block{err: damaged(r.path, r.offset, "the file ends before the snapshot does")}
	}
	if _, err := r.file.ReadAt(head[:], r.offset); err != nil {
		return block{err: err}
	}
	length := int64(binary.LittleEndian.Uint32(head[:]))
	if length > maxBlock || length > r.size-r.offset-blockHeader {
		return block{err: damaged(r.path, r.offset, "a block has the impossible length %d", length)}
	}
	b := block{content: r.room(length), offset: r.offset + blockHeader}
	if length > 0 {
		if _, err := r.file.ReadAt(b.content, b.offset); err != nil {
			return block{err: err}
		}
	}
	if binary.LittleEndian.Uint32(head[4:]) != blockSum(&r.seed, b.content) {
		return block{err: damaged(r.path, r.offset, "a block fails its checksum")}
	}
	r.offset += blockHeader + length
	if length == 0 && r.offset != r.size {
		return block{err: damaged(r.path, r.offset, "the file goes on after the snapshot's end")}
	}
	return b
}

// room is memory for a block.
func (r *blockReader) room(length int64) []byte {
	select {
	case b := <-r.free:
		if int64(cap(b)) >= length {
			return b[:length]
		}
	default:
	}
	return make([]byte, length, max(length, blockBytes+blockBytes/8))
}
