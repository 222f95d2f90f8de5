package rules

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// Whatever is read, nothing panics, and what is taken reads back the same.

func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"muster:///shop/pay", "muster:///a/b?endpoint=c", "muster://", "muster:///%2f/x", "muster:///\x00/\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseTarget(text)
		if err != nil {
			return
		}
		again := "muster:///" + target.Namespace + "/" + target.Service
		if target.Endpoint != "" {
			again += "?endpoint=" + target.Endpoint
		}
		if again != text {
			t.Fatalf("%q reads as %q", text, again)
		}
	})
}

func FuzzEnvironment(f *testing.F) {
	f.Add("MUSTER_OVERRIDE", "shop/pay=localhost:9000;shop/cart=10.0.0.1:80")
	f.Add("MUSTER_TTL", "15s")
	f.Add("MUSTER_GRACE_PERIOD", "24h")
	f.Add("MUSTER_SERVERS", "a:1,[::1]:2")
	f.Fuzz(func(t *testing.T, name, value string) {
		_, err := ParseEnvironment([]Variable{{name, value}})
		if err != nil && !strings.Contains(err.Error(), name) {
			t.Fatalf("%v does not name %q", err, name)
		}
	})
}

func FuzzRange(f *testing.F) {
	f.Add(">=1.2.0 <2.0.0-rc.1", "1.9.0")
	f.Add("!=1.0.0+b", "v1")
	f.Fuzz(func(t *testing.T, text, version string) {
		r, err := ParseRange(text)
		if err != nil {
			return
		}
		again, err := ParseRange(r.String())
		if err != nil || again.String() != r.String() || again.MatchText(version) != r.MatchText(version) {
			t.Fatalf("%q normalises to %q, which reads as %q (%v)", text, r, again, err)
		}
	})
}

// FuzzCacheFile reads bodies both as they are and behind a head that fits them,
// without which few would be looked into.
func FuzzCacheFile(f *testing.F) {
	whole := EncodeCacheFile(CacheFile{ClusterID: "c", Selector: []byte("s"), Entries: []CacheEntry{{CacheInstance, []byte("i")}, {CacheForbidden, nil}}})
	f.Add(whole)
	f.Add(whole[cacheHead:])
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, fault := DecodeCacheFile(body); fault == "" {
			readsBack(t, body)
		}
		b := append(make([]byte, 0, cacheHead+len(body)), cacheMagic...)
		b = append(b, cacheFormat, 0, 0, 0)
		b = append(b, make([]byte, cacheHead-len(b))...)
		b = append(b, body...)
		binary.LittleEndian.PutUint64(b[cacheChecked:], uint64(len(body)))
		binary.LittleEndian.PutUint64(b[cacheChecked-8:], xxhash.Sum64(b[cacheChecked:]))
		if _, fault := DecodeCacheFile(b); fault == "" {
			readsBack(t, b)
		} else if fault != CacheCorrupted {
			t.Fatalf("a body behind the right head: %s", fault)
		}
	})
}

func readsBack(t *testing.T, b []byte) {
	t.Helper()
	file, _ := DecodeCacheFile(b)
	if again := EncodeCacheFile(file); !bytes.Equal(again, b) {
		t.Fatalf("%x is written as %x", b, again)
	}
}
