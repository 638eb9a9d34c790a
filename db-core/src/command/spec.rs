//! The shape of a command's record.

use super::args::Call;
use super::failure::Outcome;
use super::reply::Reply;
use crate::engine::Data;

/// What a command may do and when it may run; the names are those of `COMMAND INFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Flag {
    /// May change the keyspace.
    Write = 1,
    /// Reads the keyspace and never changes it.
    Readonly = 1 << 1,
    /// May need memory: refused above `maxmemory`.
    DenyOom = 1 << 2,
    /// Constant or logarithmic time.
    Fast = 1 << 3,
    /// For operators.
    Admin = 1 << 4,
    /// Not from a script.
    NoScript = 1 << 5,
    /// Allowed while data is being loaded.
    Loading = 1 << 6,
    /// Allowed on a replica that has lost its primary.
    Stale = 1 << 7,
    /// Allowed before authentication.
    NoAuth = 1 << 8,
    /// Refused inside MULTI.
    NoMulti = 1 << 9,
    /// May wait.
    Blocking = 1 << 10,
    /// Touches keys that are not among its arguments.
    TouchesArbitraryKeys = 1 << 11,
    /// Kept out of the log of slow commands.
    SkipSlowlog = 1 << 12,
    /// Allowed while a script runs too long.
    AllowBusy = 1 << 13,
    /// Also known to Sentinel in Redis; listed for the comparison with Redis's table only.
    Sentinel = 1 << 14,
    /// For tests of clients and servers: refused unless the node's settings allow it.
    Protected = 1 << 15,
}

impl Flag {
    /// Every flag with its name on the wire.
    pub(crate) const NAMES: &'static [(Flag, &'static str)] = &[
        (Flag::Write, "write"),
        (Flag::Readonly, "readonly"),
        (Flag::DenyOom, "denyoom"),
        (Flag::Admin, "admin"),
        (Flag::NoScript, "noscript"),
        (Flag::Blocking, "blocking"),
        (Flag::Loading, "loading"),
        (Flag::Stale, "stale"),
        (Flag::SkipSlowlog, "skip_slowlog"),
        (Flag::Fast, "fast"),
        (Flag::NoAuth, "no_auth"),
        (Flag::TouchesArbitraryKeys, "touches_arbitrary_keys"),
        (Flag::AllowBusy, "allow_busy"),
        (Flag::NoMulti, "no_multi"),
        (Flag::Sentinel, "sentinel"),
        (Flag::Protected, "protected"),
    ];
}

/// A set of [`Flag`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    pub(crate) const fn of(flags: &[Flag]) -> Flags {
        let (mut bits, mut i) = (0, 0);
        while i < flags.len() {
            bits |= flags[i] as u32;
            i += 1;
        }
        Flags(bits)
    }

    /// Whether `flag` is in the set.
    #[must_use]
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & flag as u32 != 0
    }

    /// The names of the members, as `COMMAND INFO` shows them; what concerns Sentinel alone is left out, and what Redis hides.
    pub fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        let shown = |flag: Flag| !matches!(flag, Flag::Sentinel | Flag::Protected);
        Flag::NAMES.iter().filter(move |(flag, _)| self.has(*flag) && shown(*flag)).map(|(_, name)| *name)
    }
}

/// Family of a command, for `COMMAND DOCS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Any type of value.
    Generic,
    /// Strings.
    String,
    /// The connection itself.
    Connection,
    /// The server as a whole.
    Server,
    /// MULTI and its relatives.
    Transactions,
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
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Transactions => "transactions",
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
    /// The connection.
    Connection,
    /// MULTI and its relatives.
    Transaction,
    /// For operators.
    Admin,
    /// Can hurt when used carelessly.
    Dangerous,
}

/// Where a command's keys stand among its arguments (the name itself is 0); `last` counts from the end when negative.
/// `first` 0: it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPositions {
    /// First key, or 0.
    pub first: u8,
    /// Last key; negative counts from the end, -1 being the last argument.
    pub last: i8,
    /// From one key to the next.
    pub step: u8,
}

impl KeyPositions {
    pub(crate) const NONE: KeyPositions = KeyPositions { first: 0, last: 0, step: 0 };
    pub(crate) const ONE: KeyPositions = KeyPositions { first: 1, last: 1, step: 1 };
    pub(crate) const SECOND: KeyPositions = KeyPositions { first: 2, last: 2, step: 1 };
    pub(crate) const TWO: KeyPositions = KeyPositions { first: 1, last: 2, step: 1 };
    pub(crate) const ALL: KeyPositions = KeyPositions { first: 1, last: -1, step: 1 };
    pub(crate) const PAIRS: KeyPositions = KeyPositions { first: 1, last: -1, step: 2 };

    /// The place of the `nth` key alone, counted from 0.
    const fn only(self, nth: u8) -> KeyPositions {
        let first = self.first + nth * self.step;
        KeyPositions { first, last: first as i8, step: 1 }
    }

    /// Positions of the keys in a call of `count` arguments.
    pub fn of(self, count: usize) -> impl Iterator<Item = usize> + Clone {
        let last = match self.last {
            last if last >= 0 => last as usize,
            last => count.saturating_sub(usize::from(last.unsigned_abs())),
        };
        let first = usize::from(self.first);
        let end = if first == 0 { 0 } else { (last + 1).min(count) };
        (first..end.max(first)).step_by(usize::from(self.step.max(1)))
    }
}

/// What a command does with a key and its value; the words are those of a key specification in `COMMAND INFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Looks whether it is there, or at what is known of it beside its value.
    Exist,
    /// Shows its value, or something computed from it.
    Read,
    /// Shows its value and changes it.
    Change,
    /// Changes it without showing its value.
    Alter,
    /// Adds to its value.
    Extend,
    /// Replaces it, whatever it held.
    Overwrite,
    /// Makes it if it is not there.
    Insert,
    /// Shows its value and deletes it.
    Take,
    /// Deletes it, whatever it holds.
    Remove,
    /// As SET, whose options decide.
    Set,
}

impl KeyUse {
    /// The flags of the key specification.
    #[must_use]
    pub const fn flags(self) -> &'static [&'static str] {
        match self {
            KeyUse::Exist => &["RO"],
            KeyUse::Read => &["RO", "access"],
            KeyUse::Change => &["RW", "access", "update"],
            KeyUse::Alter => &["RW", "update"],
            KeyUse::Extend => &["RW", "insert"],
            KeyUse::Overwrite => &["OW", "update"],
            KeyUse::Insert => &["OW", "insert"],
            KeyUse::Take => &["RW", "access", "delete"],
            KeyUse::Remove => &["RM", "delete"],
            KeyUse::Set => &["RW", "access", "update", "variable_flags"],
        }
    }
}

/// Commands that concern the connection, the node or its settings: run by the caller of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontCommand {
    /// Protocol version, authentication and name in one.
    Hello,
    /// Authentication.
    Auth,
    /// Choice of a database; there is only 0.
    Select,
    /// Ends the connection.
    Quit,
    /// Puts the connection into its first state; the engine's session is reset before the caller is asked.
    Reset,
    /// Everything about connections.
    Client,
    /// Settings.
    Config,
    /// The state of the node in words.
    Info,
    /// The role of the node.
    Role,
    /// Waits for replicas.
    Wait,
    /// Tanist's own administration.
    Tanist,
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
pub(crate) type Run = fn(&mut Data<'_>, &Call<'_>, &mut Reply) -> Outcome;

/// Who runs a command.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// Needs the shards of its keys.
    Keys(Run),
    /// Needs the whole keyspace.
    Whole(Run),
    /// Needs the shard that its cursor names.
    Cursor(Run),
    /// Needs no data.
    Free(Run),
    /// The caller of the engine runs it.
    Front(FrontCommand),
    /// The session's transaction.
    Control(Control),
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
    /// Where its keys are.
    pub keys: KeyPositions,
    /// What it does with its keys: one entry for all of them, or one for each of a fixed number.
    pub key_uses: &'static [KeyUse],
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
    /// Its subcommands, if it is a container.
    pub subcommands: &'static [CommandSpec],
    pub(crate) handler: Handler,
}

impl std::fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CommandSpec").field(&self.name).finish()
    }
}

/// Starts a record; the methods below fill in the rest.
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
        keys: KeyPositions::NONE,
        key_uses: &[],
        tips: &[],
        group,
        since,
        own_categories: &[],
        summary: "",
        complexity: "",
        subcommands: &[],
        handler,
    }
}

impl CommandSpec {
    pub(crate) const fn keys(mut self, keys: KeyPositions, uses: &'static [KeyUse]) -> Self {
        self.keys = keys;
        self.key_uses = uses;
        self
    }

    pub(crate) const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    pub(crate) const fn categories_own(mut self, own: &'static [Category]) -> Self {
        self.own_categories = own;
        self
    }

    pub(crate) const fn doc(mut self, summary: &'static str, complexity: &'static str) -> Self {
        self.summary = summary;
        self.complexity = complexity;
        self
    }

    pub(crate) const fn subcommands(mut self, subcommands: &'static [CommandSpec]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// Whether it may change the keyspace.
    #[must_use]
    pub const fn writes(&self) -> bool {
        self.flags.has(Flag::Write)
    }

    /// Whether it reads or writes data: such a command needs the primary.
    #[must_use]
    pub const fn touches_data(&self) -> bool {
        matches!(
            self.handler,
            Handler::Keys(_)
                | Handler::Whole(_)
                | Handler::Cursor(_)
                | Handler::Control(Control::Exec | Control::Watch)
        )
    }

    /// Whether any of its arguments is a key.
    #[must_use]
    pub const fn has_keys(&self) -> bool {
        self.keys.first > 0
    }

    /// Its keys by what is done with them: each part has the positions of its keys. Empty if no argument is a key.
    pub fn key_parts(&self) -> impl Iterator<Item = (KeyPositions, KeyUse)> {
        let (keys, uses) = (self.keys, self.key_uses);
        (0u8..).zip(uses).map(move |(nth, key_use)| match uses {
            [_] => (keys, *key_use),
            _ => (keys.only(nth), *key_use),
        })
    }

    /// Whether it is queued between MULTI and EXEC rather than executed.
    #[must_use]
    pub const fn is_queued_in_multi(&self) -> bool {
        !matches!(
            self.handler,
            Handler::Control(Control::Multi | Control::Exec | Control::Discard | Control::Watch)
                | Handler::Front(FrontCommand::Quit | FrontCommand::Reset)
        )
    }

    /// Whether it is EXEC, which ends a transaction even when it is refused.
    #[must_use]
    pub const fn is_exec(&self) -> bool {
        matches!(self.handler, Handler::Control(Control::Exec))
    }

    /// Who runs it, if it is the caller of the engine.
    #[must_use]
    pub const fn front(&self) -> Option<FrontCommand> {
        match self.handler {
            Handler::Front(command) => Some(command),
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
