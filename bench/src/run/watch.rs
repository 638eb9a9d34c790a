//! Looks at a server while it is under load: when a snapshot was under way, and how much memory the server had.
//!
//! On a thread of its own that asks little: a few lines of log, two files of the kernel, one question to a neighbour.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::Fallible;
use crate::load::{Clock, pause};
use crate::system::{Client, Server, resident};

/// Time between two looks.
const LOOK_EVERY_MS: u64 = 20;

/// A snapshot that was seen, in microseconds of the watch's clock; one that has not ended has no end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) from: u64,
    pub(crate) to: Option<u64>,
    /// Bytes that were carried.
    pub(crate) bytes: u64,
}

/// What the watch has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    pub(crate) snapshots: Vec<Seen>,
    /// Highest anonymous resident memory of the serving process.
    pub(crate) resident_max: u64,
    /// Bytes that a neighbour's child has had copied for it, at most.
    pub(crate) copied_max: u64,
    /// Longest stand-still for a snapshot in microseconds: freeze or fork.
    pub(crate) pause_us_max: u64,
}

/// A watch under way.
pub(crate) struct Watch {
    pub(crate) clock: Clock,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Sight, String>>,
}

impl Watch {
    /// A Tanist takes images by itself; a neighbour is told to save each `every` seconds.
    pub(crate) fn start(server: &Server, every_seconds: f64) -> Fallible<Self> {
        let (clock, stop) = (Clock::start(), Arc::new(AtomicBool::new(false)));
        let mut eye = if server.system.is_tanist() {
            Eye::Logs(Logs::new(&server.data())?)
        } else {
            let every = (every_seconds * 1e6) as u64;
            let dump = server.folder().join("dump.rdb");
            Eye::Neighbour(Neighbour { client: server.client()?, every, next: every, dump })
        };
        let (pid, flag) = (server.pid, Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut sight = Sight::default();
            // What began before the end is watched to its end, so that its bytes are known.
            let under_way = |sight: &Sight| sight.snapshots.last().is_some_and(|seen| seen.to.is_none());
            let mut stopped_at = None;
            loop {
                let stopping = flag.load(Ordering::Relaxed);
                eye.look(clock.micros(), stopping, &mut sight).map_err(|error| error.to_string())?;
                sight.resident_max = sight.resident_max.max(resident(pid).anonymous);
                if stopping {
                    let since = *stopped_at.get_or_insert(clock.micros());
                    if !under_way(&sight) || clock.micros() - since > 60_000_000 {
                        return Ok(sight);
                    }
                }
                pause(LOOK_EVERY_MS);
            }
        });
        Ok(Self { clock, stop, thread })
    }

    pub(crate) fn stop(self) -> Fallible<Sight> {
        self.stop.store(true, Ordering::Relaxed);
        let sight = self.thread.join().map_err(|_| "the watch has ended early")?;
        Ok(sight?)
    }
}

enum Eye {
    Logs(Logs),
    Neighbour(Neighbour),
}

impl Eye {
    fn look(&mut self, now: u64, stopping: bool, sight: &mut Sight) -> Fallible<()> {
        match self {
            Eye::Logs(logs) => logs.look(now, sight),
            Eye::Neighbour(neighbour) => neighbour.look(now, stopping, sight),
        }
    }
}

/// Tanist says in its logs when it freezes and when the vault has the image; nothing that it answers tells both.
struct Logs {
    nodes: Vec<Tail>,
    vault: Tail,
}

impl Logs {
    fn new(data: &Path) -> Fallible<Self> {
        let tail = |name: &str| Tail::new(data.join("logs").join(name));
        Ok(Self { nodes: vec![tail("node-a.log")?, tail("node-b.log")?], vault: tail("vault.log")? })
    }

    fn look(&mut self, now: u64, sight: &mut Sight) -> Fallible<()> {
        // The vault's line first: of an image that ends between the two looks the end would come before the beginning.
        let stored = self.vault.lines()?;
        for line in stored.iter().filter(|line| line.contains("image stored: cut")) {
            let mib = number_before(line, " MiB").unwrap_or(0);
            if let Some(seen) = sight.snapshots.last_mut().filter(|seen| seen.to.is_none()) {
                (seen.to, seen.bytes) = (Some(now), mib << 20);
            }
        }
        for tail in &mut self.nodes {
            for line in tail.lines()?.iter().filter(|line| line.contains("frozen at record")) {
                sight.pause_us_max = sight.pause_us_max.max(number_before(line, " us").unwrap_or(0));
                sight.snapshots.push(Seen { from: now, to: None, bytes: 0 });
            }
        }
        Ok(())
    }
}

/// The lines that a file gets.
struct Tail {
    file: File,
    rest: String,
}

impl Tail {
    fn new(path: PathBuf) -> Fallible<Self> {
        let mut file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, rest: String::new() })
    }

    fn lines(&mut self) -> Fallible<Vec<String>> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        self.rest += &String::from_utf8_lossy(&bytes);
        let Some(end) = self.rest.rfind('\n') else { return Ok(Vec::new()) };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        Ok(whole.lines().map(str::to_owned).collect())
    }
}

fn number_before(line: &str, unit: &str) -> Option<u64> {
    let end = line.rfind(unit)?;
    line[..end].rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

struct Neighbour {
    client: Client,
    every: u64,
    next: u64,
    dump: PathBuf,
}

impl Neighbour {
    fn look(&mut self, now: u64, stopping: bool, sight: &mut Sight) -> Fallible<()> {
        match sight.snapshots.last_mut().filter(|seen| seen.to.is_none()) {
            Some(seen) => {
                if self.number("persistence", "rdb_bgsave_in_progress")? > 0 {
                    return Ok(());
                }
                (seen.to, seen.bytes) = (Some(now), std::fs::metadata(&self.dump).map_or(0, |file| file.len()));
                sight.copied_max = sight.copied_max.max(self.number("persistence", "rdb_last_cow_size")?);
                sight.pause_us_max = sight.pause_us_max.max(self.number("stats", "latest_fork_usec")?);
            }
            None if now >= self.next && !stopping => {
                self.next += self.every;
                sight.snapshots.push(Seen { from: now, to: None, bytes: 0 });
                self.client.ask(&["BGSAVE"])?;
            }
            None => {}
        }
        Ok(())
    }

    fn number(&mut self, section: &str, field: &str) -> Fallible<u64> {
        self.client.info_number(section, field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_before_their_unit() {
        assert_eq!(number_before("frozen at record 77 in 81 us; the image is on its way", " us"), Some(81));
        assert_eq!(number_before("image stored: cut 5, epoch 1, 940 MiB", " MiB"), Some(940));
        assert_eq!(number_before("nothing", " MiB"), None);
    }
}
