//! How far a pass over the file is, and the wish that it ends.

use std::io::{Error, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::progress::Progress;
use crate::exit::Failure;
use crate::shutdown::Shutdown;

/// How often progress is looked at.
const PERIOD: Duration = Duration::from_millis(100);

/// Bytes of the file that were read, and whether no more are wanted. Neither orders anything else.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    read: AtomicU64,
    stop: AtomicBool,
}

/// A reader that a [`Gauge`] watches.
#[derive(Debug)]
pub(super) struct Gauged<R> {
    from: R,
    gauge: Arc<Gauge>,
}

impl<R> Gauged<R> {
    pub(super) fn new(from: R, gauge: &Arc<Gauge>) -> Self {
        Gauged { from, gauge: Arc::clone(gauge) }
    }
}

impl<R: Read> Read for Gauged<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.gauge.stop.load(Ordering::Relaxed) {
            return Err(Error::other("stopped"));
        }
        let read = self.from.read(buffer)?;
        self.gauge.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Shows progress until `pass` has ended; `None` if somebody asks for the process's end before.
pub(super) async fn watched<T>(
    gauge: &Gauge,
    mut progress: Progress,
    shutdown: &Shutdown,
    pass: impl Future<Output = std::result::Result<T, Failure>>,
) -> std::result::Result<Option<T>, Failure> {
    let mut pass = std::pin::pin!(pass);
    let mut tick = tokio::time::interval(PERIOD);
    let ended = loop {
        tokio::select! {
            ended = &mut pass => break ended,
            () = shutdown.asked() => {
                gauge.stop.store(true, Ordering::Relaxed);
                progress.end();
                return Ok(None);
            }
            _ = tick.tick() => progress.show(gauge.read.load(Ordering::Relaxed)),
        }
    };
    progress.show(gauge.read.load(Ordering::Relaxed));
    progress.end();
    ended.map(Some)
}
