//! The registry of connections: for `CLIENT LIST`, `CLIENT KILL`, messages, `maxclients` and the timeout of idle connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tanist_db_core::clock::Monotonic;
use tracing::warn;

use super::entry::Place;
pub use super::entry::{Entry, Name, Peer, Way};
use super::inbox::Message;
use super::limits::{INBOX_BYTES_MAX, OPERATOR_PLACES};

/// All connections of a node.
#[derive(Debug, Default)]
pub struct Registry {
    next_id: AtomicU64,
    refused: AtomicU64,
    cut_off: AtomicU64,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_id: BTreeMap<u64, Arc<Entry>>,
    /// How many of them are not in a client's place; an entry leaves or enters one only under the lock.
    beyond: usize,
    /// How many are clients of another node, which counts them.
    forwarded: usize,
}

impl Entries {
    fn clients(&self) -> usize {
        self.by_id.len() - self.beyond - self.forwarded
    }
}

/// A place among the connections, given back when dropped.
#[derive(Debug)]
pub struct Registration {
    registry: Arc<Registry>,
    entry: Arc<Entry>,
}

impl Registration {
    /// The connection's entry.
    #[must_use]
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut entries = self.registry.entries.lock();
        entries.by_id.remove(&self.entry.id());
        entries.beyond -= usize::from(self.entry.is_beyond());
        entries.forwarded -= usize::from(self.entry.peer().is_forwarded());
    }
}

impl Registry {
    /// Reserves a place for a client that connects at `now`; `None` when `connections_max` are taken, and, over the Redis
    /// protocol, the places for operators too.
    #[must_use]
    pub fn register(self: &Arc<Self>, peer: Peer, now: Monotonic, connections_max: usize) -> Option<Registration> {
        let mut entries = self.entries.lock();
        let is_forwarded = peer.is_forwarded();
        let place = match peer.way {
            _ if is_forwarded || entries.clients() < connections_max => Place::Client,
            Way::Resp if entries.beyond < OPERATOR_PLACES => Place::Beyond,
            _ => {
                self.note_refused();
                return None;
            }
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Arc::new(Entry::new(id, peer, place, now));
        entries.by_id.insert(id, Arc::clone(&entry));
        entries.beyond += usize::from(place != Place::Client);
        entries.forwarded += usize::from(is_forwarded);
        Some(Registration { registry: Arc::clone(self), entry })
    }

    /// Moves `entry`, which is beyond `connections_max`, to a regular place, if one has become free.
    pub(super) fn settle(&self, entry: &Entry, connections_max: usize) -> bool {
        let mut entries = self.entries.lock();
        let free = entries.clients() < connections_max;
        if free && entry.is_beyond() {
            entries.beyond -= 1;
            entry.settle();
        }
        free
    }

    /// A client was told that there is no place.
    pub(super) fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The connection of that number.
    pub(super) fn find(&self, id: u64) -> Option<Arc<Entry>> {
        self.entries.lock().by_id.get(&id).cloned()
    }

    /// Sends a message to the connection of that number; false if there is none. Never waits: a connection that leaves too many
    /// untaken is cut off.
    pub(super) fn send(&self, id: u64, message: Message) -> bool {
        let Some(entry) = self.find(id).filter(|entry| entry.takes_messages()) else { return false };
        if !entry.send(message) {
            self.cut_off(&entry, &format!("it leaves more than {INBOX_BYTES_MAX} bytes of messages untaken"));
        }
        true
    }

    /// Ends a connection that would miss a message or does not take its large reply: its client is to know that.
    pub(super) fn cut_off(&self, entry: &Entry, why: &str) {
        if !entry.is_killed() {
            self.cut_off.fetch_add(1, Ordering::Relaxed);
            warn!(client = entry.id(), address = entry.peer().address, "a connection is cut off: {why}");
            entry.kill();
        }
    }

    /// Connections that were [cut off](Self::cut_off).
    #[must_use]
    pub fn cut_offs(&self) -> u64 {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// Number of connections with a blocked command.
    #[must_use]
    pub fn blocked(&self) -> usize {
        self.entries.lock().by_id.values().filter(|entry| entry.is_blocked()).count()
    }

    /// Every connection, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.lock().by_id.values().cloned().collect()
    }

    /// Number of connections, operators' beyond the bound included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.lock().by_id.len()
    }

    /// Connections ever taken.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    /// Connections refused because there were too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Ends the connections that are idle for too long or have not said who they are in time.
    pub fn sweep(&self, now: Monotonic, idle: Option<std::time::Duration>, unauthenticated: std::time::Duration) {
        self.entries
            .lock()
            .by_id
            .values()
            .filter(|entry| entry.is_overdue(now, idle, unauthenticated))
            .for_each(|entry| entry.kill());
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;
    use std::time::Duration;

    use futures_util::task::noop_waker_ref;

    use super::super::limits::{OPERATOR_IDLE, OPERATOR_WAIT};
    use super::*;

    fn come(registry: &Arc<Registry>, way: Way, connections_max: usize) -> Option<Registration> {
        let peer = Peer { address: "a:1".into(), local: "b:2".into(), way, authenticated: true };
        registry.register(peer, Monotonic(0), connections_max)
    }

    fn is_cut(place: &Registration) -> bool {
        place.entry().poll_killed(&mut Context::from_waker(noop_waker_ref())).is_ready()
    }

    #[test]
    fn whoever_takes_an_operators_place_and_is_none_gives_it_back() {
        let registry = Arc::new(Registry::default());
        let client = come(&registry, Way::Resp, 1).expect("a place");
        assert!(come(&registry, Way::Library, 1).is_none(), "only the Redis protocol has places beyond");
        let waits = come(&registry, Way::Resp, 1).expect("a place beyond");
        let operator = come(&registry, Way::Resp, 1).expect("a place beyond");
        operator.entry().note_operator();
        let sweep = |after| registry.sweep(Monotonic(0).after(after), None, Duration::from_secs(3600));
        sweep(OPERATOR_WAIT + Duration::from_secs(1));
        assert_eq!([&client, &waits, &operator].map(is_cut), [false, true, false]);
        sweep(OPERATOR_IDLE + Duration::from_secs(1));
        assert_eq!([&client, &waits, &operator].map(is_cut), [false, true, true]);
        drop((client, waits));
        assert!(registry.settle(operator.entry(), 1) && !operator.entry().is_beyond(), "a client has left");
        assert!(come(&registry, Way::Library, 1).is_none());
        drop(operator);
        assert!(come(&registry, Way::Library, 1).is_some() && registry.refused() == 2);
    }
}
