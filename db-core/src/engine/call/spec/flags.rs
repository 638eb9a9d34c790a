//! What a command may do and when it may run.

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
    /// In Redis of Sentinel alone; listed for the comparison with Redis's table only.
    OnlySentinel = 1 << 16,
    /// Reads the keyspace, and may note in it what it has computed: for what matters to the engine, it writes.
    MayReplicate = 1 << 17,
    /// It is refused while data are loaded in the background, which never happens here.
    NoAsyncLoading = 1 << 18,
}

impl Flag {
    /// Every flag with its name on the wire.
    pub const NAMES: &'static [(Flag, &'static str)] = &[
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
        (Flag::NoAsyncLoading, "no_async_loading"),
        (Flag::AllowBusy, "allow_busy"),
        (Flag::NoMulti, "no_multi"),
        (Flag::Sentinel, "sentinel"),
        (Flag::Protected, "protected"),
        (Flag::OnlySentinel, "only_sentinel"),
        (Flag::MayReplicate, "may_replicate"),
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
        let hidden = [Flag::Sentinel, Flag::OnlySentinel, Flag::Protected, Flag::MayReplicate];
        let shown = move |flag: Flag| !hidden.contains(&flag);
        Flag::NAMES.iter().filter(move |(flag, _)| self.has(*flag) && shown(*flag)).map(|(_, name)| *name)
    }
}
