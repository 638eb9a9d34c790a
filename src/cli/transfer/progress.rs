//! Shows how far a pass is: a bar on a terminal, else a line every few seconds.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use tanist_db_core::clock::{Clock, Monotonic};

use super::tally::grouped;

/// Time from one line to the next.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What a pass counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Unit {
    Bytes,
    Keys,
}

impl Unit {
    fn shown(self, number: u64) -> String {
        match self {
            Unit::Bytes => HumanBytes(number).to_string(),
            Unit::Keys => format!("{} keys", grouped(number)),
        }
    }

    /// How a bar shows it.
    const fn template(self) -> &'static str {
        match self {
            Unit::Bytes => "{msg:>9} [{wide_bar}] {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left",
            Unit::Keys => "{msg:>9} [{wide_bar}] {human_pos} of {human_len} keys, {per_sec}, {eta} left",
        }
    }
}

/// How a pass is shown, on stderr.
pub(in crate::cli) enum Progress {
    Bar(ProgressBar),
    Lines(ProgressLines),
}

/// ProgressLines in a log.
pub(in crate::cli) struct ProgressLines {
    verb: &'static str,
    total: u64,
    unit: Unit,
    clock: Arc<dyn Clock>,
    begun: Monotonic,
    shown: Monotonic,
}

impl Progress {
    /// A pass over so many bytes or keys.
    pub(in crate::cli) fn new(verb: &'static str, total: u64, unit: Unit, clock: Arc<dyn Clock>) -> Progress {
        if !stderr().is_terminal() {
            let now = clock.monotonic();
            return Progress::Lines(ProgressLines { verb, total, unit, clock, begun: now, shown: now });
        }
        let style = ProgressStyle::with_template(unit.template()).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(total).with_style(style.progress_chars("=> ")).with_message(verb);
        Progress::Bar(bar)
    }

    /// So much is done.
    pub(in crate::cli) fn show(&mut self, done: u64) {
        match self {
            Progress::Bar(bar) => bar.set_position(done),
            Progress::Lines(lines) => lines.show(done),
        }
    }

    /// The pass has ended: what is written next begins a line.
    pub(in crate::cli) fn end(&self) {
        if let Progress::Bar(bar) = self {
            bar.abandon();
        }
    }
}

impl ProgressLines {
    fn show(&mut self, done: u64) {
        let now = self.clock.monotonic();
        if now.since(self.shown) < LINE_EVERY {
            return;
        }
        self.shown = now;
        // stderr may be closed; there is nobody left to tell.
        let _closed = writeln!(stderr(), "{}", line(self.verb, done, self.total, self.unit, now.since(self.begun)));
    }
}

fn line(verb: &str, done: u64, total: u64, unit: Unit, taken: Duration) -> String {
    let seconds = taken.as_secs_f64().max(0.001);
    let rate = done as f64 / seconds;
    let left = if rate > 0.0 {
        let left = Duration::from_secs_f64((total.saturating_sub(done) as f64 / rate).min(1e9));
        format!(", {} left", HumanDuration(left))
    } else {
        String::new()
    };
    let percent = done.min(total) * 100 / total.max(1);
    format!(
        "{verb}: {} of {} ({percent} %), {}/s{left}",
        unit.shown(done.min(total)),
        unit.shown(total),
        unit.shown(rate as u64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let shown = line("importing", 512 << 20, 2048 << 20, Unit::Bytes, Duration::from_secs(4));
        assert_eq!(shown, "importing: 512.00 MiB of 2.00 GiB (25 %), 128.00 MiB/s, 12 seconds left");
        let keys = line("exporting", 1500, 3000, Unit::Keys, Duration::from_secs(1));
        assert_eq!(keys, "exporting: 1,500 keys of 3,000 keys (50 %), 1,500 keys/s, 1 second left");
        assert_eq!(line("checking", 0, 0, Unit::Bytes, Duration::ZERO), "checking: 0 B of 0 B (0 %), 0 B/s");
    }
}
