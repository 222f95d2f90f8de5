package embedded

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/muster-registry/muster/server/store"
)

// A frame is one write to the log: the commits of one batch, whole or not at
// all. It begins at a sector and is padded to the next, so that no write ever
// touches a sector that holds anything durable.
//
//	0  u32 magic
//	4  u32 CRC32C of the segment's salt, bytes 8..24 and the payload
//	8  u32 length of the payload
//	12 u32 number of commits
//	16 u64 revision of the first commit; each further one is one higher
//	24 payload: the commits
//
// All integers are little endian. The first revision is also the frame's
// sequence number: it is one above the last of the frame before. The salt is
// random in each segment: no value that someone stores can pass for a frame.
const (
	sectorBytes     = 512
	frameMagic      = 0x4d46524d // "MRFM"
	frameHeader     = 24
	maxFramePayload = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errNoFrame     = errors.New("no frame begins here")
	errFrameLength = errors.New("frame has an impossible length")
	errFrameSum    = errors.New("frame fails its checksum")
	errPayload     = errors.New("frame passes its checksum, but its content makes no sense")
)

// frame is a decoded frame; payload aliases what it was decoded from.
type frame struct {
	revision uint64
	commits  uint32
	payload  []byte
}

// last is the revision of the frame's last commit.
func (f *frame) last() uint64 { return f.revision + uint64(f.commits) - 1 }

// bytes is what the frame takes in the log.
func (f *frame) bytes() int64 { return padToSector(frameHeader + int64(len(f.payload))) }

func padToSector(n int64) int64 { return (n + sectorBytes - 1) &^ (sectorBytes - 1) }

// appendFrame appends the commits as one frame, padding included.
func appendFrame(dst []byte, salt uint64, commits []store.Commit) []byte {
	begin := len(dst)
	dst = append(dst, make([]byte, frameHeader)...)
	for i := range commits {
		dst = appendCommit(dst, &commits[i])
	}
	end := len(dst)
	head := dst[begin:]
	binary.LittleEndian.PutUint32(head[0:], frameMagic)
	binary.LittleEndian.PutUint32(head[8:], uint32(end-begin-frameHeader))
	binary.LittleEndian.PutUint32(head[12:], uint32(len(commits)))
	binary.LittleEndian.PutUint64(head[16:], commits[0].Revision)
	binary.LittleEndian.PutUint32(head[4:], frameSum(salt, head))
	padding := padToSector(int64(end-begin)) - int64(end-begin)
	return append(dst, make([]byte, padding)...)
}

// decodeFrame reads the frame at the beginning of b.
func decodeFrame(b []byte, salt uint64) (frame, error) {
	if len(b) < frameHeader || binary.LittleEndian.Uint32(b) != frameMagic {
		return frame{}, errNoFrame
	}
	length := binary.LittleEndian.Uint32(b[8:])
	if length > maxFramePayload || int64(length)+frameHeader > int64(len(b)) {
		return frame{}, errFrameLength
	}
	whole := b[:frameHeader+int(length)]
	if binary.LittleEndian.Uint32(b[4:]) != frameSum(salt, whole) {
		return frame{}, errFrameSum
	}
	f := frame{
		revision: binary.LittleEndian.Uint64(b[16:]),
		commits:  binary.LittleEndian.Uint32(b[12:]),
		payload:  whole[frameHeader:],
	}
	if f.commits == 0 || f.revision == 0 || f.last() < f.revision {
		return frame{}, errPayload
	}
	return f, nil
}

// validFrame tells whether a frame is at the beginning of b.
func validFrame(b []byte, salt uint64) (frame, bool) {
	f, err := decodeFrame(b, salt)
	return f, err == nil
}

// frameSum sums a frame without padding; the sum's own four bytes are left out.
func frameSum(salt uint64, whole []byte) uint32 {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], salt)
	sum := crc32.Update(0, castagnoli, s[:])
	return crc32.Update(sum, castagnoli, whole[8:])
}
