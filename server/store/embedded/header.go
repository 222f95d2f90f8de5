package embedded

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
)

// formatVersion is that of every file written. A file of a later version is
// refused; earlier ones will be read as long as docs/storage.md says so.
const formatVersion = 1

// Every file begins with a sector that says what it is:
//
//	0   8 bytes magic
//	8   u32 format version
//	12  u32 CRC32C of everything else in the sector
//	16  16 bytes cluster id
//	32  fields of the kind of file, u64 each
//
// The rest is zero.
const headerFields = 4

const (
	metaMagic     = "MUSTMETA"
	segmentMagic  = "MUSTRLOG"
	snapshotMagic = "MUSTSNAP"
)

type clusterID [16]byte

func (c clusterID) String() string { return hex.EncodeToString(c[:]) }

type header struct {
	magic   string
	cluster clusterID
	fields  [headerFields]uint64
}

func (h *header) encode() []byte {
	b := make([]byte, sectorBytes)
	copy(b, h.magic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	copy(b[16:], h.cluster[:])
	for i, v := range h.fields {
		binary.LittleEndian.PutUint64(b[32+8*i:], v)
	}
	binary.LittleEndian.PutUint32(b[12:], headerSum(b))
	return b
}

var (
	errHeaderShort   = errors.New("file is shorter than its header")
	errHeaderMagic   = errors.New("file does not begin as its name says")
	errHeaderSum     = errors.New("header fails its checksum")
	errHeaderCluster = errors.New("file belongs to another cluster")
)

// decodeHeader reads a header of the given kind. The version is judged before
// the checksum, which a later version may compute otherwise.
func decodeHeader(b []byte, magic string) (header, error) {
	if len(b) < sectorBytes {
		return header{}, errHeaderShort
	}
	b = b[:sectorBytes]
	if string(b[:8]) != magic {
		return header{}, errHeaderMagic
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v > formatVersion {
		return header{}, fmt.Errorf("%w: it has format %d, this version reads up to %d; run a later version", ErrFormat, v, formatVersion)
	}
	if binary.LittleEndian.Uint32(b[12:]) != headerSum(b) {
		return header{}, errHeaderSum
	}
	h := header{magic: magic, cluster: clusterID(b[16:32])}
	for i := range h.fields {
		h.fields[i] = binary.LittleEndian.Uint64(b[32+8*i:])
	}
	return h, nil
}

func headerSum(b []byte) uint32 {
	sum := crc32.Update(0, castagnoli, b[:12])
	return crc32.Update(sum, castagnoli, b[16:sectorBytes])
}
