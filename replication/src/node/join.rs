//! The first phase of a node: from nothing to an engine with the newest image's content.

use std::sync::Arc;
use std::time::Duration;

use tanist_db_core::engine::{Engine, EngineOptions};

use super::image::ImageLoad;
use super::{LoadProgress, NodeError, NodeOptions};
use crate::actors::link::Dialer;
use crate::repeats::Repeats;
use crate::transport::rpc::{Channel, ControlClient, Priority, RpcError};
use crate::wire::frame::{FrameKind, HEADER_BYTES};
use crate::wire::message::{Answer, ImageView, Request};

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
                    tracing::warn!("loading the image: {why}; beginning again{times}");
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

async fn load(client: &ControlClient, options: &NodeOptions, progress: &LoadProgress) -> Result<Engine, Failure> {
    let mut channel = client.open_channel(Request::ImageGet, Priority::Bulk).await?;
    match channel.answer().await? {
        Answer::NoImage => {
            tracing::info!("no image yet: starting empty");
            Ok(Engine::new(EngineOptions {
                shards: options.shards,
                memory_bytes_max: options.memory_bytes_max,
                hash_seed: options.hash_seed,
            }))
        }
        Answer::Image(view) => restore(&mut channel, &view, options, progress).await,
        other => Err(Failure::Final(format!("the vault answers the request for an image with {other:?}"))),
    }
}

async fn restore(
    channel: &mut Channel,
    view: &ImageView,
    options: &NodeOptions,
    progress: &LoadProgress,
) -> Result<Engine, Failure> {
    let begun = options.clock.monotonic();
    progress.begin(view.bytes, begun);
    let wrong = |why| Failure::Unusable { cut: view.cut, why };
    let mut load = ImageLoad::new(view.clone());
    while load.missing() > 0 {
        let frame = channel.frame(FrameKind::Chunk).await.map_err(|error| match Failure::from(error) {
            Failure::Final(why) => wrong(load.wrong(&why)),
            lost => lost,
        })?;
        let Some(frame) = frame else {
            return Err(Failure::Lost(format!("the stream ended {} chunks before the image", load.missing())));
        };
        let chunk = &frame[HEADER_BYTES..];
        load.feed(chunk).map_err(wrong)?;
        progress.loaded(chunk.len());
    }
    let engine = load.finish(options.shards, options.memory_bytes_max).map_err(wrong)?;
    let took = options.clock.monotonic().since(begun);
    tracing::info!(
        "image at record {} loaded: {} keys, {:.1} MB in {:.0} ms",
        view.cut,
        engine.keys(),
        view.bytes as f64 / 1e6,
        took.as_secs_f64() * 1e3
    );
    Ok(engine)
}
