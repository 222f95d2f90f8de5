//! Random words: how one becomes many, and how one becomes a choice.

/// Draws a word from a state and returns it with the next state. It spreads one random seed into
/// many words that vectors can name (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
#[must_use]
pub fn split_mix64(state: u64) -> (u64, u64) {
    let next = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (next ^ (next >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31), next)
}

/// Maps a random word evenly to `0..n`, by the high word of the 128-bit product, so without
/// division. It is 0 if `n` is 0.
#[must_use]
pub fn below(word: u64, n: u64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the high word of a product"
    )]
    let high = ((u128::from(word) * u128::from(n)) >> 64) as u64;
    high
}
