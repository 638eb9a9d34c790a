//! The event log on the terminal: one line per event with time, process and text.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tanist_db_core::clock::{Clock, SystemClock, UnixMillis};
use tokio::time::sleep;

use crate::exit::Failure;
use crate::telemetry::time_of_day;

/// Lines that wait for a terminal that does not take them (it was stopped with Ctrl-S). More are dropped: the logs have them.
const LINES_WAITING_MAX: usize = 1024;

/// Number of checks whether the last lines are written, and the pause between them: a second together.
const FINISH_LOOKS: u32 = 200;
const FINISH_PAUSE: Duration = Duration::from_millis(5);

/// Writes lines from a thread of its own, so that a stopped terminal stops nothing else.
#[derive(Clone, Debug)]
pub(super) struct Narrator {
    /// A line, or the end.
    lines: SyncSender<Option<String>>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
    coloured: bool,
    clock: Arc<SystemClock>,
}

impl Narrator {
    pub(super) fn start() -> Result<Narrator, Failure> {
        let (lines, waiting) = sync_channel(LINES_WAITING_MAX);
        let writer = std::thread::Builder::new()
            .name("narrator".into())
            .spawn(move || write_lines(&waiting))
            .map_err(|e| Failure::Runtime(format!("cannot start a thread: {e}")))?;
        let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let writer = Arc::new(Mutex::new(Some(writer)));
        Ok(Narrator { lines, writer, coloured, clock: Arc::new(SystemClock::new()) })
    }

    /// Something that `up` itself has to say.
    pub(super) fn say(&self, who: &str, text: &str) {
        self.line(self.clock.unix(), who, text);
    }

    /// Something that happened at `at`.
    pub(super) fn line(&self, at: UnixMillis, who: &str, text: &str) {
        let line = format(at, who, text, self.coloured);
        let _dropped = self.lines.try_send(Some(line));
    }

    /// Waits until the lines so far are out, but not for a terminal that does not take them. Later ones are not shown.
    pub(super) async fn finish(self) {
        let Some(writer) = self.writer.lock().take() else { return };
        if self.lines.try_send(None).is_err() {
            return;
        }
        for _ in 0..FINISH_LOOKS {
            if writer.is_finished() {
                return;
            }
            sleep(FINISH_PAUSE).await;
        }
    }
}

fn write_lines(waiting: &Receiver<Option<String>>) {
    while let Ok(Some(line)) = waiting.recv() {
        let mut out = io::stdout().lock();
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

fn format(at: UnixMillis, who: &str, text: &str, coloured: bool) -> String {
    let time = time_of_day(at);
    let indented = text.replace('\n', "\n                      ");
    if coloured {
        let colour = match who {
            "tanist" => "1",
            "vault" => "35",
            _ if who.ends_with('a') => "36",
            _ => "33",
        };
        format!("\x1b[2m{time}\x1b[0m \x1b[{colour}m{who:<8}\x1b[0m {indented}\n")
    } else {
        format!("{time} {who:<8} {indented}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_who_and_what() {
        assert_eq!(format(UnixMillis(0), "node a", "ready", false), "00:00:00.000 node a   ready\n");
        assert!(format(UnixMillis(0), "node a", "ready", true).contains("\x1b[36mnode a"));
    }

    #[test]
    fn further_lines_stand_under_the_first() {
        let text = format(UnixMillis(0), "tanist", "one\ntwo", false);
        let columns: Vec<Option<usize>> = text.lines().map(|l| l.find(['o', 't'])).collect();
        assert_eq!(text.lines().next().and_then(|l| l.find("one")), columns[1]);
    }
}
