//! Waiting for a shard without blocking a thread.
//!
//! # Why no wake-up is lost
//!
//! Whoever waits registers, and then looks whether the lock is held; whoever frees the lock looks afterwards whether anybody
//! is registered. Between the two steps of either side stands a sequentially consistent fence, so at least one of them sees
//! the other: the waiter finds the lock free, or the holder finds the waiter.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::shard::ShardCell;

/// Who waits for a shard.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Somebody is registered.
    any: AtomicBool,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    /// Number of the newest registration.
    newest: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Waiting {
    /// Whether somebody is registered.
    pub(super) fn anyone(&self) -> bool {
        // Relaxed: a hint for how long to try.
        self.any.load(Ordering::Relaxed)
    }

    fn register(&self, waker: &Waker) -> u64 {
        let mut list = self.list.lock();
        list.newest += 1;
        let number = list.newest;
        list.wakers.insert(number, waker.clone());
        // Relaxed: ordered by the fence that follows each registration.
        self.any.store(true, Ordering::Relaxed);
        number
    }

    /// Whether `number` is still registered; then it is `waker` that will be woken.
    fn renew(&self, number: u64, waker: &Waker) -> bool {
        let mut list = self.list.lock();
        let registered = list.wakers.get_mut(&number);
        registered.map(|registered| registered.clone_from(waker)).is_some()
    }

    fn deregister(&self, number: u64) {
        self.list.lock().wakers.remove(&number);
    }

    #[cold]
    fn wake(&self) {
        let woken = {
            let mut list = self.list.lock();
            // Relaxed: registrations store it under the same lock.
            self.any.store(false, Ordering::Relaxed);
            std::mem::take(&mut list.wakers)
        };
        woken.into_values().for_each(Waker::wake);
    }
}

/// Wakes those who wait for a shard when dropped, which must be right after its lock was.
pub(crate) struct Freed<'e>(pub(super) &'e Waiting);

impl Drop for Freed<'_> {
    #[inline]
    fn drop(&mut self) {
        // See the module's text.
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence.
        if self.0.any.load(Ordering::Relaxed) {
            self.0.wake();
        }
    }
}

/// Ends when a shard is free, or has been since it was first polled: see [`Engine::shard_free`](super::Engine::shard_free).
/// Another may have taken it meanwhile.
#[must_use = "futures do nothing unless polled"]
pub struct ShardFree<'e> {
    cell: &'e ShardCell,
    registered: Option<u64>,
}

impl<'e> ShardFree<'e> {
    pub(super) fn new(cell: &'e ShardCell) -> ShardFree<'e> {
        ShardFree { cell, registered: None }
    }
}

impl Future for ShardFree<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = &self.cell.waiting;
        match self.registered {
            // Still registered: the holder has yet to come by.
            Some(number) if waiting.renew(number, cx.waker()) => return Poll::Pending,
            Some(_) => {
                self.registered = None;
                return Poll::Ready(());
            }
            None => {}
        }
        let number = waiting.register(cx.waker());
        // See the module's text.
        fence(Ordering::SeqCst);
        if self.cell.is_held() {
            self.registered = Some(number);
            return Poll::Pending;
        }
        waiting.deregister(number);
        Poll::Ready(())
    }
}

impl Drop for ShardFree<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.registered {
            self.cell.waiting.deregister(number);
        }
    }
}

impl std::fmt::Debug for ShardFree<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardFree").field("registered", &self.registered).finish_non_exhaustive()
    }
}
