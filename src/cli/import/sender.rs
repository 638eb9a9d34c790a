//! Sends batches to the primary, and again where nothing came of it.

use std::time::Duration;

use redis::RedisError;
use tanist_client::{Client, NOT_EXECUTED, Outcome, outcome};
use tanist_db_core::value::Kind;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::batch::{Continued, ImportBatch};
use crate::cli::transfer::grouped;
use crate::exit::Failure;

/// How long a batch is tried while there is no primary: several takeovers.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// Batches under way at once: while some wait for the vault, others are executed.
const UNDER_WAY: usize = 4;

/// Times that a batch is sent whose outcome is unknown, or that a node has refused for the moment.
const TRIES: u32 = 20;
/// Pause before it is sent again.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection to the cluster.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
}

impl Sender {
    pub(super) fn new(client: Client) -> Sender {
        Sender { client }
    }

    /// # Errors
    /// There is a key in some database, or the cluster does not say.
    pub(super) async fn must_be_empty(&self) -> Result<(), Failure> {
        let mut client = self.client.clone();
        let info: Result<String, _> = redis::cmd("INFO").arg("keyspace").query_async(&mut client).await;
        let info = info.map_err(|e| Failure::Runtime(format!("the cluster does not say whether it is empty: {e}")))?;
        match keys(&info) {
            0 => Ok(()),
            keys => Err(Failure::Config(format!(
                "the cluster has {} keys, so nothing was imported: with --merge those of the file are added, and replace others \
                 of the same name",
                grouped(keys)
            ))),
        }
    }

    /// Sends all batches that come, and returns when all of them are executed and durable.
    ///
    /// # Errors
    /// A sentence: some of them were not.
    pub(super) async fn send_all(self, mut batches: mpsc::Receiver<ImportBatch>) -> Result<(), Failure> {
        let mut under_way = JoinSet::new();
        while let Some(batch) = batches.recv().await {
            // What a batch continues must be there.
            let others_max = if batch.continues.is_some() { 0 } else { UNDER_WAY - 1 };
            while under_way.len() > others_max {
                ended(under_way.join_next().await)?;
            }
            under_way.spawn(send(self.client.clone(), batch));
        }
        while !under_way.is_empty() {
            ended(under_way.join_next().await)?;
        }
        Ok(())
    }
}

fn ended(task: Option<Result<Result<(), Failure>, tokio::task::JoinError>>) -> Result<(), Failure> {
    task.unwrap_or(Ok(Ok(()))).unwrap_or_else(|e| Err(Failure::Runtime(format!("a sender has failed: {e}"))))
}

/// The number of keys that INFO shows.
fn keys(info: &str) -> u64 {
    let databases = info.lines().filter_map(|line| line.strip_prefix("db")?.split_once(":keys="));
    databases.filter_map(|(_, rest)| rest.split(',').next()?.trim().parse::<u64>().ok()).sum()
}

async fn send(mut client: Client, batch: ImportBatch) -> Result<(), Failure> {
    let mut pipeline = redis::pipe();
    pipeline.atomic().cmd("SELECT").arg(batch.database).ignore();
    for command in batch.commands {
        pipeline.add_command(command).ignore();
    }
    back(&mut pipeline);
    let mut tries = 1;
    loop {
        let Err(error) = pipeline.exec_async(&mut client).await else { return Ok(()) };
        let refused = match outcome(&error) {
            Outcome::Unknown => {
                if let Some(continued) = &batch.continues
                    && !is_as_before(&mut client, batch.database, continued).await?
                {
                    return Ok(());
                }
                false
            }
            // The library has tried for as long as it may; EXECABORT is said of a command that was refused.
            Outcome::NotExecuted => matches!(error.code(), Some(NOT_EXECUTED | "EXECABORT")),
            Outcome::Answered | Outcome::PartlyExecuted => true,
        };
        if refused || tries == TRIES {
            return Err(failure(&mut client, &error).await);
        }
        tries += 1;
        sleep(PAUSE).await;
    }
}

/// Whether a key is as it was before a batch that goes on with it. Only a list and the entries of a stream tell; another key can be made
/// again.
async fn is_as_before(client: &mut Client, database: u64, continued: &Continued) -> Result<bool, Failure> {
    let Some(elements) = continued.elements else { return Ok(true) };
    let mut tries = 1;
    loop {
        let mut pipeline = redis::pipe();
        let length = if continued.kind == Kind::Stream { "XLEN" } else { "LLEN" };
        pipeline.atomic().cmd("SELECT").arg(database).ignore().cmd(length).arg(continued.key.as_slice());
        back(&mut pipeline);
        let told: Result<(u64,), RedisError> = pipeline.query_async(client).await;
        match told {
            Ok((len,)) => return Ok(len == elements),
            Err(error) if outcome(&error) == Outcome::Unknown && tries < TRIES => tries += 1,
            Err(error) => return Err(failure(client, &error).await),
        }
        sleep(PAUSE).await;
    }
}

/// Takes back which database was selected, which others of the connection must not notice.
fn back(pipeline: &mut redis::Pipeline) {
    pipeline.cmd("SELECT").arg(0).ignore();
}

async fn failure(client: &mut Client, error: &RedisError) -> Failure {
    let mut why = error.to_string();
    // A transaction says that a command was refused, and not why; an import is refused for one reason.
    if error.code() == Some("EXECABORT") {
        let memory: Result<String, _> = redis::cmd("INFO").arg("memory").query_async(client).await;
        let value = |name: &str| {
            let line = memory.as_deref().ok()?.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().parse::<u64>().ok()
        };
        if let (Some(used), Some(max @ 1..)) = (value("used_memory"), value("maxmemory")) {
            why += &format!(" (memory: {} bytes of maxmemory {} are in use)", grouped(used), grouped(max));
        }
    }
    Failure::Runtime(format!("the import has failed, and a part of the file was imported: {why}; {}", super::AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_all_databases_are_counted() {
        let info = "# Keyspace\r\ndb0:keys=12,expires=1,avg_ttl=0\r\ndb7:keys=3,expires=0,avg_ttl=0\r\n";
        assert_eq!(keys(info), 15);
        assert_eq!(keys("# Keyspace\r\n"), 0);
    }
}
