package lease

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// Key stands for a lease_id in 16 bytes without pointers. A lease_id of the
// form that servers make, 32 lowercase hexadecimal digits, is its own key;
// that of any other is a hash that nobody can aim at.
type Key struct{ a, b uint64 }

const idBytes = 32

// KeyOf is the key of any lease_id.
func KeyOf(id string) Key {
	if len(id) == idBytes {
		if k, ok := ParseKey([]byte(id)); ok {
			return k
		}
	}
	sum := sha256.Sum256([]byte(id))
	return Key{binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])}
}

// ParseKey is KeyOf for a lease_id of the form that servers make; false says
// that it is of another.
func ParseKey(id []byte) (Key, bool) {
	if len(id) != idBytes {
		return Key{}, false
	}
	w, wrong0 := nibbles(binary.LittleEndian.Uint64(id))
	x, wrong1 := nibbles(binary.LittleEndian.Uint64(id[8:]))
	y, wrong2 := nibbles(binary.LittleEndian.Uint64(id[16:]))
	z, wrong3 := nibbles(binary.LittleEndian.Uint64(id[24:]))
	return Key{w | x<<32, y | z<<32}, wrong0|wrong1|wrong2|wrong3 == 0
}

// nibbles reads eight hexadecimal digits, one in each byte of x, all at once,
// into four bytes. wrong is 0 if they are lowercase hexadecimal digits.
func nibbles(x uint64) (value, wrong uint64) {
	const ones = 0x0101010101010101
	// Letters have bit 6, and 'a' ends in 1: nine more makes it ten.
	v := x&(ones*0x0f) + (x>>6&ones)*9
	letters := (v + ones*6) >> 4 & ones
	wrong = (v + ones*'0' + letters*('a'-'0'-10)) ^ x | v&(ones*0xf0)
	v = (v<<4 | v>>8) & 0x00ff00ff00ff00ff
	v = (v | v>>8) & 0x0000ffff0000ffff
	return (v | v>>16) & 0xffffffff, wrong
}

// ID is the lease_id of a key that ParseKey made.
func (k Key) ID() string {
	var b [idBytes / 2]byte
	binary.LittleEndian.PutUint64(b[:8], k.a)
	binary.LittleEndian.PutUint64(b[8:], k.b)
	return hex.EncodeToString(b[:])
}

// hash spreads keys that differ in any of their bits. It need not resist
// anybody: a key that is in a table was chosen at random by a server.
func (k Key) hash() uint64 {
	hi, lo := bits.Mul64(k.a^0x9e3779b97f4a7c15, k.b^0xbf58476d1ce4e5b9)
	return hi ^ lo
}
