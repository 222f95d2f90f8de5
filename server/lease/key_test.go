package lease

import (
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestKeysAreThoseOfHexadecimal holds ParseKey to encoding/hex: it reads the 32
// lowercase digits that servers make, and nothing else.
func TestKeysAreThoseOfHexadecimal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(
			rapid.StringMatching(`[0-9a-f]{32}`), rapid.StringMatching(`[0-9a-gA-F/:@`+"`"+`]{32}`), rapid.StringN(0, 40, 40),
		).Draw(t, "id")
		raw, err := hex.DecodeString(id)
		want := err == nil && len(raw) == 16 && strings.ToLower(id) == id
		k, ok := ParseKey([]byte(id))
		if ok != want {
			t.Fatalf("%q is read: %v, want %v", id, ok, want)
		}
		if ok && (k.ID() != id || KeyOf(id) != k) {
			t.Fatalf("%q becomes %q", id, k.ID())
		}
		if !ok && KeyOf(id) == (Key{}) {
			t.Fatalf("%q has no key", id)
		}
	})
}

// TestEveryByteOfAnIDCounts: one wrong digit makes another lease, or none.
func TestEveryByteOfAnIDCounts(t *testing.T) {
	t.Parallel()
	const good = "0123456789abcdef0123456789abcdef"
	want := KeyOf(good)
	for at := range good {
		for c := range 256 {
			id := []byte(good)
			if id[at] == byte(c) {
				continue
			}
			id[at] = byte(c)
			k, ok := ParseKey(id)
			if digit := strings.IndexByte("0123456789abcdef", byte(c)) >= 0; ok != digit {
				t.Fatalf("%q is read: %v, want %v", id, ok, digit)
			}
			if ok && k == want || KeyOf(string(id)) == want {
				t.Fatalf("%q has the key of %q", id, good)
			}
		}
	}
}
