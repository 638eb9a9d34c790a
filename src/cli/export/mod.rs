//! `tanist export`: all keys of a running cluster, as they are at one moment, in a dump file of Redis or Valkey.
//!
//! A connection to the primary pins a version (docs/protocols/frozen-reads.md) and walks over its keys: nobody waits for it, and
//! memory is bounded by the longest value. The file is written beside its place, and moved there when all of it is on disk.
//!
//! | file | knows |
//! |---|---|
//! | `walk` | the keys of the version, one after the other |
//! | `connection` | replies that are read one by one, behind requests that are ahead |
//! | `target` | the file, before and after it has its name |

mod connection;
mod target;
mod walk;

use std::path::PathBuf;
use std::sync::Arc;

use indicatif::HumanBytes;
use tanist_db_core::clock::{Clock, SystemClock};
use tanist_db_core::rdb::writer::{Dialect, RdbWriter};

use self::target::TargetFile;
use self::walk::Walk;
use super::args::{NodesArgs, shutdown};
use super::print;
use super::status::Asker;
use super::transfer::{Gauge, Progress, Unit, watched};
use crate::exit::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// Dump file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Servers that shall read it
    #[arg(long = "for", value_name = "SERVER", default_value = "redis")]
    servers: Servers,
    /// Replace FILE if there is one
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    nodes: NodesArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Servers {
    /// Redis since 7.0 and Valkey; they know no expiry of a hash's field, so fields stay for as long as their keys
    Redis,
    /// Redis since 7.4, with expiries of fields
    #[value(name = "redis-7.4")]
    Redis74,
    /// Valkey since 9.0, with expiries of fields
    Valkey,
}

impl From<Servers> for Dialect {
    fn from(servers: Servers) -> Dialect {
        match servers {
            Servers::Redis => Dialect::Redis,
            Servers::Redis74 => Dialect::Redis74,
            Servers::Valkey => Dialect::Valkey,
        }
    }
}

pub(super) fn run(args: ExportArgs) -> Result<(), Failure> {
    let ExportArgs { file, servers, force, nodes } = args;
    let asker = Asker::from_args(nodes)?;
    super::block_on(async move {
        let shutdown = shutdown(false)?;
        let mut target = TargetFile::new(&file, force)?;
        let clock = Arc::new(SystemClock::new());
        let begun = clock.monotonic();
        let nothing = |why: String| Failure::Runtime(format!("{why}; nothing was exported"));
        let status = asker.with_primary(|_| true).await;
        let address = status.primary().map(|node| node.resp.clone()).ok_or_else(|| nothing(status.no_primary()))?;
        let mut walk = joined(tokio::task::spawn_blocking(move || Walk::begin(&asker, &address)).await)?;
        let mut writer = RdbWriter::begin(target.writer()?, servers.into(), &walk.notes(clock.unix()))
            .map_err(|error| target.cannot_write(&error))?;
        let (gauge, progress) =
            (Arc::new(Gauge::default()), Progress::new("exporting", walk.keys(), Unit::Keys, clock.clone()));
        let of_pass = Arc::clone(&gauge);
        let pass = tokio::task::spawn_blocking(move || walk.run(&mut writer, &of_pass).map(|tally| (tally, writer)));
        let done = watched(&gauge, progress, &shutdown, async { joined(pass.await) }).await?;
        let Some((tally, writer)) = done else { return Err(nothing("stopped".into())) };
        let bytes = target.complete(writer)?;
        let summary = tally.summary("exported", clock.monotonic().since(begun));
        print(&format!("{summary}written: {} to {}\n", HumanBytes(bytes), file.display()));
        match tally.loss() {
            None => Ok(()),
            Some(loss) => Err(Failure::Data(format!(
                "{} was written, but not with all that there is: {loss} (--for names servers that know them)",
                file.display()
            ))),
        }
    })
}

/// What a thread has returned.
fn joined<T>(ended: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    ended.unwrap_or_else(|e| Err(Failure::Runtime(format!("the thread that reads the keys has failed: {e}"))))
}
