//! Upload and download of images. Disk I/O runs on the runtime's threads for blocking work.

use std::sync::Arc;

use actix::Addr;
use tanist_db_core::ids::{Epoch, Lsn};

use super::rulings::MayWrite;
use super::{Often, VaultServer, VaultShared};
use crate::EVENT;
use crate::limits;
use crate::transport::rpc::{Channel, Priority, RpcError};
use crate::vault::StorageError;
use crate::vault::images::Upload;
use crate::vault::lease::roster::Caller;
use crate::vault::log::acknowledge::stopped;
use crate::wire::frame::{Frame, FrameKind};
use crate::wire::message::{Answer, Call, Request};

/// Why an upload or download does not go on.
enum TransferEnd {
    Lost(RpcError),
    Answer(Answer),
    Storage(StorageError),
}

impl From<RpcError> for TransferEnd {
    fn from(error: RpcError) -> Self {
        Self::Lost(error)
    }
}

impl From<Answer> for TransferEnd {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<StorageError> for TransferEnd {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

async fn settle(channel: &mut Channel, end: Result<Answer, TransferEnd>) -> Result<(), RpcError> {
    match end {
        Ok(answer) | Err(TransferEnd::Answer(answer)) => channel.reply(answer).await,
        Err(TransferEnd::Storage(error)) => channel.reply(Answer::Refused { why: error.to_string() }).await,
        Err(TransferEnd::Lost(error)) => Err(error),
    }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, TransferEnd> {
    match actix_rt::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(stopped().into()),
    }
}

/// Receives an image and publishes it.
pub(super) async fn put(
    channel: &mut Channel,
    caller: &Arc<Caller>,
    shared: &Arc<VaultShared>,
    server: &Addr<VaultServer>,
    epoch: u64,
    cut: u64,
) -> Result<(), RpcError> {
    let upload = Put { caller, shared, server, epoch: Epoch(epoch), cut: Lsn(cut) };
    let end = upload.run(channel).await;
    match &end {
        Ok(_) => shared.health.image(Ok(())),
        Err(TransferEnd::Storage(error)) => {
            shared.health.image(Err(error));
            upload.not_stored(error);
        }
        Err(TransferEnd::Answer(answer)) => upload.not_stored(format_args!("{answer:?}")),
        Err(TransferEnd::Lost(_)) => {}
    }
    settle(channel, end).await
}

struct Put<'a> {
    caller: &'a Arc<Caller>,
    shared: &'a Arc<VaultShared>,
    server: &'a Addr<VaultServer>,
    epoch: Epoch,
    cut: Lsn,
}

impl Put<'_> {
    async fn run(&self, channel: &mut Channel) -> Result<Answer, TransferEnd> {
        self.may_write(None).await?;
        let (shared, cut, epoch) = (Arc::clone(self.shared), self.cut, self.epoch);
        let upload = blocking(move || shared.images.begin(cut, epoch)).await?;
        channel.reply(Answer::ImageReady).await?;
        let (upload, chunks, bytes) = self.take(channel, upload).await?;
        let now = self.shared.clock.unix();
        let finished = blocking(move || upload.finish(chunks, bytes, now)).await?;
        self.wait_for_cut().await;
        self.may_write(Some(self.cut)).await?;
        let shared = Arc::clone(self.shared);
        let oldest = blocking(move || shared.images.publish(finished)).await?;
        tracing::info!(target: EVENT, "image stored: cut {cut}, epoch {epoch}, {} MiB", bytes >> 20);
        self.shared.log.trim(oldest).await.map_err(|_| stopped())?;
        Ok(Answer::ImageStored)
    }

    fn not_stored(&self, why: impl std::fmt::Display) {
        if let Some(times) = self.shared.often(Often::ImageRefused) {
            let (node, epoch, cut) = (&self.caller.hello.node, self.epoch, self.cut);
            tracing::warn!(node, %epoch, %cut, %why, "image not stored{times}");
        }
    }

    async fn may_write(&self, cut: Option<Lsn>) -> Result<(), TransferEnd> {
        let ask = MayWrite { caller: Arc::clone(self.caller), epoch: self.epoch, cut };
        Ok(self.server.send(ask).await.map_err(|_| stopped())??)
    }

    /// Receives chunks up to the last; returns their number and length as the sender states them.
    async fn take(&self, channel: &mut Channel, mut upload: Upload) -> Result<(Upload, u32, u64), TransferEnd> {
        loop {
            let (chunks, end) = next_chunks(channel).await?;
            if !chunks.is_empty() {
                upload = blocking(move || upload.add(&chunks).map(|()| upload)).await?;
            }
            if let Some((chunks, bytes)) = end {
                return Ok((upload, chunks, bytes));
            }
        }
    }

    /// The log may not have reached the image's cut yet: its records come on another stream.
    async fn wait_for_cut(&self) {
        let mut log = self.shared.log.watch();
        let reached = log.wait_for(|state| state.extent.durable >= self.cut || state.failed.is_some());
        // Whether it has is judged next.
        let _ = tokio::time::timeout(limits::IMAGE_CUT_WAIT, reached).await;
    }
}

/// The next chunks that are here, at least one unless the end is; and the end.
async fn next_chunks(channel: &mut Channel) -> Result<(Vec<Frame>, Option<(u32, u64)>), TransferEnd> {
    let mut chunks = Vec::new();
    let mut bytes = 0;
    let mut next = channel.receive.next().await.map_err(RpcError::from)?;
    loop {
        let Some(frame) = next else {
            let empty = chunks.is_empty() && bytes == 0;
            return if empty {
                Err(RpcError::Lost("the upload was given up".to_owned()).into())
            } else {
                Ok((chunks, None))
            };
        };
        if frame.kind() == FrameKind::Chunk {
            bytes += frame.bytes().len();
            chunks.push(frame);
        } else {
            match frame.message::<Call>().map_err(RpcError::from)?.request {
                Request::ImageEnd { chunks: count, bytes } => return Ok((chunks, Some((count, bytes)))),
                _ => return Err(RpcError::Protocol("an upload holds chunks and its end".to_owned()).into()),
            }
        }
        if bytes >= limits::LOG_READ_BYTES {
            return Ok((chunks, None));
        }
        next = channel.receive.buffered().map_err(RpcError::from)?;
    }
}

/// Sends the newest image.
pub(super) async fn get(channel: &mut Channel, shared: &Arc<VaultShared>) -> Result<(), RpcError> {
    let _ = channel.send.set_priority(Priority::Bulk as i32);
    match send(channel, shared).await {
        Ok(()) => Ok(()),
        end => settle(channel, end.map(|()| Answer::NoImage)).await,
    }
}

async fn send(channel: &mut Channel, shared: &Arc<VaultShared>) -> Result<(), TransferEnd> {
    let opener = Arc::clone(shared);
    let Some(mut reader) = blocking(move || opener.images.open_newest()).await? else {
        return Err(Answer::NoImage.into());
    };
    channel.reply(Answer::Image(reader.view())).await?;
    loop {
        let (again, frames) = blocking(move || {
            let frames = reader.read(limits::LOG_READ_BYTES)?;
            Ok((reader, frames))
        })
        .await
        .inspect_err(|stop| report(shared, stop))?;
        if frames.is_empty() {
            return Ok(());
        }
        reader = again;
        for frame in frames {
            channel.write(frame).await?;
        }
    }
}

/// Damage needs a human.
fn report(shared: &VaultShared, stop: &TransferEnd) {
    if let (TransferEnd::Storage(why), Some(times)) = (stop, shared.often(Often::ImageUnreadable)) {
        tracing::error!(%why, "an image cannot be read{times}");
    }
}
