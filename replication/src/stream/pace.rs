//! Rate control of image uploads.
//!
//! An upload costs processor time that commands could use, and it costs memory as long as it lasts: a page that is written to
//! meanwhile is kept twice until the walk has passed it. So the upload is slow while few pages are kept twice, and gets faster as
//! their number grows.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;

use crate::limits::{FROZEN_PERCENT_CALM, FROZEN_PERCENT_FULL, IMAGE_PACE, IMAGE_TIME_MAX};

/// Shorter pauses than this are saved up: timers have no finer steps.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// The pauses of one upload.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second, without hurry.
    rate: u64,
    /// When what has been sent is due: ahead of the clock by what is to be paused.
    due: Monotonic,
}

impl Pace {
    /// For an image of about `bytes` that begins now.
    #[must_use]
    pub(super) fn new(now: Monotonic, bytes: u64) -> Pace {
        Pace { rate: IMAGE_PACE.max(bytes / IMAGE_TIME_MAX.as_secs()), due: now }
    }

    /// `bytes` more are on their way; `held` of `held_max` bytes are kept for the image. Returns the pause to make now, if any.
    pub(super) fn sent(&mut self, bytes: u64, now: Monotonic, held: u64, held_max: u64) -> Option<Duration> {
        let percent = held.saturating_mul(100) / held_max.max(1);
        let calm = FROZEN_PERCENT_FULL.saturating_sub(percent.max(FROZEN_PERCENT_CALM));
        let full_pause = Duration::from_micros(bytes.saturating_mul(1_000_000) / self.rate);
        let pause = full_pause * calm as u32 / (FROZEN_PERCENT_FULL - FROZEN_PERCENT_CALM) as u32;
        // What took its time anyway is not paused for again, nor made up for later.
        self.due = self.due.max(Monotonic(now.0.saturating_sub(micros(full_pause)))).after(pause);
        let ahead = self.due.since(now);
        (ahead >= PAUSE_MIN).then_some(ahead)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    /// How long an image of `chunks` MB takes if sending each takes `each` and `held` percent of the bound are kept.
    fn time(chunks: u64, bytes: u64, each: Duration, held: u64) -> Duration {
        let mut now = Monotonic(5_000_000);
        let start = now;
        let mut pace = Pace::new(now, bytes);
        for _ in 0..chunks {
            now = now.after(each);
            now = now.after(pace.sent(MB, now, held, 100).unwrap_or_default());
        }
        now.since(start)
    }

    #[test]
    fn it_goes_slowly_until_memory_is_kept_and_fast_when_much_is() {
        let millis = |held| time(640, 640 * MB, Duration::from_millis(1), held).as_millis();
        assert_eq!((millis(0), millis(10)), (10_000, 10_000), "64 MB a second");
        assert!((4_900..5_200).contains(&millis(20)), "{}", millis(20));
        assert_eq!((millis(30), millis(100), millis(300)), (640, 640, 640), "as fast as it can");
    }

    #[test]
    fn a_slow_stream_is_not_slowed_down_further_and_a_large_image_is_not_spread_out_for_ever() {
        assert_eq!(time(100, 100 * MB, Duration::from_millis(50), 0).as_millis(), 5_000);
        let large = time(1000, 100_000 * MB, Duration::ZERO, 0);
        assert!(large.as_millis() <= 601, "100,000 MB in a minute are 1,000 in 0.6 s: {large:?}");
    }
}
