//! Mutations of valid input, drawn from a seed.

/// A fixed sequence (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// Numbers that stand at an edge of something.
const EDGES: [u64; 8] = [0, 1, 0x7f, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, u64::MAX];

/// `seed`, changed in one to four places; now and then with a part of `other` in it.
#[must_use]
pub fn mutate(random: &mut Random, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, other.iter().copied().skip(random.below(other.len() + 1)).take(64))),
            2 => bytes.insert(at, random.below(256) as u8),
            3 => drop(bytes.drain(at..(at + random.below(16)).min(bytes.len()))),
            4 | 5 => {
                let edge = EDGES[random.below(EDGES.len())].to_le_bytes();
                let wide = 1 << random.below(4);
                bytes.iter_mut().skip(at).take(wide).zip(edge).for_each(|(byte, edge)| *byte = edge);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    bytes
}
