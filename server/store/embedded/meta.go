package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// META holds the cluster id: a header and nothing else. It is written last
// when a store is created, so that a directory with META is a whole store, and
// one without it is none.

func readMeta(fs vfs.FS, dir *listing) (clusterID, error) {
	path := dir.path(metaName)
	f, err := fs.Open(path)
	if err != nil {
		return clusterID{}, err
	}
	b, err := readWhole(f, nil)
	if err = errors.Join(err, f.Close()); err != nil {
		return clusterID{}, err
	}
	h, err := decodeHeader(b, metaMagic)
	switch {
	case errors.Is(err, ErrFormat):
		return clusterID{}, fmt.Errorf("%s: %w", path, err)
	case err != nil:
		return clusterID{}, damaged(path, 0, "%v", err)
	}
	return h.cluster, nil
}

// firstSegmentBytes is the length of a new store's first segment, at most:
// whoever starts a server for the first time waits until it is written. The
// preparer makes the next ones.
const firstSegmentBytes = minSegmentBytes

// createStore makes an empty store in a directory that has none.
func createStore(fs vfs.FS, dir *listing, segmentBytes int64) (clusterID, error) {
	if err := clearUnfinished(fs, dir); err != nil {
		return clusterID{}, err
	}
	var cluster clusterID
	_, _ = rand.Read(cluster[:]) // never fails, by its contract
	s, err := createSegment(fs, dir, cluster, 1, min(segmentBytes, firstSegmentBytes))
	if err != nil {
		return clusterID{}, err
	}
	if err := s.file.Close(); err != nil {
		return clusterID{}, err
	}
	dir.segments = []uint64{1}
	return cluster, writeMeta(fs, dir, cluster)
}

func writeMeta(fs vfs.FS, dir *listing, cluster clusterID) error {
	path := dir.path(metaName)
	f, err := createAnew(fs, path+tempSuffix)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	h := header{magic: metaMagic, cluster: cluster}
	_, err = vfs.WriteFull(f, h.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = fs.Rename(path+tempSuffix, path)
	}
	if err == nil {
		err = fs.SyncDir(dir.dir)
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return nil
}

// clearUnfinished removes what a creation left that never came to its end: at
// most a first segment without frames. Anything more once belonged to a store.
func clearUnfinished(fs vfs.FS, dir *listing) error {
	missing := damaged(dir.path(metaName), 0, "the file is missing, but other files of a store are there")
	if len(dir.snapshots) > 0 || (len(dir.segments) > 0 && !slices.Equal(dir.segments, []uint64{1})) {
		return missing
	}
	if len(dir.segments) == 0 {
		return nil
	}
	path := dir.path(segmentName(1))
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	b, err := readWhole(f, nil)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	h, err := decodeHeader(b, segmentMagic)
	if err != nil {
		return missing
	}
	for off := sectorBytes; off+sectorBytes <= len(b); off += sectorBytes {
		if _, ok := validFrame(b[off:], h.fields[1]); ok {
			return missing
		}
	}
	return fs.Remove(path)
}
