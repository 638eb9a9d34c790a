//! Waiting for a locked shard without blocking a thread.
//!
//! # Why no wake-up is lost
//!
//! A waiter registers, and then checks whether the lock is held; a holder releases the lock, and then checks for registered
//! waiters. Between the two steps of either side there is a sequentially consistent fence, so at least one of them sees the
//! other: the waiter finds the lock free, or the holder finds the waiter.
//!
//! # Who comes first
//!
//! Long commands would starve all others, which find a shard free only for a moment at a time. So each waiter has a *claim* on
//! its shard, from its registration until it has tried, and a long command begins only where there is no claim
//! ([`Engine::claimed`](super::Engine::claimed)). A shard may be claimed all the time (for example by commands on values of
//! hundreds of megabytes), so a long command yields for a bounded time only: after that it waits like the others ([`Rank`]).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::shard::ShardCell;

/// Who waits for a shard.
#[derive(Debug, Default)]
pub(crate) struct ShardWaiters {
    first: RankWaiters,
    long: RankWaiters,
    claims: AtomicU32,
}

/// Who waits with one rank.
#[derive(Debug, Default)]
struct RankWaiters {
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

impl ShardWaiters {
    /// Whether somebody of the first rank is registered.
    #[inline]
    pub(super) fn anyone(&self) -> bool {
        // Relaxed: a hint for how long to try, or ordered by a fence.
        self.first.any.load(Ordering::Relaxed)
    }

    /// Whether somebody is registered for whom a free shard would be news.
    #[inline]
    fn is_awaited(&self) -> bool {
        self.anyone() || (self.long.any.load(Ordering::Relaxed) && !self.is_claimed())
    }

    fn line(&self, rank: Rank) -> &RankWaiters {
        match rank {
            Rank::First => &self.first,
            Rank::Long => &self.long,
        }
    }

    #[cold]
    fn wake(&self) {
        self.first.wake();
        if !self.is_claimed() {
            self.long.wake();
        }
    }

    /// Whether somebody has a claim; see the module's text.
    pub(super) fn is_claimed(&self) -> bool {
        // Relaxed: registrations order it by their fence, and for others it is a hint.
        self.claims.load(Ordering::Relaxed) > 0
    }
}

impl RankWaiters {
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
pub(crate) struct Freed<'e>(pub(super) &'e ShardWaiters);

impl Drop for Freed<'_> {
    #[inline]
    fn drop(&mut self) {
        // See the module's text.
        fence(Ordering::SeqCst);
        if self.0.is_awaited() {
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
    /// From the beginning: whoever changes from one shard to another is never without one.
    _claim: Option<Claim<'e>>,
}

/// Who comes first when a shard is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// Commands, freezes; and long commands that have given way for long enough.
    First,
    /// Long commands: they wait until nobody of the first rank does.
    Long,
}

impl<'e> ShardFree<'e> {
    pub(super) fn new(cell: &'e ShardCell, rank: Rank) -> ShardFree<'e> {
        let claim = (rank == Rank::First).then(|| Claim::new(&cell.waiting));
        ShardFree { cell, rank, registered: None, _claim: claim }
    }

    fn may_try(&self) -> bool {
        !self.cell.is_held() && (self.rank == Rank::First || !self.cell.waiting.is_claimed())
    }
}

impl Future for ShardFree<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let line = self.cell.waiting.line(self.rank);
        match self.registered {
            // Still registered: the holder has yet to come by.
            Some(number) if line.renew(number, cx.waker()) => return Poll::Pending,
            // Woken: its claim stays until it is dropped, or polled again.
            Some(_) if self.rank == Rank::First => {
                self.registered = None;
                return Poll::Ready(());
            }
            _ => {}
        }
        let number = line.register(cx.waker());
        // See the module's text.
        fence(Ordering::SeqCst);
        if self.may_try() {
            line.deregister(number);
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
            self.cell.waiting.line(self.rank).deregister(number);
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

/// Counted in [`ShardWaiters::claims`] until dropped; the last one wakes those who have none.
struct Claim<'e>(&'e ShardWaiters);

impl<'e> Claim<'e> {
    fn new(waiting: &'e ShardWaiters) -> Claim<'e> {
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
