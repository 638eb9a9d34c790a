//! Scores as bytes that ascend as doubles do.

/// A score that is a number: its bits, ascending as doubles do. There is no -0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(pub(super) u64);

const SIGN: u64 = 1 << 63;

impl Score {
    /// Returns the score; `None` if it is not a number.
    #[must_use]
    pub fn new(score: f64) -> Option<Score> {
        // -0 becomes +0.
        let bits = (score + 0.0).to_bits();
        (!score.is_nan()).then_some(Score(if bits & SIGN == 0 { bits | SIGN } else { !bits }))
    }

    /// Returns the double.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from_bits(if self.0 & SIGN == 0 { !self.0 } else { self.0 & !SIGN })
    }

    /// Returns the bytes that stand in a hash table, and in a record of the log.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Reads a score whose last bytes are zero if they are not there; `None` if it is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Score> {
        let score = Score::from_own_bytes(bytes);
        (bytes.len() <= 8 && Score::new(score.get()) == Some(score)).then_some(score)
    }

    /// The same for bytes that are those of a score.
    #[inline]
    pub(super) fn from_own_bytes(bytes: &[u8]) -> Score {
        if let Ok(all) = bytes.try_into() {
            return Score(u64::from_be_bytes(all));
        }
        let missing = 8_usize.saturating_sub(bytes.len()) as u32;
        let value = bytes.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
        Score(value.checked_shl(8 * missing).unwrap_or(0))
    }

    /// Returns the bytes without zeros at the end, and how many.
    #[inline]
    pub(crate) fn short_bytes(self) -> ([u8; 8], usize) {
        (self.to_bytes(), 8 - self.0.trailing_zeros() as usize / 8)
    }
}
