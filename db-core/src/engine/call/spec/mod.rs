//! The type of a command's spec.

mod argument;
mod flags;
mod keys;

use std::time::Duration;

use super::args::Call;
use super::failure::{Failure, Outcome};
use super::reply::Reply;
use crate::engine::{Data, Executed, Front, Session, WriteReply};
use crate::value::Kind;

pub use argument::{Argument, ArgumentKind};
pub use flags::{Flag, Flags};
pub(crate) use keys::KeyRange;
pub use keys::{Begin, Find, KeySpec, KeyUse};

/// Family of a command, for `COMMAND DOCS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Any type of value.
    Generic,
    /// Strings.
    String,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Hashes.
    Hash,
    /// Places on the earth.
    Geo,
    /// Strings as arrays of bits.
    Bitmap,
    /// Strings as HyperLogLogs.
    HyperLogLog,
    /// Streams.
    Stream,
    /// The connection itself.
    Connection,
    /// The server as a whole.
    Server,
    /// MULTI and its relatives.
    Transactions,
    /// What clients ask a cluster.
    Cluster,
    /// What clients ask a Sentinel.
    Sentinel,
    /// Tanist's own.
    Module,
}

impl Group {
    /// Name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Geo => "geo",
            Group::Bitmap => "bitmap",
            Group::HyperLogLog => "hyperloglog",
            Group::Stream => "stream",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Transactions => "transactions",
            Group::Cluster => "cluster",
            Group::Sentinel => "sentinel",
            Group::Module => "module",
        }
    }
}

/// Category of access control that a command names itself; those that follow from its flags are added by
/// [`CommandSpec::categories`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Any key.
    Keyspace,
    /// Strings.
    String,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Hashes.
    Hash,
    /// Places on the earth.
    Geo,
    /// Strings as arrays of bits.
    Bitmap,
    /// Strings as HyperLogLogs.
    HyperLogLog,
    /// Streams.
    Stream,
    /// The connection.
    Connection,
    /// MULTI and its relatives.
    Transaction,
    /// For operators.
    Admin,
    /// Can hurt when used carelessly.
    Dangerous,
}

/// Commands that steer a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
}

/// What runs a command, and under which locks.
pub(crate) type HandlerFn = fn(&mut Data<'_>, &Call<'_>, &mut Reply) -> Outcome;

/// What runs a command that may wait for its keys.
pub(crate) struct Blocking {
    /// The type of value that it waits for.
    pub(crate) kind: Kind,
    /// Its wait ends with an error if one of its keys is lost, or what it needs there.
    pub(crate) minds_loss: bool,
    /// How it waits, by its arguments.
    pub(crate) block: fn(&Call<'_>) -> Result<Block, Failure>,
    /// Writes one reply if the keys have what it needs. Otherwise it changes nothing, and is false.
    pub(crate) run: fn(&mut Data<'_>, &Call<'_>, &mut Reply) -> Result<bool, Failure>,
    /// Returns what stands in the place of arguments that mean a moment, when it begins to wait.
    pub(crate) fix: Option<FixArgs>,
}

/// Arguments by their positions.
pub(crate) type FixArgs = fn(&Data<'_>, &Call<'_>) -> Vec<(usize, Vec<u8>)>;

/// How a command waits.
pub(crate) struct Block {
    /// Timeout of the wait; `None`: no timeout.
    pub(crate) timeout: Option<Duration>,
    /// Writes the reply of a command whose wait has timed out.
    pub(crate) otherwise: WriteReply,
    /// Writes the reply of a command that may not wait.
    pub(crate) at_once: WriteReply,
    /// How many keys it waits for, from the first one on.
    pub(crate) keys: usize,
}

impl Block {
    /// Waits for any of all keys; without one the reply is no array.
    pub(crate) const fn of_all_keys(timeout: Option<Duration>) -> Block {
        Block { timeout, otherwise: |reply| reply.null_array(), at_once: |reply| reply.null_array(), keys: usize::MAX }
    }
}

impl Blocking {
    /// Runs the command where it may not wait.
    pub(crate) fn run_at_once(&self, data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
        let block = (self.block)(call)?;
        if !(self.run)(data, call, reply)? {
            (block.at_once)(reply);
        }
        Ok(())
    }
}

/// What runs a command that concerns the connection, the node or its settings. It writes exactly one reply if it is
/// [`Executed::Replied`], and otherwise none that counts. Inside
/// EXEC shard locks are held: of the engine it may call only [`Engine::last`], [`Engine::keys`], [`Engine::expiring`],
/// [`Engine::databases`], [`Engine::memory_bytes`] and [`Engine::redo`].
///
/// [`Engine::last`]: crate::engine::Engine::last
/// [`Engine::keys`]: crate::engine::Engine::keys
/// [`Engine::expiring`]: crate::engine::Engine::expiring
/// [`Engine::databases`]: crate::engine::Engine::databases
/// [`Engine::memory_bytes`]: crate::engine::Engine::memory_bytes
/// [`Engine::redo`]: crate::engine::Engine::redo
pub type FrontRun = fn(&mut dyn Front, &Call<'_>, &mut Session, &mut Reply) -> Result<Executed, Failure>;

/// Who runs a command.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// Needs the shards of its keys.
    Keys(HandlerFn),
    /// Needs the whole keyspace.
    Whole(HandlerFn),
    /// Needs the whole keyspace if the function says so of the arguments, and else the shards of its keys.
    KeysOrWhole(HandlerFn, fn(&[&[u8]]) -> bool),
    /// Needs the shard that its cursor names.
    Cursor(HandlerFn),
    /// Needs the shards of its keys, and may wait until one of them is there.
    Blocking(&'static Blocking),
    /// Likewise if the function says so of the arguments, and else needs the shards of its keys.
    KeysOrBlocking(HandlerFn, &'static Blocking, fn(&[&[u8]]) -> bool),
    /// Needs no data.
    Free(HandlerFn),
    /// The caller of the engine runs it.
    Front(FrontRun),
    /// The session's transaction.
    Control(Control),
}

impl Handler {
    /// Whether a call may need shards in which none of its keys lie.
    pub(crate) fn needs_more_than_keys(self, args: &[&[u8]]) -> bool {
        match self {
            Handler::Whole(_) | Handler::Cursor(_) => true,
            Handler::KeysOrWhole(_, whole) => whole(args),
            _ => false,
        }
    }
}

/// Everything there is to say about a command.
#[derive(Clone, Copy)]
pub struct CommandSpec {
    /// In lower case; a subcommand's is `container|name`.
    pub name: &'static str,
    /// Number of arguments with the name; at least that many when negative.
    pub arity: i8,
    /// What it may do and when.
    pub flags: Flags,
    /// Where its keys are, and what it does with them.
    pub keys: &'static [KeySpec],
    /// The argument that names a member of its key's collection, the first if there are several; 0 for none. A hint.
    pub member: u8,
    /// Executed between MULTI and EXEC too, rather than queued.
    pub at_once: bool,
    /// May look at as many members as its keys hold, and is no read, which is given up where it proves to be long.
    pub(crate) searches: bool,
    /// What a client that spreads keys over several servers should know, in the protocol's words.
    pub tips: &'static [&'static str],
    /// Its family.
    pub group: Group,
    /// Version of Redis that brought it.
    pub since: &'static str,
    /// Categories that it names itself.
    pub own_categories: &'static [Category],
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// Its arguments.
    pub arguments: &'static [Argument],
    /// Its subcommands, if it is a container.
    pub subcommands: &'static [CommandSpec],
    pub(crate) handler: Handler,
}

impl std::fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CommandSpec").field(&self.name).finish()
    }
}

/// Starts the record of a command that the caller of the engine runs; the methods of [`CommandSpec`] fill in the rest.
#[must_use]
pub const fn front_command(
    name: &'static str,
    arity: i8,
    flags: &[Flag],
    group: Group,
    since: &'static str,
    run: FrontRun,
) -> CommandSpec {
    spec(name, arity, flags, group, since, Handler::Front(run))
}

/// Starts a record; the methods of [`CommandSpec`] fill in the rest.
pub(crate) const fn spec(
    name: &'static str,
    arity: i8,
    flags: &[Flag],
    group: Group,
    since: &'static str,
    handler: Handler,
) -> CommandSpec {
    CommandSpec {
        name,
        arity,
        flags: Flags::of(flags),
        keys: &[],
        member: 0,
        at_once: false,
        searches: false,
        tips: &[],
        group,
        since,
        own_categories: &[],
        summary: "",
        complexity: "",
        arguments: &[],
        subcommands: &[],
        handler,
    }
}

impl CommandSpec {
    /// Its keys.
    #[must_use]
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    /// Its arguments.
    #[must_use]
    pub const fn arguments(mut self, arguments: &'static [Argument]) -> Self {
        self.arguments = arguments;
        self
    }

    /// It is executed between MULTI and EXEC too, rather than queued.
    #[must_use]
    pub const fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    /// It writes, and may look at as many members as its keys hold.
    #[must_use]
    pub(crate) const fn searches(mut self) -> Self {
        self.searches = true;
        self
    }

    /// What a client that spreads keys over several servers should know.
    #[must_use]
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// Categories that it names itself.
    #[must_use]
    pub const fn categories_own(mut self, own: &'static [Category]) -> Self {
        self.own_categories = own;
        self
    }

    /// The argument that names a member of its key's collection, usually.
    #[must_use]
    pub(crate) const fn member(mut self, at: u8) -> Self {
        self.member = at;
        self
    }

    /// What it does, and what it costs.
    #[must_use]
    pub const fn doc(mut self, summary: &'static str, complexity: &'static str) -> Self {
        self.summary = summary;
        self.complexity = complexity;
        self
    }

    /// Its subcommands.
    #[must_use]
    pub const fn subcommands(mut self, subcommands: &'static [CommandSpec]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// The first of the keys among `args`, those of a whole call; `None` if it has none, or its arguments are no good.
    #[must_use]
    pub fn first_key<'a>(&self, args: &[&'a [u8]]) -> Option<&'a [u8]> {
        let mut first = None;
        for part in self.keys {
            let visited = part.each(args, |at| {
                first = first.or(Some(args[at]));
                Ok(())
            });
            visited.ok()?;
        }
        first
    }

    /// Whether it may change the keyspace.
    #[must_use]
    pub const fn writes(&self) -> bool {
        self.flags.has(Flag::Write) || self.flags.has(Flag::MayReplicate)
    }

    /// Whether it reads or writes data: such a command needs the primary.
    #[must_use]
    pub const fn touches_data(&self) -> bool {
        matches!(
            self.handler,
            Handler::Keys(_)
                | Handler::Whole(_)
                | Handler::KeysOrWhole(..)
                | Handler::Cursor(_)
                | Handler::Blocking(_)
                | Handler::KeysOrBlocking(..)
                | Handler::Control(Control::Exec | Control::Watch)
        )
    }

    /// How long a call waits for its keys at most; `None` if it does not, or has no timeout.
    #[must_use]
    pub fn timeout(&'static self, args: &[&[u8]]) -> Option<Duration> {
        let blocking = match self.handler {
            Handler::Blocking(blocking) => blocking,
            Handler::KeysOrBlocking(_, blocking, waits) if waits(args) => blocking,
            _ => return None,
        };
        (blocking.block)(&Call::without_keys(self, args)).ok()?.timeout
    }

    /// Whether it is queued between MULTI and EXEC rather than executed.
    #[must_use]
    pub const fn is_queued_in_multi(&self) -> bool {
        !self.at_once
            && !matches!(
                self.handler,
                Handler::Control(Control::Multi | Control::Exec | Control::Discard | Control::Watch)
            )
    }

    /// Whether it is EXEC, which ends a transaction even when it is refused.
    #[must_use]
    pub const fn is_exec(&self) -> bool {
        matches!(self.handler, Handler::Control(Control::Exec))
    }

    /// Who runs it, if it is the caller of the engine.
    #[must_use]
    pub const fn front(&self) -> Option<FrontRun> {
        match self.handler {
            Handler::Front(run) => Some(run),
            _ => None,
        }
    }

    /// Whether `count` arguments, name included, are as many as it takes.
    #[must_use]
    pub const fn takes(&self, count: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 { count == wanted } else { count >= wanted }
    }

    /// All categories of access control, `@` included: those it names and those that follow from its flags.
    pub fn categories(&self) -> impl Iterator<Item = &'static str> {
        let own = self.own_categories;
        let flags = self.flags;
        let admin = own.contains(&Category::Admin) || flags.has(Flag::Admin);
        [
            (own.contains(&Category::Keyspace), "@keyspace"),
            (flags.has(Flag::Readonly), "@read"),
            (flags.has(Flag::Write), "@write"),
            (own.contains(&Category::String), "@string"),
            (own.contains(&Category::List), "@list"),
            (own.contains(&Category::Set), "@set"),
            (own.contains(&Category::SortedSet), "@sortedset"),
            (own.contains(&Category::Hash), "@hash"),
            (own.contains(&Category::Geo), "@geo"),
            (own.contains(&Category::Bitmap), "@bitmap"),
            (own.contains(&Category::HyperLogLog), "@hyperloglog"),
            (own.contains(&Category::Stream), "@stream"),
            (admin, "@admin"),
            (flags.has(Flag::Fast), "@fast"),
            (!flags.has(Flag::Fast), "@slow"),
            (flags.has(Flag::Blocking), "@blocking"),
            (own.contains(&Category::Dangerous) || flags.has(Flag::Admin), "@dangerous"),
            (own.contains(&Category::Connection), "@connection"),
            (own.contains(&Category::Transaction), "@transaction"),
        ]
        .into_iter()
        .filter_map(|(member, name)| member.then_some(name))
    }
}
