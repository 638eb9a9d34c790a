//! A follow stream: everything after a position, from files or memory, then as it becomes durable.
//!
//! Nothing is queued for a follower. It is sent what it is ready to take, a little at a time rather than each group by itself;
//! one that falls behind what memory holds is served from the files until it has caught up.

use std::sync::Arc;

use tanist_db_core::ids::Lsn;

use super::{Shared, stopped};
use crate::limits;
use crate::transport::rpc::{Channel, Priority, RpcError};
use crate::vault::StorageError;
use crate::vault::log_reader::LogReader;
use crate::vault::segment::LogFrame;
use crate::wire::message::Answer;

/// Serves the stream until the follower leaves, or has to be told that it cannot go on.
pub(super) async fn serve(channel: &mut Channel, shared: &Arc<Shared>, after: u64) -> Result<(), RpcError> {
    let _ = channel.send.set_priority(Priority::Log as i32);
    let extent = shared.log.state().extent;
    if Lsn(after) > extent.durable {
        let why = format!("you have records up to {after}, but the log ends at {}", extent.durable);
        return channel.reply(Answer::Refused { why }).await;
    }
    if Lsn(after).next() < extent.oldest {
        return channel.reply(Answer::Trimmed { oldest: extent.oldest.0 }).await;
    }
    channel.reply(Answer::Following { durable: extent.durable.0 }).await?;
    let mut follower = Follower { shared: Arc::clone(shared), after: Lsn(after), reader: None };
    match follower.push(channel).await {
        Err(Stop::Lost(error)) => Err(error),
        Err(Stop::Answer(answer)) => channel.reply(answer).await,
        Ok(()) => Ok(()),
    }
}

struct Follower {
    shared: Arc<Shared>,
    after: Lsn,
    /// Where it stands in the files, while it is too far behind for memory.
    reader: Option<LogReader>,
}

enum Stop {
    Lost(RpcError),
    Answer(Answer),
}

impl From<RpcError> for Stop {
    fn from(error: RpcError) -> Self {
        Self::Lost(error)
    }
}

impl Follower {
    async fn push(&mut self, channel: &mut Channel) -> Result<(), Stop> {
        let mut log = self.shared.log.watch();
        let left = channel.send.stopped();
        tokio::pin!(left);
        loop {
            let state = log.borrow_and_update().clone();
            if state.failed.is_some() {
                return Err(Stop::Answer(stopped()));
            }
            let behind = self.after < state.extent.durable;
            while self.after < state.extent.durable {
                for frame in self.next().await? {
                    self.after = frame.last;
                    channel.write(frame.bytes().clone()).await?;
                }
            }
            if behind {
                channel.reply(Answer::Durable { lsn: self.after.0 }).await?;
                tokio::select! {
                    () = tokio::time::sleep(limits::FOLLOW_PAUSE) => {}
                    _ = &mut left => return Ok(()),
                }
            }
            tokio::select! {
                changed = log.changed() => if changed.is_err() { return Err(Stop::Answer(stopped())) },
                _ = &mut left => return Ok(()),
            }
        }
    }

    /// The next frames, at least one: something newer is durable.
    async fn next(&mut self) -> Result<Vec<LogFrame>, Stop> {
        if let Some(frames) = self.shared.log.recent(self.after) {
            self.reader = None;
            return Ok(frames);
        }
        let shared = Arc::clone(&self.shared);
        let after = self.after;
        let mut reader = self
            .reader
            .take()
            .filter(|reader| reader.after() == after)
            .unwrap_or_else(|| LogReader::new(Arc::clone(&shared.disk), shared.cluster, after));
        let read = actix_rt::task::spawn_blocking(move || {
            let frames = reader.read(&shared.log.state().extent, limits::LOG_READ_BYTES);
            (reader, frames)
        });
        let (reader, frames) = read.await.map_err(|_| Stop::Answer(stopped()))?;
        self.reader = Some(reader);
        frames.map_err(|error| match error {
            StorageError::Trimmed { oldest } => Stop::Answer(Answer::Trimmed { oldest }),
            error => {
                tracing::error!(%error, "the log cannot be read for a follower");
                Stop::Answer(Answer::Refused { why: error.to_string() })
            }
        })
    }
}
