//! A set of small numbers of which nearly all below some number are in: what a search has ordered so far.

/// Numbers below `64 * full`, and those whose bits are set in `words` above. One form for each set, so that equal sets are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Set {
    full: usize,
    /// Neither begins with a full word nor ends with an empty one.
    words: Vec<u64>,
}

impl Set {
    pub(crate) fn contains(&self, number: usize) -> bool {
        let word = number / 64;
        word < self.full || self.words.get(word - self.full).is_some_and(|bits| bits >> (number % 64) & 1 == 1)
    }

    pub(crate) fn insert(&mut self, number: usize) {
        let Some(word) = (number / 64).checked_sub(self.full) else { return };
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (number % 64);
        let full = self.words.iter().take_while(|bits| **bits == u64::MAX).count();
        self.words.drain(..full);
        self.full += full;
    }

    /// The smallest number that is not in.
    pub(crate) fn first_missing(&self) -> usize {
        64 * self.full + self.words.first().map_or(0, |bits| bits.trailing_ones() as usize)
    }

    pub(crate) fn is_subset(&self, other: &Self) -> bool {
        let word = |set: &Self, at: usize| match at.checked_sub(set.full) {
            None => u64::MAX,
            Some(at) => set.words.get(at).copied().unwrap_or(0),
        };
        (0..self.full + self.words.len()).all(|at| word(self, at) & !word(other, at) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_set_of_numbers() {
        let mut set = Set::default();
        for number in (0..64).rev().chain([130, 64]) {
            assert!(!set.contains(number));
            set.insert(number);
            assert!(set.contains(number));
        }
        assert_eq!(set.first_missing(), 65);
        assert!(!set.contains(129) && !set.contains(1000));
        let mut other = set.clone();
        other.insert(0);
        assert_eq!(other, set, "it was in");
        other.insert(99);
        assert!(set.is_subset(&other) && !other.is_subset(&set) && Set::default().is_subset(&set));
        (65..128).for_each(|number| other.insert(number));
        assert_eq!(other.first_missing(), 128);
        assert!(set.is_subset(&other));
    }
}
