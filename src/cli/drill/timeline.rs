//! The interesting part of a round, divided into columns of a round number of milliseconds; and the plot for the terminal.

use std::time::Duration;

use super::witness::{Tick, Witness};

/// Lengths of a column, in milliseconds.
const COLUMN_MS: [u64; 22] =
    [1, 2, 3, 4, 5, 8, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000];
/// Confirmed writes in an ordinary column: with fewer the picture shows when clients asked, not how the cluster did.
const WRITES_PER_COLUMN_MIN: f64 = 2.0;
/// Columns on the terminal: with the margin, as wide as the table of the report.
const COLUMNS: usize = 56;
/// What stands left of everything about one kind of clients.
const MARGIN: usize = 12;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A column that was watched, in which nothing was confirmed.
const NOTHING: char = '·';
const ERROR: char = '×';

/// What happens in a round, as times since its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course {
    pub(super) fault: Duration,
    /// A node is primary under a new epoch.
    pub(super) takeover: Duration,
    /// A primary and a standby that follows.
    pub(super) whole: Duration,
    pub(super) end: Duration,
}

/// Columns of equal length; the fault is at the beginning of column `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) column: Duration,
    pub(super) columns: usize,
    pub(super) before: usize,
    fault: Duration,
}

impl Window {
    /// About `columns` columns around the fault: as fine as the clients' pace allows, and wide enough to show their longest gap
    /// and the pair whole again.
    pub(super) fn new(course: &Course, witnesses: &[&Witness], columns: usize) -> Window {
        let before = columns / 4;
        let gaps = witnesses.iter().map(|witness| witness.longest_gap().to.saturating_sub(course.fault).mul_f64(1.5));
        let span = gaps.fold((course.whole - course.fault).mul_f64(1.2), Duration::max).min(course.end - course.fault);
        let wide = millis(span) / (columns - before) as f64;
        let writes =
            |witness: &&Witness| witness.between(Duration::ZERO, course.fault).map_or(0, |tick| tick.confirmed);
        let slowest = witnesses.iter().map(writes).min().unwrap_or(0).max(1);
        let fine = WRITES_PER_COLUMN_MIN * millis(course.fault) / f64::from(slowest);
        let fits = |ms: &&u64| **ms as f64 >= wide.max(fine);
        let column = Duration::from_millis(*COLUMN_MS.iter().find(fits).unwrap_or(&COLUMN_MS[COLUMN_MS.len() - 1]));
        Window { column, columns, before, fault: course.fault }
    }

    /// What clients saw in each column; `None` where nobody watched.
    pub(super) fn cut(&self, witness: &Witness) -> Vec<Option<Tick>> {
        let columns = self.columns as i64;
        let begin = |column: i64| {
            let shift = self.column * u32::try_from(column.abs_diff(self.before as i64)).unwrap_or(u32::MAX);
            if column < self.before as i64 { self.fault.checked_sub(shift) } else { Some(self.fault + shift) }
        };
        (0..columns).map(|column| witness.between(begin(column)?, begin(column + 1)?)).collect()
    }

    /// Where a moment stands, in columns from the left; may lie outside.
    pub(super) fn place(&self, at: Duration) -> f64 {
        self.before as f64 + (millis(at) - millis(self.fault)) / millis(self.column)
    }
}

/// The picture for the terminal: a row of bars and a row of errors for each kind of client under the moments of the course.
pub(super) fn plot(course: &Course, rows: &[(&str, &Witness)], fault: &str) -> String {
    let witnesses: Vec<&Witness> = rows.iter().map(|(_, witness)| *witness).collect();
    let window = Window::new(course, &witnesses, COLUMNS);
    let mut lines = vec![line("", &flag(&window, course.fault, fault)), line("", &tip(&window, course))];
    for (name, witness) in rows {
        let columns = window.cut(witness);
        let top = columns.iter().flatten().map(|tick| tick.confirmed).max().unwrap_or(0);
        lines.push(line(name, &columns.iter().map(|tick| bar(*tick, top)).collect::<String>()));
        let errors = |tick: &Option<Tick>| if tick.is_some_and(|tick| tick.errors > 0) { ERROR } else { ' ' };
        if columns.iter().flatten().any(|tick| tick.errors > 0) {
            lines.push(line("  errors", &columns.iter().map(errors).collect::<String>()));
        }
    }
    lines.push(line("", &scale(&window)));
    lines.push(line("", &format!("confirmed writes, a column is {} ms", window.column.as_millis())));
    lines.join("\n") + "\n"
}

/// A line about the clients of a kind.
pub(super) fn line(name: &str, words: &str) -> String {
    format!("{name:<MARGIN$}{words}").trim_end().to_owned()
}

fn bar(tick: Option<Tick>, top: u32) -> char {
    match tick {
        None => ' ',
        Some(Tick { confirmed: 0, .. }) => NOTHING,
        Some(Tick { confirmed, .. }) => LEVELS[((u64::from(confirmed) * 8).div_ceil(u64::from(top)) - 1) as usize],
    }
}

/// The fault's name over its column.
fn flag(window: &Window, at: Duration, name: &str) -> String {
    format!("{:>1$}{name}", "", window.place(at) as usize)
}

/// The fault, and the takeover where it has a column of its own.
fn tip(window: &Window, course: &Course) -> String {
    let mut columns = vec![' '; window.columns];
    let takeover = window.place(course.takeover) as usize;
    if let Some(column) = columns.get_mut(takeover) {
        *column = '^';
    }
    columns[window.before] = '▼';
    let text: String = columns.into_iter().collect();
    if takeover > window.before && takeover < window.columns {
        format!("{} ^ new primary", text.trim_end())
    } else {
        text
    }
}

/// Times below the columns, each quarter.
fn scale(window: &Window) -> String {
    let mut text = String::new();
    for column in (0..window.columns).step_by(window.columns / 4) {
        let ms = (column as i64 - window.before as i64) * window.column.as_millis() as i64;
        text = format!("{text:<column$}|{ms} ms");
    }
    text
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    pub(in super::super) const COURSE: Course =
        Course { fault: ms(1000), takeover: ms(1020), whole: ms(1300), end: ms(2000) };

    /// A write each millisecond, but none from 1000 to 1040, with errors at its end.
    pub(in super::super) fn witness() -> Witness {
        let mut witness = Witness::default();
        for at in (10..2000).filter(|at| !(1000..1040).contains(at)) {
            witness.confirmed(ms(at));
        }
        witness.error(ms(1035), "connection lost");
        witness.end(ms(2000));
        witness
    }

    #[test]
    fn the_window_shows_the_fault_the_gap_and_the_recovery() {
        let witness = witness();
        let window = Window::new(&COURSE, &[&witness], COLUMNS);
        assert_eq!(window.column, ms(10));
        assert!(window.place(COURSE.whole) < COLUMNS as f64);
        let columns = window.cut(&witness);
        assert_eq!(columns.len(), COLUMNS);
        let at_fault: Vec<u32> =
            columns[window.before - 1..window.before + 5].iter().flatten().map(|tick| tick.confirmed).collect();
        assert_eq!(at_fault, [10, 0, 0, 0, 0, 10]);
    }

    #[test]
    fn few_writes_make_wide_columns() {
        let mut witness = Witness::default();
        (0..100).for_each(|nth| witness.confirmed(ms(nth * 20)));
        witness.end(ms(2000));
        assert_eq!(Window::new(&COURSE, &[&witness], COLUMNS).column, ms(40));
    }

    #[test]
    fn what_was_not_watched_is_empty() {
        let course = Course { fault: ms(10), takeover: ms(12), whole: ms(1300), end: ms(1400) };
        let mut witness = Witness::default();
        (1..1400).for_each(|at| witness.confirmed(ms(at)));
        witness.end(ms(1400));
        let window = Window::new(&course, &[&witness], COLUMNS);
        let columns = window.cut(&witness);
        assert_eq!(columns[0], None);
        assert!(columns[window.before].is_some());
        assert_eq!(columns.last(), Some(&None), "the round had ended");
    }

    #[test]
    fn the_picture_is_readable_at_a_glance() {
        let witness = witness();
        let text = plot(&COURSE, &[("library", &witness)], "kill -9 of node a");
        let expected = "
                          kill -9 of node a
                          ▼ ^ ^ new primary
library     ██████████████····██████████████████████████████████████
  errors                     ×
            |-140 ms      |0 ms         |140 ms       |280 ms
            confirmed writes, a column is 10 ms
";
        assert_eq!(format!("\n{text}"), expected);
    }
}
