//! `tanist import`: the keys of a dump file of Redis or Valkey, sent to a running cluster.
//!
//! The file is read twice: once to its end, to check it, and once to send it. Both are streams: a collection of any size is sent in
//! pieces while it is read, so memory is bounded by the longest string of the file and by what is under way.
//!
//! | file | knows |
//! |---|---|
//! | `survey` | the first pass: is the file sound, and does it fit |
//! | `reader` | the second pass: keys and their parts |
//! | `batch` | commands, and which of them are sent together |
//! | `sender` | what is under way, and what is sent again |

mod batch;
mod reader;
mod sender;
mod survey;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tanist_client::{Client, Options};
use tanist_db_core::clock::{Clock, SystemClock};
use tanist_db_core::rdb::RdbError;
use tanist_db_core::rdb::file::RdbFile;
use tokio::sync::mpsc;

use self::reader::Halt;
use self::sender::Sender;
use super::args::{ToolArgs, client_options, shutdown};
use super::print;
use super::transfer::{Gauge, Gauged, Progress, Tally, Unit, grouped, watched};
use crate::cluster_file::{ClusterFile, DataFolder};
use crate::config::Layer;
use crate::exit::Failure;
use crate::shutdown::Shutdown;

/// Batches that wait to be sent beside those under way: the next one is there when the sender is.
const BATCHES_READY: usize = 2;

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// Dump file of Redis or Valkey, as SAVE or BGSAVE writes it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Import even if there are keys: those of the file replace others of the same name
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    tool: ToolArgs,
}

pub(super) fn run(args: ImportArgs) -> Result<(), Failure> {
    let config = args.tool.config(Layer::default())?;
    let folder = DataFolder::new(&config.common.data);
    let cluster = folder.cluster()?;
    super::block_on(async move {
        let shutdown = shutdown(false)?;
        let dump = Dump::of(args.file)?;
        let client = client(&folder, &cluster).await?;
        let sender = Sender::new(client);
        if !args.merge {
            sender.must_be_empty().await?;
        }
        let clock = Arc::new(SystemClock::new());
        let begun = clock.monotonic();
        let expected = dump.check(clock.clone(), &shutdown).await?;
        if !args.merge {
            // The first pass may have taken minutes.
            sender.must_be_empty().await?;
        }
        let tally = dump.send(sender, &clock, expected, &shutdown).await?;
        print(&tally.summary("imported", clock.monotonic().since(begun)));
        match tally.loss() {
            None => Ok(()),
            Some(loss) => Err(Failure::Data(format!("the file was imported, but not all of it: {loss}"))),
        }
    })
}

async fn client(folder: &DataFolder, cluster: &ClusterFile) -> Result<Client, Failure> {
    let usual = client_options(folder, cluster)?;
    let patient = Options { deadline: sender::DEADLINE, ..usual.clone() };
    let cannot = |e| Failure::Runtime(format!("nothing was imported: {e}"));
    // A cluster that does not run is not waited for as long as one that is lost on the way.
    Client::connect(usual).await.map_err(cannot)?;
    Client::connect(patient).await.map_err(cannot)
}

/// The file that is imported.
#[derive(Debug)]
struct Dump {
    path: PathBuf,
    bytes: u64,
}

impl Dump {
    fn of(path: PathBuf) -> Result<Dump, Failure> {
        let wrong = |why: String| Failure::Config(format!("cannot read {}: {why}", path.display()));
        let about = std::fs::metadata(&path).map_err(|e| wrong(e.to_string()))?;
        if !about.is_file() {
            return Err(wrong("it is no file; a dump file is read twice".into()));
        }
        Ok(Dump { bytes: about.len(), path })
    }

    /// Reads all of the file; returns the number of its keys.
    async fn check(&self, clock: Arc<SystemClock>, shutdown: &Shutdown) -> Result<u64, Failure> {
        let gauge = Arc::new(Gauge::default());
        let (path, of_pass) = (self.path.clone(), Arc::clone(&gauge));
        let progress = Progress::new("checking", self.bytes, Unit::Bytes, clock);
        let pass = tokio::task::spawn_blocking(move || survey::survey(&path, open(&path, &of_pass)?));
        let survey = watched(&gauge, progress, shutdown, async { joined(pass.await) }).await?;
        survey.ok_or_else(|| Failure::Runtime("stopped: nothing was imported".into()))
    }

    /// Sends all of the file; returns what became of it.
    async fn send(
        &self,
        sender: Sender,
        clock: &Arc<SystemClock>,
        expected: u64,
        shutdown: &Shutdown,
    ) -> Result<Tally, Failure> {
        let gauge = Arc::new(Gauge::default());
        let (path, of_pass) = (self.path.clone(), Arc::clone(&gauge));
        let (ready, batches) = mpsc::channel(BATCHES_READY);
        let now = clock.unix();
        let pass = tokio::task::spawn_blocking(move || {
            let mut file = open(&path, &of_pass)?;
            Ok(reader::read(&mut file, now, |batch| ready.blocking_send(batch).map_err(|_| Halt::Stopped)))
        });
        let progress = Progress::new("importing", self.bytes, Unit::Bytes, clock.clone());
        let sending = async {
            let sent = sender.send_all(batches).await;
            let read = joined(pass.await);
            // A sender that has failed ends the reader, so its reason counts.
            sent?;
            read
        };
        let tally = watched(&gauge, progress, shutdown, sending).await?;
        let stopped = || Failure::Runtime(format!("stopped: a part was imported; {AGAIN}"));
        let tally = tally.ok_or_else(stopped)?.map_err(|halt| match halt {
            Halt::Rdb(error) => {
                Failure::Data(format!("{} has changed meanwhile: {error}; {AGAIN}", self.path.display()))
            }
            Halt::Stopped => stopped(),
        })?;
        if tally.seen() != expected {
            return Err(Failure::Data(format!(
                "{} has changed meanwhile: it had {} keys and has {}; {AGAIN}",
                self.path.display(),
                grouped(expected),
                grouped(tally.seen())
            )));
        }
        Ok(tally)
    }
}

/// What to do after an import that was not finished.
const AGAIN: &str = "to import the whole file, run the command again with --merge";

fn open(path: &Path, gauge: &Arc<Gauge>) -> Result<RdbFile<Gauged<File>>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::Config(format!("cannot read {}: {why}", path.display()));
    let file = File::open(path).map_err(|e| wrong(&e))?;
    let len = file.metadata().map_err(|e| wrong(&e))?.len();
    RdbFile::open(Gauged::new(file, gauge), len).map_err(|error| match error {
        RdbError::Cut => wrong(&"it is too short for a dump file"),
        error => wrong(&error),
    })
}

/// What a thread has returned.
fn joined<T>(ended: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    ended.unwrap_or_else(|e| Err(Failure::Runtime(format!("the thread that reads the file has failed: {e}"))))
}
