//! The registry entry of a connection: what other connections see of it (`CLIENT LIST`), and how they reach it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::Epoch;

use super::inbox::{Inbox, Message};
use super::limits::{OPERATOR_IDLE, OPERATOR_WAIT};

/// How a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The Redis protocol over TCP: a redirection is told in Redis's words.
    Resp,
    /// The client library over QUIC: a redirection is told in words that the library follows.
    Library,
    /// Another node, which forwards the commands of a client of its own for the primary of this epoch.
    Forwarded {
        /// Which.
        epoch: Epoch,
    },
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
    /// Whether another node forwards its commands.
    #[must_use]
    pub fn is_forwarded(&self) -> bool {
        matches!(self.way, Way::Forwarded { .. })
    }

    /// Whether its commands may be executed in `epoch`.
    #[must_use]
    pub fn is_served_in(&self, epoch: Epoch) -> bool {
        !matches!(self.way, Way::Forwarded { epoch: asked } if asked != epoch)
    }

    /// Whether its commands are for an epoch of which this node, at `epoch`, has yet to hear.
    #[must_use]
    pub fn comes_before(&self, epoch: Epoch) -> bool {
        matches!(self.way, Way::Forwarded { epoch: asked } if epoch < asked)
    }

    /// Whether it has come from this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.address.parse().is_ok_and(|address: SocketAddr| address.ip().is_loopback())
    }
}

/// What a connection may do here, by when it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Place {
    /// Within `maxclients`.
    Client = 0,
    /// Beyond it: has yet to show that it is an operator's.
    Beyond = 1,
    /// Beyond it, an operator's.
    Operator = 2,
}

/// How another client ends the wait of a blocked one (`CLIENT UNBLOCK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unblocked {
    /// As if its time were over.
    TimedOut,
    /// With an error.
    Failed,
}

/// Whether a session is blocked, and whether it has been unblocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Wait {
    None = 0,
    Blocked = 1,
    TimedOut = 2,
    Failed = 3,
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
    /// A [`Wait`].
    wait: AtomicU8,
    inbox: Inbox,
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
    /// A connection that comes at `now`.
    pub(super) fn new(id: u64, peer: Peer, place: Place, now: Monotonic) -> Entry {
        Entry {
            id,
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
            wait: AtomicU8::new(Wait::None as u8),
            inbox: Inbox::default(),
            session: AtomicWaker::new(),
        }
    }

    /// Whether messages reach its client: those of a forwarded one subscribe where they are connected.
    pub(super) fn takes_messages(&self) -> bool {
        !self.peer.is_forwarded()
    }

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

    pub(super) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Ready once [`kill`](Self::kill) has been called.
    pub(super) fn poll_killed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.session.register(cx.waker());
        if self.is_killed() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Its command is blocked, or no longer; that it has been unblocked is forgotten.
    pub(super) fn set_blocked(&self, blocked: bool) {
        let wait = if blocked { Wait::Blocked } else { Wait::None };
        self.wait.store(wait as u8, Ordering::Release);
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.wait.load(Ordering::Relaxed) != Wait::None as u8
    }

    /// Whether another client has ended the wait of its blocked command, and how.
    pub(super) fn unblocked(&self) -> Option<Unblocked> {
        match self.wait.load(Ordering::Acquire) {
            wait if wait == Wait::TimedOut as u8 => Some(Unblocked::TimedOut),
            wait if wait == Wait::Failed as u8 => Some(Unblocked::Failed),
            _ => None,
        }
    }

    /// Ends the wait of its blocked command. False if it is not blocked, or somebody else was first.
    pub(super) fn unblock(&self, how: Unblocked) -> bool {
        let wait = match how {
            Unblocked::TimedOut => Wait::TimedOut,
            Unblocked::Failed => Wait::Failed,
        };
        // Only the session itself leaves the other states, when its command has its reply.
        let blocked = Wait::Blocked as u8;
        let done = self.wait.compare_exchange(blocked, wait as u8, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if done {
            self.session.wake();
        }
        done
    }

    /// Sends the session a message. False if there is no room for it.
    #[must_use]
    pub(super) fn send(&self, message: Message) -> bool {
        let sent = self.inbox.put(message);
        if sent {
            self.session.wake();
        }
        sent
    }

    /// Whether the session has been sent a message that it has not taken.
    pub(super) fn has_messages(&self) -> bool {
        self.inbox.has_any()
    }

    /// The oldest message that the session has not taken.
    pub(super) fn take_message(&self) -> Option<Message> {
        self.inbox.take()
    }

    /// Whether it must be cut: silent for longer than `idle`, or not authenticated for longer than `unauthenticated`.
    pub(super) fn is_overdue(
        &self,
        now: Monotonic,
        idle: Option<std::time::Duration>,
        unauthenticated: std::time::Duration,
    ) -> bool {
        // A client that is forwarded is looked after by its own node.
        if self.peer.is_forwarded() || self.at_work.load(Ordering::Relaxed) || self.is_blocked() {
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

    /// It has a client's place now.
    pub(super) fn settle(&self) {
        self.place.store(Place::Client as u8, Ordering::Relaxed);
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
        if self.is_blocked() {
            flags.push('b');
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
