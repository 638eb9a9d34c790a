//! What the clients of one kind observed during one round: confirmations, errors, the longest gap.

use std::collections::BTreeMap;
use std::time::Duration;

/// Width of a tick: finer than any pause that a person would draw.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// What happened in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) confirmed: u32,
    pub(super) errors: u32,
}

impl std::ops::AddAssign for Tick {
    fn add_assign(&mut self, other: Tick) {
        self.confirmed += other.confirmed;
        self.errors += other.errors;
    }
}

/// Requests of clients of one kind. Times count from the beginning of the round and never go back.
#[derive(Debug, Default)]
pub(super) struct Witness {
    ticks: Vec<Tick>,
    /// How often each kind of error was seen.
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) confirmed: u64,
    /// The newest confirmed write.
    last: Duration,
    gap: Gap,
}

/// A stretch without a confirmed write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Gap {
    pub(super) fn length(self) -> Duration {
        self.to.saturating_sub(self.from)
    }
}

impl Witness {
    pub(super) fn confirmed(&mut self, at: Duration) {
        self.confirmed += 1;
        self.tick(at).confirmed += 1;
        self.close_gap(at);
    }

    pub(super) fn error(&mut self, at: Duration, kind: &str) {
        self.tick(at).errors += 1;
        match self.errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                self.errors.insert(kind.to_owned(), 1);
            }
        }
    }

    /// Ends the watch: a gap that is still open counts.
    pub(super) fn end(&mut self, at: Duration) {
        self.tick(at);
        self.close_gap(at);
    }

    /// Requests that ended, well or not.
    pub(super) fn requests(&self) -> u64 {
        self.confirmed + self.errors.values().sum::<u64>()
    }

    /// The longest time without a confirmed write. It counts from the first one: before, clients were still connecting.
    pub(super) fn longest_gap(&self) -> Gap {
        self.gap
    }

    /// What happened from `from` up to `to`; `None` where nobody watched.
    pub(super) fn between(&self, from: Duration, to: Duration) -> Option<Tick> {
        let ticks = self.ticks.get(index(from)..index(to).min(self.ticks.len())).filter(|ticks| !ticks.is_empty())?;
        let mut sum = Tick::default();
        ticks.iter().for_each(|tick| sum += *tick);
        Some(sum)
    }

    fn close_gap(&mut self, at: Duration) {
        let gap = Gap { from: self.last, to: at };
        if !self.last.is_zero() && gap.length() > self.gap.length() {
            self.gap = gap;
        }
        self.last = at;
    }

    fn tick(&mut self, at: Duration) -> &mut Tick {
        let at = index(at);
        if at >= self.ticks.len() {
            self.ticks.resize(at + 1, Tick::default());
        }
        &mut self.ticks[at]
    }
}

fn index(at: Duration) -> usize {
    usize::try_from(at.as_micros() / TICK.as_micros()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_longest_gap_is_between_confirmed_writes_and_errors_do_not_end_it() {
        let mut witness = Witness::default();
        for at in [30, 31, 33] {
            witness.confirmed(ms(at));
        }
        witness.error(ms(40), "connection lost");
        witness.error(ms(41), "connection lost");
        witness.confirmed(ms(50));
        witness.end(ms(52));
        assert_eq!(witness.longest_gap(), Gap { from: ms(33), to: ms(50) }, "the start up to 30 does not count");
        assert_eq!((witness.requests(), witness.confirmed, witness.errors["connection lost"]), (6, 4, 2));
    }

    #[test]
    fn a_gap_that_never_ended_counts_to_the_end() {
        let mut witness = Witness::default();
        witness.confirmed(ms(10));
        witness.end(ms(500));
        assert_eq!(witness.longest_gap().length(), ms(490));
    }

    #[test]
    fn ticks_are_summed_and_end_where_the_watch_ended() {
        let mut witness = Witness::default();
        witness.confirmed(ms(1));
        witness.confirmed(Duration::from_micros(1_999));
        witness.error(ms(3), "refused");
        witness.end(ms(6));
        assert_eq!(witness.between(ms(0), ms(4)), Some(Tick { confirmed: 2, errors: 1 }));
        assert_eq!(witness.between(ms(4), ms(100)), Some(Tick::default()));
        assert_eq!(witness.between(ms(7), ms(9)), None);
    }
}
