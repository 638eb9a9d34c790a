//! Output of a process: log lines on stderr, and events on stdout.
//!
//! A *log line* is for diagnosis; `log_level` selects level and modules. An *event* is one of the few lines that an operator of
//! the cluster wants to see: ready, took over, died, image stored. Any crate makes an event with `tracing::info!(target: "event",
//! "took over under epoch 3")`; fields given beside the sentence travel with it. Under `tanist up` events are JSON objects, one a
//! line, which `up` shows; otherwise they are written for people.
//!
//! Logging never waits for the write: separate threads write ([`lines`]).

mod lines;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::{fmt, panic};

use serde::{Deserialize, Serialize};
use tanist_db_core::clock::{Clock, SystemClock, UnixMillis};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt as layers};

use crate::config::limits::LAST_LINES_WAIT;
use crate::config::{Log, LogFormat};
use lines::Lines;

/// Target of events.
pub use tanist_replication::EVENT;

/// Form in which events are written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// For people: `12:00:01 vault  ready`.
    Text,
    /// For a parent process: a [`Said`] a line.
    Json,
}

/// An event as it travels from a child to `tanist up`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Which process: `vault`, `node a`.
    pub who: String,
    /// Its process id.
    pub pid: u32,
    /// What happened, for people.
    pub text: String,
    /// What happened, for programs; empty where no program asks.
    #[serde(default)]
    pub kind: String,
}

/// What this process says; nothing before [`start`].
static SAID: OnceLock<[Lines; 2]> = OnceLock::new();

/// Starts logging and events for the process `who`. Once a process, first thing; tools do not: they say what they are asked.
///
/// # Errors
/// If a thread cannot be started.
pub fn start(log: &Log, who: &str, events: Events) -> io::Result<()> {
    let say_lost: fn(usize) -> String = match log.log_format {
        LogFormat::Text => |lines| format!("{lines} log lines were lost here: they could not be written\n"),
        LogFormat::Json => |lines| format!("{{\"lost_lines\":{lines}}}\n"),
    };
    let stderr = Lines::start(io::stderr(), say_lost)?;
    let stdout = Lines::start(io::stdout(), |_| String::new())?;
    let filter = EnvFilter::builder().parse_lossy(&log.log_level);
    let ansi = io::stderr().is_terminal();
    let writer = stderr.clone();
    let writer = move || writer.clone();
    let log_lines = match log.log_format {
        LogFormat::Text => layers::layer().with_writer(writer).with_ansi(ansi).boxed(),
        LogFormat::Json => layers::layer().json().with_writer(writer).boxed(),
    };
    let told = Told { who: who.to_owned(), events, lines: stdout.clone(), clock: SystemClock::new() };
    let is_event = |about: &Metadata<'_>| about.target() == EVENT;
    let _first = SAID.set([stderr, stdout]);
    // The usual hook writes by itself: where nobody reads, a thread that panics would never come to the process's end.
    panic::set_hook(Box::new(|panicked| {
        let trace = Backtrace::capture();
        let trace = if trace.status() == BacktraceStatus::Captured { format!("\n{trace}") } else { String::new() };
        last_words(Some(&format!("{panicked}{trace}")));
    }));
    tracing_subscriber::registry()
        .with(log_lines.with_filter(filter))
        .with(told.with_filter(FilterFn::new(is_event)))
        .init();
    Ok(())
}

/// Logs why the process ends, and waits a moment until its last lines are written.
pub(crate) fn last_words(sentence: Option<&str>) {
    let line = sentence.map(|sentence| format!("tanist: {sentence}\n"));
    match SAID.get() {
        Some([stderr, stdout]) => {
            line.into_iter().for_each(|line| stderr.send(line.into_bytes()));
            let written = [stderr, stdout].map(Lines::flush);
            written.into_iter().for_each(|written| written.wait(LAST_LINES_WAIT / 2));
        }
        // stderr may be gone; there is nobody left to tell.
        None => line.into_iter().for_each(|line| drop(io::stderr().write_all(line.as_bytes()))),
    }
}

/// Writes events to stdout.
struct Told {
    who: String,
    events: Events,
    lines: Lines,
    clock: SystemClock,
}

impl<S: Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let said = Said {
            unix_ms: self.clock.unix().0,
            who: self.who.clone(),
            pid: std::process::id(),
            text: words.text,
            kind: words.kind,
        };
        self.lines.send(line(&said, self.events).into_bytes());
    }
}

/// The line that says an event.
fn line(said: &Said, form: Events) -> String {
    match form {
        Events::Text => format!("{} {:<7} {}\n", time_of_day(UnixMillis(said.unix_ms)), said.who, said.text),
        Events::Json => serde_json::to_string(said).map_or_else(|_| String::new(), |json| json + "\n"),
    }
}

/// The fields of an event that are shown.
#[derive(Default)]
struct Words {
    text: String,
    kind: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "kind" => value.clone_into(&mut self.kind),
            "message" => value.clone_into(&mut self.text),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.text = format!("{value:?}");
        }
    }
}

/// `HH:MM:SS.mmm` in UTC: the same on both machines of a cluster.
pub(crate) fn time_of_day(at: UnixMillis) -> String {
    let ms = at.0 % (24 * 60 * 60 * 1000);
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_day_is_utc() {
        assert_eq!(time_of_day(UnixMillis(0)), "00:00:00.000");
        assert_eq!(time_of_day(UnixMillis(1_700_000_000_123)), "22:13:20.123");
    }

    #[test]
    fn events_survive_the_pipe() {
        let said =
            Said { unix_ms: 5, who: "node a".into(), pid: 7, text: "took \"over\"\n".into(), kind: "role".into() };
        let line = serde_json::to_string(&said).expect("plain data");
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Said>(&line).expect("its own output"), said);
    }
}
