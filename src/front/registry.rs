//! Who is connected: for `CLIENT LIST`, `CLIENT KILL`, the bound on connections and the cut of idle ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tanist_db_core::clock::Monotonic;

use super::limits::{OPERATOR_IDLE, OPERATOR_PLACES, OPERATOR_WAIT};

/// How a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The Redis protocol over TCP: a redirection is told in Redis's words.
    Resp,
    /// The client library over QUIC: a redirection is told in words that the library follows.
    Library,
}

/// What is known of a client before its first word.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: String,
    /// The address of ours that it has reached.
    pub local: String,
    /// How it has come.
    pub way: Way,
    /// Its transport has proved who it is: no password is asked.
    pub authenticated: bool,
}

impl Peer {
    /// Whether it has come from this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.address.parse().is_ok_and(|address: SocketAddr| address.ip().is_loopback())
    }
}

/// What a connection may do here, by when it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Place {
    /// Within `maxclients`.
    Client = 0,
    /// Beyond it: has yet to show that it is an operator's.
    Beyond = 1,
    /// Beyond it, an operator's.
    Operator = 2,
}

/// One connection as others see it. Its session writes, anyone reads.
#[derive(Debug)]
pub struct Entry {
    id: u64,
    peer: Peer,
    since: Monotonic,
    active: AtomicU64,
    authenticated: AtomicBool,
    at_work: AtomicBool,
    /// A [`Place`].
    place: AtomicU8,
    protocol: AtomicU8,
    /// Between MULTI and EXEC.
    in_multi: AtomicBool,
    /// The database that is selected.
    database: AtomicU8,
    no_evict: AtomicBool,
    no_touch: AtomicBool,
    command: Mutex<&'static str>,
    names: Mutex<Names>,
    killed: AtomicBool,
    session: AtomicWaker,
}

#[derive(Debug, Default, Clone)]
struct Names {
    client: String,
    library: String,
    library_version: String,
}

/// One of the names that a client may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Its own (`CLIENT SETNAME`).
    Client,
    /// Its library's.
    Library,
    /// Its library's version.
    LibraryVersion,
}

impl Entry {
    /// Number of the connection, unique while the process lives.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What is known of the client.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The session has executed something at `now`, `command` last.
    pub(super) fn note(&self, now: Monotonic, command: Option<&'static str>, in_multi: bool) {
        self.active.store(now.0, Ordering::Relaxed);
        self.in_multi.store(in_multi, Ordering::Relaxed);
        if let Some(command) = command {
            *self.command.lock() = command;
        }
    }

    /// A command of it is executed elsewhere: until it is back, it is not idle.
    pub(super) fn set_at_work(&self, at_work: bool) {
        self.at_work.store(at_work, Ordering::Relaxed);
    }

    pub(super) fn set_authenticated(&self, authenticated: bool) {
        self.authenticated.store(authenticated, Ordering::Relaxed);
    }

    pub(super) fn set_protocol(&self, version: u8) {
        self.protocol.store(version, Ordering::Relaxed);
    }

    pub(super) fn set_database(&self, logical: u8) {
        self.database.store(logical, Ordering::Relaxed);
    }

    pub(super) fn set_no_evict(&self, on: bool) {
        self.no_evict.store(on, Ordering::Relaxed);
    }

    pub(super) fn set_no_touch(&self, on: bool) {
        self.no_touch.store(on, Ordering::Relaxed);
    }

    pub(super) fn set_name(&self, name: Name, value: &str) {
        let mut names = self.names.lock();
        let place = match name {
            Name::Client => &mut names.client,
            Name::Library => &mut names.library,
            Name::LibraryVersion => &mut names.library_version,
        };
        value.clone_into(place);
    }

    pub(super) fn client_name(&self) -> String {
        self.names.lock().client.clone()
    }

    /// Ends the connection: its session closes at its next turn.
    pub fn kill(&self) {
        // Release pairs with the load in `poll_killed`, which registers its waker first: one of the two sees the other.
        self.killed.store(true, Ordering::Release);
        self.session.wake();
    }

    /// Ready once [`kill`](Self::kill) has been called.
    pub(super) fn poll_killed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.session.register(cx.waker());
        if self.killed.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether it must be cut: silent for longer than `idle`, or not authenticated for longer than `unauthenticated`.
    pub(super) fn is_overdue(
        &self,
        now: Monotonic,
        idle: Option<std::time::Duration>,
        unauthenticated: std::time::Duration,
    ) -> bool {
        if self.at_work.load(Ordering::Relaxed) {
            return false;
        }
        let active = Monotonic(self.active.load(Ordering::Relaxed));
        let unknown = !self.authenticated.load(Ordering::Relaxed);
        let late = match self.place.load(Ordering::Relaxed) {
            place if place == Place::Beyond as u8 => now.since(self.since) > OPERATOR_WAIT,
            place if place == Place::Operator as u8 => now.since(active) > OPERATOR_IDLE,
            _ => false,
        };
        late || idle.is_some_and(|idle| now.since(active) > idle)
            || (unknown && now.since(self.since) > unauthenticated)
    }

    /// It has come when `maxclients` were there already, and no place was free since when it asked.
    pub(super) fn is_beyond(&self) -> bool {
        self.place.load(Ordering::Relaxed) != Place::Client as u8
    }

    /// An operator's command is executed in a place beyond `maxclients`.
    pub(super) fn note_operator(&self) {
        self.place.store(Place::Operator as u8, Ordering::Relaxed);
    }

    /// The line of `CLIENT LIST`, without its end.
    #[must_use]
    pub fn describe(&self, now: Monotonic) -> String {
        let mut flags = String::new();
        let in_multi = self.in_multi.load(Ordering::Relaxed);
        if in_multi {
            flags.push('x');
        }
        if self.no_evict.load(Ordering::Relaxed) {
            flags.push('e');
        }
        if self.no_touch.load(Ordering::Relaxed) {
            flags.push('T');
        }
        if flags.is_empty() {
            flags.push('N');
        }
        let names = self.names.lock().clone();
        let database = self.database.load(Ordering::Relaxed);
        let mut line = String::with_capacity(256);
        let _ = write!(
            line,
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db={database} sub=0 psub=0 ssub=0 multi={} cmd={} \
             user=default redir=-1 resp={} lib-name={} lib-ver={}",
            self.id,
            self.peer.address,
            self.peer.local,
            names.client,
            now.since(self.since).as_secs(),
            now.since(Monotonic(self.active.load(Ordering::Relaxed))).as_secs(),
            // Redis tells how many commands are queued; we only tell that some may be.
            if in_multi { 0 } else { -1 },
            *self.command.lock(),
            self.protocol.load(Ordering::Relaxed),
            names.library,
            names.library_version,
        );
        line
    }
}

/// All connections of a node.
#[derive(Debug, Default)]
pub struct Registry {
    next_id: AtomicU64,
    refused: AtomicU64,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_id: BTreeMap<u64, Arc<Entry>>,
    /// How many of them are not in a client's place; an entry leaves or enters one only under the lock.
    beyond: usize,
}

impl Entries {
    fn clients(&self) -> usize {
        self.by_id.len() - self.beyond
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
        entries.by_id.remove(&self.entry.id);
        entries.beyond -= usize::from(self.entry.is_beyond());
    }
}

impl Registry {
    /// Takes a place for a client that comes at `now`; `None` when `connections_max` are taken, and, over the Redis protocol, the places
    /// for operators too.
    #[must_use]
    pub fn register(self: &Arc<Self>, peer: Peer, now: Monotonic, connections_max: usize) -> Option<Registration> {
        let mut entries = self.entries.lock();
        let place = match peer.way {
            _ if entries.clients() < connections_max => Place::Client,
            Way::Resp if entries.beyond < OPERATOR_PLACES => Place::Beyond,
            _ => {
                self.note_refused();
                return None;
            }
        };
        let entry = Arc::new(Entry {
            id: self.next_id.fetch_add(1, Ordering::Relaxed) + 1,
            authenticated: AtomicBool::new(peer.authenticated),
            at_work: AtomicBool::new(false),
            place: AtomicU8::new(place as u8),
            peer,
            since: now,
            active: AtomicU64::new(now.0),
            protocol: AtomicU8::new(2),
            in_multi: AtomicBool::new(false),
            database: AtomicU8::new(0),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            command: Mutex::new("NULL"),
            names: Mutex::default(),
            killed: AtomicBool::new(false),
            session: AtomicWaker::new(),
        });
        entries.by_id.insert(entry.id, Arc::clone(&entry));
        entries.beyond += usize::from(place != Place::Client);
        Some(Registration { registry: Arc::clone(self), entry })
    }

    /// Gives `entry`, which is beyond `connections_max`, a client's place, if one has become free.
    pub(super) fn settle(&self, entry: &Entry, connections_max: usize) -> bool {
        let mut entries = self.entries.lock();
        let free = entries.clients() < connections_max;
        if free && entry.is_beyond() {
            entries.beyond -= 1;
            entry.place.store(Place::Client as u8, Ordering::Relaxed);
        }
        free
    }

    /// A client was told that there is no place.
    pub(super) fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
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
    use std::time::Duration;

    use futures_util::task::noop_waker_ref;

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
