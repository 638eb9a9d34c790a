//! Percentiles of measured times by nearest rank: values that occurred, no interpolation.

/// The smallest of `sorted` that at least this share of all does not exceed: the nearest rank.
#[must_use]
pub fn nearest_rank<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_values_that_occurred() {
        let sorted: Vec<u32> = (1..=200).collect();
        let ranks = [0.0, 0.5, 0.99, 1.0].map(|share| nearest_rank(&sorted, share));
        assert_eq!(ranks, [Some(1), Some(100), Some(198), Some(200)]);
        assert_eq!(nearest_rank(&sorted[..40], 0.99), Some(40), "of forty, the largest");
        assert_eq!((nearest_rank(&[7], 0.5), nearest_rank::<u32>(&[], 0.5)), (Some(7), None));
    }
}
