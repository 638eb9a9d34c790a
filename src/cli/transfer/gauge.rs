//! How far a pass is, and the wish that it ends.

use std::io::{Error, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::progress::Progress;
use crate::exit::Failure;
use crate::shutdown::Shutdown;

/// How often progress is looked at.
const PERIOD: Duration = Duration::from_millis(100);

/// How much is done, in the unit of the pass, and whether no more is wanted. Neither orders anything else.
#[derive(Debug, Default)]
pub(in crate::cli) struct Gauge {
    done: AtomicU64,
    stop: AtomicBool,
}

impl Gauge {
    /// So much more is done.
    pub(in crate::cli) fn add(&self, more: u64) {
        self.done.fetch_add(more, Ordering::Relaxed);
    }

    /// Whether the pass shall end.
    pub(in crate::cli) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A reader that a [`Gauge`] watches.
#[derive(Debug)]
pub(in crate::cli) struct Gauged<R> {
    from: R,
    gauge: Arc<Gauge>,
}

impl<R> Gauged<R> {
    pub(in crate::cli) fn new(from: R, gauge: &Arc<Gauge>) -> Self {
        Gauged { from, gauge: Arc::clone(gauge) }
    }
}

impl<R: Read> Read for Gauged<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.gauge.is_stopped() {
            return Err(Error::other("stopped"));
        }
        let read = self.from.read(buffer)?;
        self.gauge.add(read as u64);
        Ok(read)
    }
}

/// Shows progress until `pass` has ended; `None` if somebody asks for the process's end before.
pub(in crate::cli) async fn watched<T>(
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
            _ = tick.tick() => progress.show(gauge.done.load(Ordering::Relaxed)),
        }
    };
    progress.show(gauge.done.load(Ordering::Relaxed));
    progress.end();
    ended.map(Some)
}
