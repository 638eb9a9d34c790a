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

/// One connection as others see it. Its session writes, anyone reads.
#[derive(Debug)]
pub struct Entry {
    id: u64,
    peer: Peer,
    since: Monotonic,
    active: AtomicU64,
    authenticated: AtomicBool,
    protocol: AtomicU8,
    /// Between MULTI and EXEC.
    in_multi: AtomicBool,
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

    pub(super) fn set_authenticated(&self, authenticated: bool) {
        self.authenticated.store(authenticated, Ordering::Relaxed);
    }

    pub(super) fn set_protocol(&self, version: u8) {
        self.protocol.store(version, Ordering::Relaxed);
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

    /// Whether it must be cut: silent for longer than `idle`, or a stranger for longer than `stranger`.
    pub(super) fn is_overdue(
        &self,
        now: Monotonic,
        idle: Option<std::time::Duration>,
        stranger: std::time::Duration,
    ) -> bool {
        let active = Monotonic(self.active.load(Ordering::Relaxed));
        let unknown = !self.authenticated.load(Ordering::Relaxed);
        idle.is_some_and(|idle| now.since(active) > idle) || (unknown && now.since(self.since) > stranger)
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
        let mut line = String::with_capacity(256);
        let _ = write!(
            line,
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db=0 sub=0 psub=0 ssub=0 multi={} cmd={} \
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
    entries: Mutex<BTreeMap<u64, Arc<Entry>>>,
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
        self.registry.entries.lock().remove(&self.entry.id);
    }
}

impl Registry {
    /// Takes a place for a client that comes at `now`; `None` when `connections_max` are taken.
    #[must_use]
    pub fn register(self: &Arc<Self>, peer: Peer, now: Monotonic, connections_max: usize) -> Option<Registration> {
        let mut entries = self.entries.lock();
        if entries.len() >= connections_max {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let entry = Arc::new(Entry {
            id: self.next_id.fetch_add(1, Ordering::Relaxed) + 1,
            authenticated: AtomicBool::new(peer.authenticated),
            peer,
            since: now,
            active: AtomicU64::new(now.0),
            protocol: AtomicU8::new(2),
            in_multi: AtomicBool::new(false),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            command: Mutex::new("NULL"),
            names: Mutex::default(),
            killed: AtomicBool::new(false),
            session: AtomicWaker::new(),
        });
        entries.insert(entry.id, Arc::clone(&entry));
        Some(Registration { registry: Arc::clone(self), entry })
    }

    /// Every connection, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.lock().values().cloned().collect()
    }

    /// Number of connections.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.lock().len()
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
    pub fn sweep(&self, now: Monotonic, idle: Option<std::time::Duration>, stranger: std::time::Duration) {
        self.entries
            .lock()
            .values()
            .filter(|entry| entry.is_overdue(now, idle, stranger))
            .for_each(|entry| entry.kill());
    }
}
