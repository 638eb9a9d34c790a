//! One client as the connection commands see it: who it is, what it has asked to be told, whether it is leaving.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::{CommandSpec, FrontCommand, Protocol, Reply};
use tanist_db_core::engine::{Front, Session};
use tanist_db_core::ids::Lsn;

use super::NodeContext;
use super::commands;
use super::registry::{Entry, Registration};

/// Which replies the client wants (`CLIENT REPLY`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    On,
    Off,
    /// Not to this command, but to the next.
    SkipThis,
    /// Not to this command nor to the next.
    SkipNext,
}

/// A client's state beside its transaction, which the engine's session holds. It goes with a command that is executed on
/// another thread.
pub(super) struct Caller {
    pub(super) context: Arc<NodeContext>,
    registration: Arc<Registration>,
    pub(super) authenticated: bool,
    pub(super) replies: Replies,
    /// Nothing more is read or executed; what may leave still does.
    pub(super) closing: bool,
    /// The command being executed, unless it is within EXEC: only such a one may wait.
    pub(super) alone: Option<FrontCommand>,
    /// Set by `WAIT`: how long its reply may be held; `None` within: for ever.
    pub(super) wait: Option<Option<Duration>>,
    /// Set by a command that takes its time: nothing is executed until its reply is there.
    pub(super) action: Option<BoxFuture<'static, Result<String, String>>>,
    /// Newest record that this client has written.
    pub(super) last_write: Lsn,
    /// Time of the turn.
    pub(super) now: Monotonic,
}

impl Caller {
    pub(super) fn new(context: &Arc<NodeContext>, registration: Registration) -> Self {
        let authenticated = registration.entry().peer().authenticated || context.settings.password().is_none();
        registration.entry().set_authenticated(authenticated);
        Self {
            context: Arc::clone(context),
            registration: Arc::new(registration),
            authenticated,
            replies: Replies::On,
            closing: false,
            alone: None,
            wait: None,
            action: None,
            last_write: Lsn::ZERO,
            now: context.clock.monotonic(),
        }
    }

    /// Stands for this one while it is away with a command: then nothing else is executed for the client.
    pub(super) fn stand_in(&self) -> Self {
        Self {
            context: Arc::clone(&self.context),
            registration: Arc::clone(&self.registration),
            authenticated: self.authenticated,
            replies: self.replies,
            closing: false,
            alone: None,
            wait: None,
            action: None,
            last_write: self.last_write,
            now: self.now,
        }
    }

    pub(super) fn entry(&self) -> &Entry {
        self.registration.entry()
    }

    pub(super) fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
        self.entry().set_authenticated(authenticated);
    }

    /// A command that `spec` describes is about to be executed.
    pub(super) fn begin(&mut self, spec: &CommandSpec, session: &Session) {
        self.before_reply();
        self.alone = if session.in_multi() { None } else { spec.front() };
        if self.alone.is_some() {
            // It may show the caller to itself, so it must not wait for the turn's end.
            self.note(Some(spec.name), session);
        }
    }

    /// A reply is about to be written: one that the command before has asked to be skipped?
    pub(super) fn before_reply(&mut self) {
        if self.replies == Replies::SkipNext {
            self.replies = Replies::SkipThis;
        }
    }

    /// Whether the client wants the reply that has been written.
    pub(super) fn take_reply(&mut self) -> bool {
        match self.replies {
            Replies::On => true,
            Replies::Off | Replies::SkipNext => false,
            Replies::SkipThis => {
                self.replies = Replies::On;
                false
            }
        }
    }

    /// Tells others of the turn, in which `command` was the last.
    pub(super) fn note(&self, command: Option<&'static str>, session: &Session) {
        self.entry().note(self.now, command, session.in_multi());
    }

    /// From the reply at hand on, `protocol` is spoken.
    pub(super) fn set_protocol(&mut self, protocol: Protocol, session: &mut Session, reply: &mut Reply) {
        session.set_protocol(protocol);
        reply.set_protocol(protocol);
        self.entry().set_protocol(version_of(protocol));
    }
}

/// The number that stands for a protocol in `HELLO`.
pub(super) fn version_of(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    }
}

impl Front for Caller {
    fn run(&mut self, command: FrontCommand, args: &[&[u8]], session: &mut Session, reply: &mut Reply) {
        commands::run(self, command, args, session, reply);
    }
}
