//! The trace of a run: as a hash, to compare runs, and as readable lines.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

use crate::clock::Time;

/// Everything that happens goes into the hash; what a person wants to see is printed, if wanted.
pub(crate) struct Trace {
    hash: Xxh3,
    print: bool,
    /// The newest lines, for a report.
    last: std::collections::VecDeque<String>,
}

/// Lines kept for the report of a violation.
const LAST_LINES: usize = 60;

impl Trace {
    pub(crate) fn new(print: bool) -> Trace {
        Trace { hash: Xxh3::new(), print, last: std::collections::VecDeque::new() }
    }

    /// Adds a step of the run to the hash.
    pub(crate) fn step(&mut self, now: Time, what: &[u64]) {
        self.hash.update(&now.0.to_le_bytes());
        for number in what {
            self.hash.update(&number.to_le_bytes());
        }
    }

    /// Takes bytes into the hash.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Something that a person reading along wants to know.
    pub(crate) fn say(&mut self, now: Time, line: fmt::Arguments<'_>) {
        let line = format!("{now}  {line}");
        self.hash.update(line.as_bytes());
        if self.print {
            print(&line);
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The newest lines.
    pub(crate) fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    /// Equal for equal runs.
    pub(crate) fn digest(&self) -> u64 {
        self.hash.digest()
    }
}

#[expect(clippy::print_stdout, reason = "a person asked to read along")]
fn print(line: &str) {
    println!("{line}");
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("digest", &self.digest()).finish_non_exhaustive()
    }
}
