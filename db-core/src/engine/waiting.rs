//! Waiting for a shard without blocking a thread.
//!
//! # Why no wake-up is lost
//!
//! Whoever waits registers, and then looks whether the lock is held; whoever frees the lock looks afterwards whether anybody
//! is registered. Between the two steps of either side stands a sequentially consistent fence, so at least one of them sees
//! the other: the waiter finds the lock free, or the holder finds the waiter.
//!
//! # Who comes first
//!
//! Commands that take long would starve all others, for whom a shard is free for a moment at a time. So whoever waits for a
//! shard has a *claim* on it, from its registration until it has tried, and long commands begin only where nobody has one
//! ([`Engine::claimed`](super::Engine::claimed)). They cannot starve: a command has to wait only where a long one executes,
//! so without one the claims come to an end.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::shard::ShardCell;

/// Who waits for a shard.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Somebody is registered.
    any: AtomicBool,
    claims: AtomicU32,
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

    /// Whether somebody has a claim; see the module's text.
    pub(super) fn is_claimed(&self) -> bool {
        // Relaxed: registrations order it by their fence, and for others it is a hint.
        self.claims.load(Ordering::Relaxed) > 0
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
/// Another may have taken it meanwhile; polled again, it waits again.
#[must_use = "futures do nothing unless polled"]
pub struct ShardFree<'e> {
    cell: &'e ShardCell,
    rank: Rank,
    registered: Option<u64>,
    claim: Option<Claim<'e>>,
}

/// Who comes first when a shard is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// Commands, freezes.
    First,
    /// Commands that take long: they wait until nobody of the first rank does.
    Long,
}

impl<'e> ShardFree<'e> {
    pub(super) fn new(cell: &'e ShardCell, rank: Rank) -> ShardFree<'e> {
        ShardFree { cell, rank, registered: None, claim: None }
    }

    fn may_try(&self) -> bool {
        !self.cell.is_held() && (self.rank == Rank::First || !self.cell.waiting.is_claimed())
    }
}

impl Future for ShardFree<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = &self.cell.waiting;
        match self.registered {
            // Still registered: the holder has yet to come by.
            Some(number) if waiting.renew(number, cx.waker()) => return Poll::Pending,
            // Woken: its claim stays until it is dropped, or polled again.
            Some(_) if self.rank == Rank::First => {
                self.registered = None;
                return Poll::Ready(());
            }
            _ => {}
        }
        if self.rank == Rank::First && self.claim.is_none() {
            self.claim = Some(Claim::new(waiting));
        }
        let number = waiting.register(cx.waker());
        // See the module's text.
        fence(Ordering::SeqCst);
        if self.may_try() {
            waiting.deregister(number);
            self.registered = None;
            return Poll::Ready(());
        }
        self.registered = Some(number);
        Poll::Pending
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
        f.debug_struct("ShardFree")
            .field("rank", &self.rank)
            .field("registered", &self.registered)
            .finish_non_exhaustive()
    }
}

/// Counted in [`Waiting::claims`] until dropped; the last one wakes those who have none.
struct Claim<'e>(&'e Waiting);

impl<'e> Claim<'e> {
    fn new(waiting: &'e Waiting) -> Claim<'e> {
        // Relaxed, here and below: ordered by the fence that follows.
        waiting.claims.fetch_add(1, Ordering::Relaxed);
        Claim(waiting)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.0.claims.fetch_sub(1, Ordering::Relaxed) == 1 {
            drop(Freed(self.0));
        }
    }
}
