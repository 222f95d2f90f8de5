package rules

import "math/bits"

// SplitMix64 draws a word from a state and returns the next state. It spreads
// one random seed into many words that vectors can name (Steele, Lea and Flood,
// "Fast splittable pseudorandom number generators", 2014).
func SplitMix64(state uint64) (word, next uint64) {
	next = state + 0x9E3779B97F4A7C15
	z := next
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31, next
}

// Below maps a random word evenly to [0, n), by the high word of the 128-bit
// product, so without division. It is 0 if n is 0.
func Below(word, n uint64) uint64 {
	high, _ := bits.Mul64(word, n)
	return high
}
