package embedded

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// A segment is one file of the log: a header with its number, its salt and
// its length, then frames, then zeros. Segments are numbered without gaps.
type segment struct {
	file   vfs.File
	path   string
	number uint64
	salt   uint64
	size   int64
}

// zeroChunk is how much of a new segment is written between two syncs: little
// enough that a commit which meets one on the disk does not wait for long.
const zeroChunk = 1 << 20

// createSegment makes a segment that is ready for frames: all of it written
// and synced (the first write to a block that was only reserved costs a change
// of metadata), and under its final name. On failure it leaves nothing behind
// that would not be removed at the next Open.
func createSegment(fs vfs.FS, dir *listing, cluster clusterID, number uint64, size int64) (*segment, error) {
	temp := dir.path(segmentName(number) + tempSuffix)
	f, err := createAnew(fs, temp)
	if err != nil {
		return nil, fmt.Errorf("create log segment: %w", err)
	}
	s := &segment{file: f, path: dir.path(segmentName(number)), number: number, salt: randomSalt(), size: size}
	err = s.fill(cluster)
	if err == nil {
		err = fs.Rename(temp, s.path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create log segment %s: %w", s.path, err), f.Close(), fs.Remove(temp))
	}
	if err := fs.SyncDir(dir.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("create log segment %s: sync directory: %w", s.path, err), f.Close())
	}
	return s, nil
}

func (s *segment) fill(cluster clusterID) error {
	if err := s.file.Allocate(s.size); err != nil {
		return err
	}
	zeros := make([]byte, min(zeroChunk, s.size))
	for off := int64(0); off < s.size; off += int64(len(zeros)) {
		zeros = zeros[:min(int64(len(zeros)), s.size-off)]
		if _, err := vfs.WriteFull(s.file, zeros, off); err != nil {
			return err
		}
		if err := s.file.Sync(); err != nil {
			return err
		}
	}
	h := header{magic: segmentMagic, cluster: cluster, fields: [headerFields]uint64{s.number, s.salt, uint64(s.size)}}
	if _, err := vfs.WriteFull(s.file, h.encode(), 0); err != nil {
		return err
	}
	return s.file.Sync()
}

// loadSegment opens a segment and reads all of it into buf, which it grows as
// needed. An error means that the file is damaged or cannot be read.
func loadSegment(fs vfs.FS, dir *listing, cluster clusterID, number uint64, buf []byte) (*segment, []byte, error) {
	s := &segment{path: dir.path(segmentName(number)), number: number}
	f, err := fs.Open(s.path)
	if err != nil {
		return nil, buf, fmt.Errorf("open log segment: %w", err)
	}
	s.file = f
	buf, err = readWhole(f, buf)
	if err == nil {
		err = s.check(cluster, buf)
	}
	if err != nil {
		return nil, buf, errors.Join(fmt.Errorf("open log segment: %w", err), f.Close())
	}
	return s, buf, nil
}

// check takes salt and size from the header of the segment in b.
func (s *segment) check(cluster clusterID, b []byte) error {
	h, err := decodeHeader(b, segmentMagic)
	switch {
	case errors.Is(err, ErrFormat):
		return fmt.Errorf("%s: %w", s.path, err)
	case err != nil:
		return damaged(s.path, 0, "%v", err)
	case h.cluster != cluster:
		return damaged(s.path, 0, "%v: %v, expected %v", errHeaderCluster, h.cluster, cluster)
	case h.fields[0] != s.number:
		return damaged(s.path, 0, "it says that it is segment %d, its name says %d", h.fields[0], s.number)
	case h.fields[2] != uint64(len(b)) || len(b)%sectorBytes != 0:
		return damaged(s.path, 0, "it is %d bytes long, its header says %d", len(b), h.fields[2])
	}
	s.salt, s.size = h.fields[1], int64(len(b))
	return nil
}

func readWhole(f vfs.File, buf []byte) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return buf, err
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if size == 0 {
		return buf, nil
	}
	if n, err := f.ReadAt(buf, 0); int64(n) < size {
		return buf, fmt.Errorf("read %d of %d bytes: %w", n, size, err)
	}
	return buf, nil
}

func randomSalt() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	return binary.LittleEndian.Uint64(b[:])
}

// createAnew makes a temporary file in place of what an earlier attempt left.
func createAnew(fs vfs.FS, path string) (vfs.File, error) {
	if err := fs.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return fs.Create(path)
}
