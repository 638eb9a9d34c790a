//! Futures that wait for a log position to become durable, or for a change of the node's role.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tanist_db_core::ids::Lsn;

use super::{Role, Serving, Version};
use crate::limits::SERVING_WAITERS_MAX;

/// Who waits, by position: the front of the map is whom the next `Durable` concerns. Those who only wait for a change stand
/// at the largest position.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next_id: u64,
    pub(super) by_position: BTreeMap<(Lsn, u64), Waker>,
}

/// No position: such a waiter is woken by changes of the role only.
pub(super) const NO_POSITION: Lsn = Lsn(u64::MAX);

impl Waiters {
    pub(super) fn await_positions(&self) -> bool {
        self.by_position.first_key_value().is_some_and(|((lsn, _), _)| *lsn != NO_POSITION)
    }
}

/// Why [`Serving::wait`] has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The position is durable.
    Durable,
    /// The version is another one: ask again what is allowed.
    Changed,
    /// The node is fenced: the position will never be known to be durable here.
    Stopped,
    /// More than [`SERVING_WAITERS_MAX`] wait already: give up on the connection.
    Crowded,
}

/// Future of [`Serving::wait`]. Cheap to make and to drop; holds a place among the waiters only while it is pending.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Wait<'a> {
    pub(super) serving: &'a Serving,
    pub(super) lsn: Lsn,
    pub(super) seen: Version,
    pub(super) registered: Option<u64>,
}

impl Wait<'_> {
    fn look(&self) -> Option<Woken> {
        if self.serving.durable() >= self.lsn {
            return Some(Woken::Durable);
        }
        if self.serving.role() == Role::Fenced {
            return Some(Woken::Stopped);
        }
        (self.serving.version() != self.seen).then_some(Woken::Changed)
    }
}

impl Future for Wait<'_> {
    type Output = Woken;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Woken> {
        if let Some(woken) = self.look() {
            self.registered = None;
            return Poll::Ready(woken);
        }
        let mut waiters = self.serving.waiters.lock();
        // The look that counts: see "Why no wake-up is lost".
        if let Some(woken) = self.look() {
            drop(waiters);
            self.registered = None;
            return Poll::Ready(woken);
        }
        let id = match self.registered {
            Some(id) => id,
            None if waiters.by_position.len() >= SERVING_WAITERS_MAX => return Poll::Ready(Woken::Crowded),
            None => {
                waiters.next_id += 1;
                waiters.next_id
            }
        };
        let demands = self.lsn != NO_POSITION && !waiters.await_positions();
        waiters.by_position.insert((self.lsn, id), cx.waker().clone());
        drop(waiters);
        self.registered = Some(id);
        if let (true, Some(demand)) = (demands, self.serving.demand.get()) {
            demand();
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.registered {
            self.serving.waiters.lock().by_position.remove(&(self.lsn, id));
        }
    }
}
