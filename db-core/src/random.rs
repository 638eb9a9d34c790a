//! Numbers that look random.

/// A sequence of numbers out of one (SplitMix64). Same seed, same numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    /// Returns the next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, close to uniformly.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        share(self.next(), end)
    }
}

/// Returns the part of `end` that `random` is of all numbers.
pub(crate) const fn share(random: u64, end: u64) -> u64 {
    ((random as u128 * end as u128) >> 64) as u64
}
