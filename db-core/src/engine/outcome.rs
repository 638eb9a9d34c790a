//! The outcome of executing a command: it has its reply, or its session waits for something.
//!
//! Commands on data and commands of the front use the same outcomes. The front decides what a session does while it waits.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::call::Reply;
use super::shard::Busy;
use crate::ids::{Lsn, ShardId};

/// What became of a command. Sixteen bytes: it is returned for every one.
#[derive(Debug)]
pub enum Executed {
    /// It was executed, and its reply is written.
    Replied(Replied),
    /// Nothing has happened, there is no reply, and the same arguments may be executed again later.
    Refused(Refused),
    /// It was executed as far as it could be, has changed nothing, and its reply depends on what comes.
    Blocked(Box<Blocked>),
    /// Its reply comes later, and needs no shard.
    Later(Box<Later>),
}

/// A command that has its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replied {
    /// The reply may leave when everything up to here is durable; [`Lsn::ZERO`]: at once. It is the command's own record
    /// or, if it wrote nothing, the newest that may have written what it looked at.
    pub lsn: Lsn,
    /// Whether it appended a record.
    pub wrote: bool,
    /// The redo queue was empty before that record: [`RedoQueue::wake`](crate::redo::RedoQueue::wake) is due, unless the caller is
    /// about to wait for the record, which wakes whoever ships it as well.
    pub wakes: bool,
}

/// Why a command was not executed, for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It may write and this engine does not (any more).
    NotWriting,
    /// It needs this shard, which a long command holds: wait for [`Engine::shard_free`](super::Engine::shard_free).
    Busy(ShardId),
    /// Its reply is [large](super::Session::set_large_bytes): an engine over a frozen version is to execute it.
    Large,
    /// It copies a large value: [`Engine::copy_in_pieces`](super::Engine::copy_in_pieces) is to be called, where it may take long, before it
    /// is executed again.
    InPieces,
}

/// What a blocked command waits for, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Blocked {
    /// What ends the wait.
    pub until: Until,
    /// Timeout, counted from its first execution; `None`: no timeout.
    pub timeout: Option<Duration>,
    /// Writes the reply of a command whose wait has timed out, or that may not wait at all.
    pub otherwise: WriteReply,
    /// What that reply depends on.
    pub lsn: Lsn,
}

/// What ends the wait of a blocked command.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// One of its keys: [`Session::poll_called`](super::Session::poll_called) says when to execute the same arguments again. They
    /// are executed a last time when the wait is over.
    Keys,
    /// Everything up to here is durable: then this is its reply.
    Durable(Lsn, WriteReply),
}

/// Writes one reply that is known beforehand.
pub type WriteReply = fn(&mut Reply);

/// A reply that somebody else makes.
pub struct Later {
    /// The reply's bytes, in the protocol that the session spoke.
    pub reply: Pin<Box<dyn Future<Output = Vec<u8>> + Send>>,
}

impl Executed {
    /// A command without data was executed.
    pub const AT_ONCE: Executed = Executed::Replied(Replied { lsn: Lsn::ZERO, wrote: false, wakes: false });

    /// A command whose reply `reply` makes.
    #[must_use]
    pub fn later(reply: impl Future<Output = Vec<u8>> + Send + 'static) -> Executed {
        Executed::Later(Box::new(Later { reply: Box::pin(reply) }))
    }

    /// What is to be known of its reply, if it has one.
    #[must_use]
    pub fn replied(&self) -> Option<Replied> {
        match self {
            Executed::Replied(replied) => Some(*replied),
            _ => None,
        }
    }

    /// Why it was not executed, if it was not.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        match self {
            Executed::Refused(refused) => Some(*refused),
            _ => None,
        }
    }
}

/// Of a command without data that has written its reply.
impl From<()> for Executed {
    fn from((): ()) -> Executed {
        Executed::AT_ONCE
    }
}

impl From<Busy> for Executed {
    fn from(Busy(shard): Busy) -> Executed {
        Executed::Refused(Refused::Busy(shard))
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}

const _: () = assert!(size_of::<Executed>() == 16);
