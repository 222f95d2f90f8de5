package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// A snapshot is a header (fields: revision, number of the segment in which
// the log goes on, number of entries), then blocks, then an empty block. A
// block is
//
//	0  u32 length of the content
//	4  u32 CRC32C of the revision, the block's index (u64 each) and the content
//	8  content: entries in key order
//
// and an entry: key, create revision, modify revision, value; the revisions
// are uvarints, key and value follow their lengths, uvarints too.
const (
	blockHeader = 8
	// blockBytes is about what a block's content measures. An entry is never
	// split, so that a block may be larger by one entry.
	blockBytes = 256 << 10
	// maxBlock is what a block's content never exceeds.
	maxBlock = blockBytes + store.MaxMutationBytes + 64
	// snapshotSync is how much is written between two syncs, so that commits
	// meanwhile do not find the disk with a long queue.
	snapshotSync = 2 << 20
)

var errStopped = errors.New("the store is closing")

// snapshotWriter writes one snapshot.
type snapshotWriter struct {
	file    vfs.File
	stop    <-chan struct{}
	seed    [16]byte // revision and index of the block
	index   uint64
	block   []byte
	offset  int64
	pending int64 // written since the last sync
}

// writeSnapshot makes the snapshot of s durable under its name, and returns
// its length. Unless it succeeds, only a temporary file may be left.
func writeSnapshot(fs vfs.FS, dir *listing, cluster clusterID, s *state, segment uint64, stop <-chan struct{}) (int64, error) {
	path := dir.path(snapshotName(s.revision))
	temp := path + tempSuffix
	f, err := createAnew(fs, temp)
	if err != nil {
		return 0, fmt.Errorf("write snapshot: %w", err)
	}
	w := &snapshotWriter{file: f, stop: stop, block: make([]byte, blockHeader, blockHeader+blockBytes+4096)}
	binary.LittleEndian.PutUint64(w.seed[:], s.revision)
	h := header{magic: snapshotMagic, cluster: cluster, fields: [headerFields]uint64{s.revision, segment, uint64(s.entries.Len())}}
	err = w.write(h.encode())
	if err == nil {
		err = w.state(s)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = fs.Rename(temp, path)
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("write snapshot %s: %w", path, err), fs.Remove(temp))
	}
	if err := fs.SyncDir(dir.dir); err != nil {
		return 0, fmt.Errorf("write snapshot %s: sync directory: %w", path, err)
	}
	return w.offset, nil
}

func (w *snapshotWriter) state(s *state) error {
	for _, e := range sorted(&s.entries, w.stop) {
		w.block = appendEntry(w.block, e)
		if len(w.block) >= blockHeader+blockBytes {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	if len(w.block) > blockHeader {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil { // the empty block, at the end
		return err
	}
	return w.file.Sync()
}

func (w *snapshotWriter) flush() error {
	content := w.block[blockHeader:]
	binary.LittleEndian.PutUint64(w.seed[8:], w.index)
	binary.LittleEndian.PutUint32(w.block, uint32(len(content)))
	binary.LittleEndian.PutUint32(w.block[4:], blockSum(&w.seed, content))
	if err := w.write(w.block); err != nil {
		return err
	}
	w.index++
	w.block = w.block[:blockHeader]
	return nil
}

func (w *snapshotWriter) write(b []byte) error {
	select {
	case <-w.stop:
		return errStopped
	default:
	}
	if _, err := vfs.WriteFull(w.file, b, w.offset); err != nil {
		return err
	}
	w.offset += int64(len(b))
	w.pending += int64(len(b))
	if w.pending < snapshotSync {
		return nil
	}
	w.pending = 0
	return w.file.Sync()
}

func blockSum(seed *[16]byte, content []byte) uint32 {
	return crc32.Update(crc32.Checksum(seed[:], castagnoli), castagnoli, content)
}

func appendEntry(dst []byte, e *store.Entry) []byte {
	dst = appendBytes(dst, e.Key)
	dst = binary.AppendUvarint(dst, e.CreateRevision)
	dst = binary.AppendUvarint(dst, e.ModRevision)
	return appendBytes(dst, e.Value)
}
