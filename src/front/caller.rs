//! The state of a client that connection commands change: its identity, its reply mode, whether it is disconnecting.

use std::any::Any;
use std::sync::Arc;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::{CommandSpec, CommandTable, Flag, Protocol, Reply};
use tanist_db_core::engine::{Front, Session};
use tanist_db_core::ids::Lsn;

use super::NodeContext;
use super::commands::COMMANDS;
use super::registry::{Entry, Registration};
use super::versions::{Pin, VersionReader};

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

/// A client's state except its transaction, which is in the engine's session. It goes with a command that is executed on another
/// thread.
pub(super) struct Caller {
    pub(super) context: Arc<NodeContext>,
    registration: Arc<Registration>,
    pub(super) authenticated: bool,
    replies: Replies,
    /// Asked for within EXEC: in force when its reply is complete, so that the array has as many members as it says.
    replies_after: Option<Replies>,
    /// Nothing more is read or executed; what may leave still does.
    pub(super) closing: bool,
    /// The command being executed is not within EXEC.
    pub(super) alone: bool,
    /// A client of a cluster that wants a standby to read for it (`READONLY`), rather than to name the primary.
    pub(super) reads_standby: bool,
    /// Newest record that this client has written.
    pub(super) last_write: Lsn,
    /// Time of the turn.
    pub(super) now: Monotonic,
    /// The version that its commands read.
    pub(super) pin: Option<Arc<Pin>>,
}

impl Caller {
    pub(super) fn new(context: &Arc<NodeContext>, registration: Registration) -> Self {
        let authenticated = registration.entry().peer().authenticated || context.settings.password().is_none();
        registration.entry().set_authenticated(authenticated);
        Self { authenticated, ..Self::at(Arc::clone(context), Arc::new(registration)) }
    }

    /// A placeholder while the state is on another thread with a command: then nothing else is executed for the client.
    pub(super) fn stand_in(&self) -> Self {
        let (context, registration) = (Arc::clone(&self.context), Arc::clone(&self.registration));
        Self { authenticated: self.authenticated, replies: self.replies, ..Self::at(context, registration) }
    }

    /// One of whom nothing is known.
    fn at(context: Arc<NodeContext>, registration: Arc<Registration>) -> Self {
        Self {
            now: context.clock.monotonic(),
            context,
            registration,
            authenticated: false,
            replies: Replies::On,
            replies_after: None,
            closing: false,
            alone: false,
            reads_standby: false,
            last_write: Lsn::ZERO,
            pin: None,
        }
    }

    /// The caller for which the engine runs a command of the front's.
    ///
    /// # Panics
    /// If it is somebody else's: the front's commands are in its own table only.
    pub(super) fn of(front: &mut dyn Front) -> &mut Caller {
        (front as &mut dyn Any).downcast_mut().expect("the front's commands run for its callers")
    }

    pub(super) fn entry(&self) -> &Entry {
        self.registration.entry()
    }

    pub(super) fn shared_entry(&self) -> &Arc<Entry> {
        self.registration.entry()
    }

    /// The reader of the version that the client has pinned, or why it was ended; nothing if it has pinned none.
    #[inline]
    pub(super) fn pinned(&self) -> Option<Result<Arc<VersionReader>, String>> {
        self.pin.as_ref().map(|pin| pin.reader())
    }

    /// Whether the client wants replies at all.
    pub(super) fn wants_replies(&self) -> bool {
        self.replies == Replies::On
    }

    pub(super) fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
        self.entry().set_authenticated(authenticated);
    }

    /// A command that `spec` describes is about to be executed.
    pub(super) fn begin(&mut self, spec: &CommandSpec, session: &Session) {
        self.before_reply();
        self.alone = !session.in_multi();
        if self.alone && spec.front().is_some() {
            // It may show the caller to itself, so it must not wait for the turn's end.
            self.note(Some(spec.name), session);
        }
    }

    /// Whether the client has come beyond `maxclients` and `spec` is no operator's command: it gets no place for it, unless one has
    /// become free.
    pub(super) fn is_turned_away(&self, spec: &CommandSpec) -> bool {
        if !self.entry().is_beyond() {
            return false;
        }
        let looks = matches!(spec.name, "info" | "role");
        if looks || spec.flags.has(Flag::Admin) {
            self.entry().note_operator();
            return false;
        }
        if spec.flags.has(Flag::NoAuth) || spec.name.starts_with("client|") {
            return false;
        }
        let (registry, settings) = (&self.context.registry, &self.context.settings);
        let turned_away = !registry.settle(self.entry(), settings.connections_max());
        if turned_away {
            registry.note_refused();
        }
        turned_away
    }

    /// A reply is about to be written: one that the command before has asked to be skipped?
    pub(super) fn before_reply(&mut self) {
        if self.replies == Replies::SkipNext {
            self.replies = Replies::SkipThis;
        }
    }

    /// `CLIENT REPLY`: outside of EXEC at once.
    pub(super) fn choose_replies(&mut self, chosen: Replies, reply: &mut Reply) {
        let alone = self.alone;
        let replies = if alone { &mut self.replies } else { self.replies_after.get_or_insert(self.replies) };
        if (chosen, *replies) != (Replies::SkipNext, Replies::Off) {
            *replies = chosen;
        }
        if !alone || chosen == Replies::On {
            reply.ok();
        }
    }

    /// Replies as at the start, but for one that is to be skipped: as Redis resets them.
    pub(super) fn reset_replies(&mut self) {
        if self.replies != Replies::SkipThis {
            self.replies = Replies::On;
        }
    }

    /// Whether the client wants the reply that has been written. That of EXEC is one reply: all of it leaves if it is wanted
    /// before or after what EXEC has changed.
    pub(super) fn take_reply(&mut self) -> bool {
        let wanted = self.replies == Replies::On;
        if self.replies == Replies::SkipThis {
            self.replies = Replies::On;
        }
        match self.replies_after.take() {
            None => wanted,
            Some(after) => {
                self.replies = after;
                wanted || after == Replies::On
            }
        }
    }

    /// Publishes the state after a turn (`CLIENT LIST`), in which `command` was the last.
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
    fn commands(&self) -> &'static CommandTable {
        &COMMANDS
    }
}
