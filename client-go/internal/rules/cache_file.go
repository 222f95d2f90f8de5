package rules

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

const (
	// cacheMagic begins every cache file.
	cacheMagic = "MUSTLKG\n"
	// cacheFormat is the format that this version writes and reads.
	cacheFormat = 1
	// cacheHead is the length of what stands before the body: magic, format,
	// checksum and length.
	cacheHead = 28
	// cacheChecked is where the part begins that the checksum covers.
	cacheChecked = 20
	// lastCacheKind is the highest kind of an entry in this format.
	lastCacheKind = CacheForbidden
)

// Kinds of entries in a cache file.
const (
	// CacheInstance is an encoded muster.v1.Instance.
	CacheInstance = 1
	// CacheService is an encoded muster.v1.ServiceState.
	CacheService = 2
	// CacheForbidden is an encoded muster.v1.ServiceName.
	CacheForbidden = 3
)

// CacheFile is a verified view as a client keeps it on disk.
type CacheFile struct {
	// ClusterID of the registry that it came from; UTF-8.
	ClusterID string
	// Selector is the encoded selector that it is of.
	Selector []byte
	// Epoch and Revision are its position.
	Epoch, Revision uint64
	// ViewID, Digest and Count are those of its last header.
	ViewID, Digest, Count uint64
	// WrittenMs is when it was written, by the wall clock in Unix ms.
	WrittenMs int64
	// AgeMs is how old its data was then.
	AgeMs int64
	// Entries of the view, in its order.
	Entries []CacheEntry
}

// CacheEntry is one entry of a view.
type CacheEntry struct {
	// Kind says what Value encodes.
	Kind uint8
	// Value is a message in protobuf's wire format.
	Value []byte
}

// CacheFault is why bytes are not a cache file; empty if they are.
type CacheFault string

// Why bytes are not a cache file.
const (
	// CacheTruncated: the end is missing.
	CacheTruncated CacheFault = "TRUNCATED"
	// CacheForeign: they do not begin as a cache file does.
	CacheForeign CacheFault = "FOREIGN"
	// CacheNewer: a later version wrote them.
	CacheNewer CacheFault = "NEWER_FORMAT"
	// CacheCorrupted: they were changed.
	CacheCorrupted CacheFault = "CORRUPTED"
)

// EncodeCacheFile writes a file.
func EncodeCacheFile(f CacheFile) []byte {
	b := append([]byte(cacheMagic), cacheFormat, 0, 0, 0)
	b = append(b, make([]byte, cacheHead-len(b))...)
	b = cacheBytes(b, []byte(f.ClusterID))
	b = cacheBytes(b, f.Selector)
	for _, n := range [...]uint64{
		f.Epoch, f.Revision, f.ViewID, f.Digest, f.Count, uint64(f.WrittenMs), uint64(f.AgeMs),
	} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	for _, e := range f.Entries {
		b = cacheBytes(append(b, e.Kind), e.Value)
	}
	binary.LittleEndian.PutUint64(b[cacheChecked:], uint64(len(b)-cacheHead))
	binary.LittleEndian.PutUint64(b[cacheChecked-8:], xxhash.Sum64(b[cacheChecked:]))
	return b
}

func cacheBytes(b, value []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(value))), value...)
}

// DecodeCacheFile reads what EncodeCacheFile wrote. Values are parts of b.
func DecodeCacheFile(b []byte) (CacheFile, CacheFault) {
	if len(b) < cacheHead {
		return CacheFile{}, CacheTruncated
	}
	if string(b[:len(cacheMagic)]) != cacheMagic {
		return CacheFile{}, CacheForeign
	}
	if format := binary.LittleEndian.Uint32(b[len(cacheMagic):]); format != cacheFormat {
		if format == 0 {
			return CacheFile{}, CacheCorrupted
		}
		return CacheFile{}, CacheNewer
	}
	body := b[cacheHead:]
	length := binary.LittleEndian.Uint64(b[cacheChecked:])
	if length > uint64(len(body)) {
		return CacheFile{}, CacheTruncated
	}
	checksum := binary.LittleEndian.Uint64(b[cacheChecked-8:])
	if length < uint64(len(body)) || xxhash.Sum64(b[cacheChecked:]) != checksum {
		return CacheFile{}, CacheCorrupted
	}
	r := cacheReader{rest: body}
	f := r.file()
	if r.bad {
		return CacheFile{}, CacheCorrupted
	}
	return f, ""
}

// cacheReader takes a body apart. Once something is missing it is bad, and
// everything after reads as empty.
type cacheReader struct {
	rest []byte
	bad  bool
}

func (r *cacheReader) file() CacheFile {
	f := CacheFile{ClusterID: string(r.bytes()), Selector: r.bytes()}
	f.Epoch, f.Revision = r.number(), r.number()
	f.ViewID, f.Digest, f.Count = r.number(), r.number(), r.number()
	f.WrittenMs, f.AgeMs = int64(r.number()), int64(r.number())
	for len(r.rest) > 0 {
		kind := r.take(1)[0]
		if kind == 0 || kind > lastCacheKind {
			r.bad = true
		}
		f.Entries = append(f.Entries, CacheEntry{kind, r.bytes()})
	}
	if !utf8.ValidString(f.ClusterID) {
		r.bad = true
	}
	return f
}

func (r *cacheReader) number() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *cacheReader) bytes() []byte { return r.take(r.number()) }

// take returns the next n bytes, or nil if there are fewer.
func (r *cacheReader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.rest, r.bad = nil, true
		return nil
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}
