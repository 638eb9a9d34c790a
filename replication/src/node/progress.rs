//! Progress of loading the newest image, for clients that wait for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tanist_db_core::clock::Monotonic;

/// Written while a node joins, read by anyone. Each figure may be a moment old, so relaxed loads and stores do.
#[derive(Debug, Default)]
pub struct LoadProgress {
    /// Moment at which the first byte was asked for; zero before.
    begun: AtomicU64,
    bytes_total: AtomicU64,
    bytes_loaded: AtomicU64,
}

impl LoadProgress {
    /// The image, of `bytes_total`, begins to come; perhaps not for the first time.
    pub fn begin(&self, bytes_total: u64, now: Monotonic) {
        self.bytes_loaded.store(0, Ordering::Relaxed);
        self.bytes_total.store(bytes_total, Ordering::Relaxed);
        self.begun.store(now.0, Ordering::Relaxed);
    }

    /// So many bytes more have come and are sound.
    pub fn loaded(&self, bytes: usize) {
        self.bytes_loaded.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of the image; 0 while it is not known whether there is one.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total.load(Ordering::Relaxed)
    }

    /// Bytes of it that are loaded.
    #[must_use]
    pub fn bytes_loaded(&self) -> u64 {
        self.bytes_loaded.load(Ordering::Relaxed).min(self.bytes_total())
    }

    /// Time that the rest takes at the pace so far; `None` while nothing has come.
    #[must_use]
    pub fn time_left(&self, now: Monotonic) -> Option<Duration> {
        let (total, loaded) = (self.bytes_total(), self.bytes_loaded());
        if loaded == 0 {
            return None;
        }
        let elapsed = now.since(Monotonic(self.begun.load(Ordering::Relaxed)));
        Some(elapsed.mul_f64((total - loaded) as f64 / loaded as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_its_share_of_what_has_come() {
        let progress = LoadProgress::default();
        let start = Monotonic(1_000_000);
        assert_eq!((progress.bytes_total(), progress.time_left(start)), (0, None));
        progress.begin(1000, start);
        let second = start.after(Duration::from_secs(1));
        assert_eq!(progress.time_left(second), None, "nothing has come");
        progress.loaded(250);
        assert_eq!((progress.bytes_loaded(), progress.time_left(second)), (250, Some(Duration::from_secs(3))));
        progress.loaded(750);
        assert_eq!(progress.time_left(second), Some(Duration::ZERO));
        progress.begin(2000, second);
        assert_eq!((progress.bytes_total(), progress.bytes_loaded(), progress.time_left(second)), (2000, 0, None));
    }
}
