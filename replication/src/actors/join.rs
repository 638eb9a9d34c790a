//! The first phase of a node: loads the newest image into a new engine.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tanist_db_core::engine::Engine;

use crate::node::{DownloadError, ImageDownload, LoadProgress, NodeError, NodeOptions};
use crate::repeats::Repeats;
use crate::transport::link::Dialer;
use crate::transport::rpc::{Channel, ControlClient, Priority, RpcError};
use crate::wire::frame::{FrameKind, HEADER_BYTES};
use crate::wire::message::Answer;

/// A node that has its state and does not take part yet.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The process's engine: follows, after the image's cut.
    pub engine: Arc<Engine>,
    /// Length of a lease, as the vault grants it.
    pub lease: Duration,
}

/// Waits for the vault, and loads the newest image, which `progress` tells of; an engine without content if there is none yet.
///
/// # Errors
/// If the vault refuses this process, or the image is damaged or not this cluster's. A vault that is away is waited for.
pub async fn join(options: &NodeOptions, progress: &LoadProgress) -> Result<Joined, NodeError> {
    let dialer = Dialer::new(Arc::clone(&options.credentials), options.vault.clone());
    let hello = options.hello();
    let mut damaged = None;
    let mut lost = Repeats::default();
    loop {
        let reached = dialer.until_reached(&hello, true, || |_| {}).await;
        let (client, welcome) = reached.map_err(|refusal| NodeError::Refused(refusal.why))?;
        match load(&client, options, progress).await {
            Ok(engine) => return Ok(Joined { engine: Arc::new(engine), lease: welcome.lease }),
            Err(Failure::Lost(why)) => {
                if let Some(times) = lost.happened(options.clock.monotonic(), &why) {
                    tracing::warn!("loading the image: {why}; starting over{times}");
                }
            }
            // The vault may have taken an old image away that was still being read: then there is a newer one. One that
            // fails twice is damaged.
            Err(Failure::Unusable { cut, why }) if damaged != Some(cut) => {
                tracing::warn!("{why}; trying once more");
                damaged = Some(cut);
            }
            Err(Failure::Unusable { why, .. }) => return Err(NodeError::Image(why)),
            Err(Failure::Final(why)) => return Err(NodeError::Image(why)),
        }
    }
}

enum Failure {
    /// The connection; nothing of the image was used.
    Lost(String),
    /// This image.
    Unusable {
        cut: u64,
        why: String,
    },
    Final(String),
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Failure {
        match error {
            RpcError::Refused(why) | RpcError::Protocol(why) => Failure::Final(why),
            lost => Failure::Lost(lost.to_string()),
        }
    }
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Failure {
        match error {
            DownloadError::Unusable { cut, why } => Failure::Unusable { cut, why },
            DownloadError::Final(why) => Failure::Final(why),
        }
    }
}

async fn load(client: &ControlClient, options: &NodeOptions, progress: &LoadProgress) -> Result<Engine, Failure> {
    let begun = options.clock.monotonic();
    let mut download = ImageDownload::new(options.engine());
    let mut channel = client.open_channel(ImageDownload::request(), Priority::Bulk).await?;
    let answer = channel.answer().await?;
    if let Answer::Image(view) = &answer {
        progress.begin(view.bytes, begun);
    }
    let mut made = download.answer(answer)?;
    let engine = loop {
        if let Some(engine) = made {
            break engine;
        }
        let chunk = next_chunk(&mut channel, &download).await?;
        made = download.chunk(&chunk)?;
        progress.loaded(chunk.len());
    };
    report(&engine, progress, options.clock.monotonic().since(begun));
    Ok(engine)
}

fn report(engine: &Engine, progress: &LoadProgress, took: Duration) {
    if progress.bytes_total() == 0 {
        return tracing::info!("no image yet: starting empty");
    }
    tracing::info!(
        "image at record {} loaded: {} keys, {:.1} MB in {:.0} ms",
        engine.last(),
        engine.keys(),
        progress.bytes_total() as f64 / 1e6,
        took.as_secs_f64() * 1e3
    );
}

async fn next_chunk(channel: &mut Channel, download: &ImageDownload) -> Result<Bytes, Failure> {
    let frame = channel.frame(FrameKind::Chunk).await.map_err(|error| match Failure::from(error) {
        Failure::Final(why) => download.wrong(why).into(),
        lost => lost,
    })?;
    let lost = || Failure::Lost(format!("the stream ended {} chunks before the image", download.missing()));
    Ok(frame.ok_or_else(lost)?.slice(HEADER_BYTES..))
}
