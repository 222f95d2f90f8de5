package play

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Where things are in a cache file; docs/client-spec.md section 11.
const (
	cacheMagic    = "MUSTLKG\n"
	cacheChecksum = 12
	cacheSummed   = 20
	cacheBody     = 28
	// cacheNumbers are between the selector and written_ms: epoch, revision,
	// view_id, digest and count.
	cacheNumbers = 5 * 8
)

var errNoCacheFile = errors.New("this is no cache file")

// shiftWritten changes when a cache file says that it was written, and makes its
// checksum right again.
func shiftWritten(path string, by time.Duration) error {
	text, err := os.ReadFile(path)
	if err == nil {
		err = shifted(text, by)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o600)
}

// shifted does it in place.
func shifted(text []byte, by time.Duration) error {
	if len(text) < cacheBody || string(text[:len(cacheMagic)]) != cacheMagic {
		return errNoCacheFile
	}
	at := uint64(cacheBody)
	for range 2 { // the cluster's id and the selector
		if uint64(len(text)) < at+8 {
			return errNoCacheFile
		}
		length := binary.LittleEndian.Uint64(text[at:])
		if length > uint64(len(text)) {
			return errNoCacheFile
		}
		at += 8 + length
	}
	at += cacheNumbers
	if uint64(len(text)) < at+8 {
		return errNoCacheFile
	}
	written := int64(binary.LittleEndian.Uint64(text[at:])) + by.Milliseconds()
	binary.LittleEndian.PutUint64(text[at:], uint64(written))
	binary.LittleEndian.PutUint64(text[cacheChecksum:], xxhash.Sum64(text[cacheSummed:]))
	return nil
}
