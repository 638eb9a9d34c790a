//! Decides how many free pages to return to the operating system: those that have not been needed for a while.
//!
//! Free pages are a stack (last in, first out), so those at its bottom have been free for the longest. If the stack never had
//! fewer than `n` pages for some time, the lowest `n` were not needed in that time.

use std::time::Duration;

use super::page::PAGE_BYTES;
use crate::clock::Monotonic;

/// Between two looks, at least.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks over which a page must have been free: memory that comes and goes with a wave of requests stays.
const LOOKS: usize = 10;
/// Pages that are always kept, faulted in: copying into memory that is touched for the first time costs three times as much.
const KEPT_MIN: usize = 32 * 1024 * 1024 / PAGE_BYTES;
/// Part of the pages in use that is kept free: an image under writes takes up to a fifth again and again.
const KEPT_SHARE: u64 = 4;
/// Pages given back at one look, at least: a few milliseconds.
const STEP_MIN: usize = 64 * 1024 * 1024 / PAGE_BYTES;
/// Part of what is idle that goes back at one look, so that a large memory does not take hours.
const STEP_SHARE: usize = 16;

/// What is known of the stack of free pages.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// The fewest free pages since the last look.
    low: usize,
    /// The same between earlier looks, in no order.
    lows: [usize; LOOKS],
    next: usize,
    last: Monotonic,
}

/// What a look has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Excess {
    /// Pages at the stack's bottom that nobody has needed.
    pub(super) idle: usize,
    /// How many of them may go back now, a reserve being kept.
    pub(super) step: usize,
}

impl Idle {
    /// Pages were taken from the stack: `free` are left.
    #[inline]
    pub(super) fn taken(&mut self, free: usize) {
        self.low = self.low.min(free);
    }

    /// A look at `now`, with `free` pages on the stack and `in_use` handed out.
    pub(super) fn look(&mut self, now: Monotonic, free: usize, in_use: u64) -> Excess {
        if now.since(self.last) < LOOK_EVERY {
            return Excess::default();
        }
        self.last = now;
        self.lows[self.next] = self.low;
        self.next = (self.next + 1) % LOOKS;
        self.low = free;
        let idle = self.lows.iter().copied().min().unwrap_or(0);
        let kept = KEPT_MIN.max(usize::try_from(in_use / KEPT_SHARE).unwrap_or(usize::MAX));
        let excess = idle.saturating_sub(kept);
        Excess { idle, step: excess.min(STEP_MIN.max(excess / STEP_SHARE)) }
    }

    /// None of the idle pages could go back: it is not worth another look before as many have passed again.
    pub(super) fn in_vain(&mut self) {
        self.lows = [0; LOOKS];
    }

    /// `pages` have left the stack at its bottom.
    pub(super) fn lowered(&mut self, pages: usize) {
        for low in self.lows.iter_mut().chain([&mut self.low]) {
            *low = low.saturating_sub(pages);
        }
    }

    /// `pages` of them have come back there.
    pub(super) fn raised(&mut self, pages: usize) {
        for low in self.lows.iter_mut().chain([&mut self.low]) {
            *low += pages;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks once a second, ten times and more, with the stack always at `free`.
    fn settled(free: usize, in_use: u64) -> (Idle, Monotonic, Excess) {
        let (mut idle, mut now, mut found) = (Idle::default(), Monotonic(0), Excess::default());
        for look in 0..=LOOKS {
            assert_eq!(found.step, 0, "not after {look} looks");
            now = now.after(LOOK_EVERY);
            found = idle.look(now, free, in_use);
        }
        (idle, now, found)
    }

    fn excess(idle: usize, step: usize) -> Excess {
        Excess { idle, step }
    }

    #[test]
    fn what_nobody_needed_for_ten_looks_goes_but_for_a_reserve() {
        assert_eq!(settled(KEPT_MIN + 100, 0).2, excess(KEPT_MIN + 100, 100));
        assert_eq!(settled(KEPT_MIN, 0).2.step, 0);
        let in_use = 40 * KEPT_MIN as u64;
        assert_eq!(settled(10 * KEPT_MIN + 7, in_use).2.step, 7, "a quarter of what is in use stays");
        let much = 100 * STEP_MIN;
        assert_eq!(settled(KEPT_MIN + much, 0).2.step, much / STEP_SHARE, "not all at once");
    }

    #[test]
    fn pages_that_were_needed_in_between_stay_for_another_ten() {
        let free = KEPT_MIN + 100;
        let (mut idle, mut now, _) = settled(free, 0);
        idle.taken(KEPT_MIN + 30);
        for _ in 0..LOOKS {
            now = now.after(LOOK_EVERY);
            assert_eq!(idle.look(now, free, 0), excess(KEPT_MIN + 30, 30));
        }
        now = now.after(LOOK_EVERY);
        assert_eq!(idle.look(now, free, 0), excess(free, 100));
        assert_eq!(idle.look(now, free, 0), Excess::default(), "too early");
    }

    #[test]
    fn what_has_gone_is_not_counted_again() {
        let free = KEPT_MIN + 100;
        let (mut idle, now, _) = settled(free, 0);
        idle.lowered(free);
        idle.raised(KEPT_MIN + 40);
        assert_eq!(idle.look(now.after(LOOK_EVERY), KEPT_MIN + 40, 0), excess(KEPT_MIN + 40, 40));
    }

    #[test]
    fn a_look_in_vain_is_not_repeated_at_once() {
        let free = KEPT_MIN + 100;
        let (mut idle, mut now, _) = settled(free, 0);
        idle.in_vain();
        for look in 1..=LOOKS {
            now = now.after(LOOK_EVERY);
            assert_eq!(idle.look(now, free, 0).step, if look < LOOKS { 0 } else { 100 });
        }
    }
}
