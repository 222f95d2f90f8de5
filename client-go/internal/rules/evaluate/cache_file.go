package evaluate

import (
	"encoding/hex"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// hexBytes are bytes as JSON carries them.
type hexBytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// cacheFileCase is a file to encode or bytes to decode, and the other of them
// as the answer.
type cacheFileCase struct {
	File  *cacheFile       `json:"file,omitempty"`
	Bytes *hexBytes        `json:"bytes,omitempty"`
	Fault rules.CacheFault `json:"fault,omitempty"`
}

type cacheFile struct {
	ClusterID string       `json:"cluster_id"`
	Selector  hexBytes     `json:"selector"`
	Epoch     uint64       `json:"epoch,string"`
	Revision  uint64       `json:"revision,string"`
	ViewID    uint64       `json:"view_id,string"`
	Digest    uint64       `json:"digest,string"`
	Count     uint64       `json:"count,string"`
	WrittenMs int64        `json:"written_ms"`
	AgeMs     int64        `json:"age_ms"`
	Entries   []cacheEntry `json:"entries"`
}

type cacheEntry struct {
	Kind  uint8    `json:"kind"`
	Value hexBytes `json:"value"`
}

var cacheFileRule = rule(func(in cacheFileCase) (out cacheFileCase) {
	if in.File != nil {
		bytes := hexBytes(rules.EncodeCacheFile(in.File.rule()))
		out.Bytes = &bytes
	}
	if in.Bytes != nil {
		file, fault := rules.DecodeCacheFile(*in.Bytes)
		if out.Fault = fault; fault == "" {
			out.File = cacheFileOf(file)
		}
	}
	return out
})

func (f *cacheFile) rule() rules.CacheFile {
	out := rules.CacheFile{
		ClusterID: f.ClusterID, Selector: f.Selector, Epoch: f.Epoch, Revision: f.Revision,
		ViewID: f.ViewID, Digest: f.Digest, Count: f.Count, WrittenMs: f.WrittenMs, AgeMs: f.AgeMs,
	}
	for _, e := range f.Entries {
		out.Entries = append(out.Entries, rules.CacheEntry{Kind: e.Kind, Value: e.Value})
	}
	return out
}

func cacheFileOf(f rules.CacheFile) *cacheFile {
	out := &cacheFile{
		ClusterID: f.ClusterID, Selector: f.Selector, Epoch: f.Epoch, Revision: f.Revision,
		ViewID: f.ViewID, Digest: f.Digest, Count: f.Count, WrittenMs: f.WrittenMs, AgeMs: f.AgeMs,
		Entries: []cacheEntry{},
	}
	for _, e := range f.Entries {
		out.Entries = append(out.Entries, cacheEntry{e.Kind, e.Value})
	}
	return out
}
