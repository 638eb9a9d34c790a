//! A follow stream: sends a follower all records after a position, from files or memory, then new ones as they become durable.
//! [`Feed`] decides what is sent next.

use std::sync::Arc;

use tanist_db_core::ids::Lsn;

use super::{Often, VaultShared};
use crate::limits;
use crate::transport::rpc::{Channel, Priority, RpcError};
use crate::vault::StorageError;
use crate::vault::log::acknowledge::stopped;
use crate::vault::log::feed::{Feed, FeedStep, pieces};
use crate::vault::log::reader::LogReader;
use crate::vault::log::segment::LogFrame;
use crate::vault::log::writer::LogState;
use crate::wire::message::Answer;

/// Serves the stream until the follower leaves, or has to be told that it cannot go on.
pub(super) async fn serve(channel: &mut Channel, shared: &Arc<VaultShared>, after: u64) -> Result<(), RpcError> {
    let _ = channel.send.set_priority(Priority::Log as i32);
    let extent = shared.log.state().extent;
    let feed = match Feed::open(Arc::clone(&shared.disk), shared.cluster, Lsn(after), &extent) {
        Ok((feed, begun)) => {
            channel.reply(begun).await?;
            feed
        }
        Err(answer) => return channel.reply(answer).await,
    };
    let mut follower = FollowServer { shared: Arc::clone(shared), feed };
    match follower.push(channel).await {
        Err(FollowEnd::Lost(error)) => Err(error),
        Err(FollowEnd::Answer(answer)) => channel.reply(answer).await,
        Ok(()) => Ok(()),
    }
}

struct FollowServer {
    shared: Arc<VaultShared>,
    feed: Feed,
}

enum FollowEnd {
    Lost(RpcError),
    Answer(Answer),
}

impl From<RpcError> for FollowEnd {
    fn from(error: RpcError) -> Self {
        Self::Lost(error)
    }
}

impl FollowServer {
    async fn push(&mut self, channel: &mut Channel) -> Result<(), FollowEnd> {
        let mut log = self.shared.log.watch();
        let left = channel.send.stopped();
        tokio::pin!(left);
        loop {
            let state = log.borrow_and_update().clone();
            if let Some(caught_up) = self.catch_up(&state, channel).await? {
                channel.reply(caught_up).await?;
                tokio::select! {
                    () = tokio::time::sleep(limits::FOLLOW_PAUSE) => {}
                    _ = &mut left => return Ok(()),
                }
            }
            tokio::select! {
                changed = log.changed() => if changed.is_err() { return Err(FollowEnd::Answer(stopped())) },
                _ = &mut left => return Ok(()),
            }
        }
    }

    /// Sends what is durable in `state`; returns what is to be said of it, if it was anything.
    async fn catch_up(&mut self, state: &LogState, channel: &mut Channel) -> Result<Option<Answer>, FollowEnd> {
        loop {
            let step = self.feed.step(state, &self.shared.log.recent().lock());
            let frames = match step.map_err(FollowEnd::Answer)? {
                FeedStep::Send(frames) => frames,
                FeedStep::Read(reader) => self.read(reader).await?,
                FeedStep::CaughtUp(answer) => return Ok(Some(answer)),
                FeedStep::Wait => return Ok(None),
            };
            for piece in pieces(&frames) {
                channel.write(piece).await?;
            }
        }
    }

    async fn read(&mut self, mut reader: LogReader) -> Result<Vec<LogFrame>, FollowEnd> {
        let extent = self.shared.log.state().extent;
        let read = actix_rt::task::spawn_blocking(move || {
            let frames = reader.read(&extent, limits::LOG_READ_BYTES);
            (reader, frames)
        });
        let (reader, frames) = read.await.map_err(|_| FollowEnd::Answer(stopped()))?;
        if let Err(error) = &frames
            && !matches!(error, StorageError::Trimmed { .. })
            && let Some(times) = self.shared.often(Often::LogUnreadable)
        {
            tracing::error!(%error, "the log cannot be read for a follower{times}");
        }
        self.feed.from_files(reader, frames).map_err(FollowEnd::Answer)
    }
}
