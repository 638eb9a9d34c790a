//! The database engine: shards behind locks, execution of commands, replay of the log, and snapshots.
//!
//! A session executes its commands on its own thread. [`Engine::execute`] looks up the command's spec, takes the locks of the
//! shards that it touches (in index order), and runs its handler, which applies effects and notes them. It appends them as one
//! record to the [`RedoQueue`] while the locks are held, and releases the locks. So the order of the log is a serial order of the
//! commands, and a record is atomic for everyone: other sessions, frozen versions (snapshots), followers, recovery.
//!
//! A follower's engine does not execute writes: [`Engine::apply`] takes batches and applies their records by the same code. A
//! process has one engine for its entire life: [`Engine::begin_epoch`] makes it a writer, and [`Engine::end_epoch`], in a
//! switchover, a follower. A write that comes in between is refused without any effect ([`Executed::Refused`]), so its session
//! may hold it (let it wait) and try again.
//!
//! A command that needs a shard which a long command has locked is also refused without any effect ([`Refused::Busy`]): its
//! session waits for the shard ([`Engine::shard_free`]) while its thread serves others.
//!
//! A blocking command waits in the wait queues (lines) of its keys (`blocking.rs`); its session executes it again when it is
//! woken.
//!
//! A read whose reply grows large is refused too ([`Refused::Large`]), where its session asks for that: it is executed again by an
//! engine over a frozen version ([`Engine::try_pin`]), which locks nobody out. And so is a copy of a large value
//! ([`Refused::InPieces`]): it is made in pieces first (`pieces.rs`).
//!
//! Not done here: the engine reads no clock (the time comes with each call), does not decide who may write, and never blocks a
//! thread within a command.

mod apply;
mod blocking;
pub(crate) mod call;
mod compaction;
mod data;
mod dirty;
mod flush;
mod frozen;
mod level;
mod line;
mod memory;
mod outcome;
mod pieces;
mod scratch;
mod serve;
mod session;
mod settings;
mod shard;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;
mod transaction;
mod upkeep;
mod waiter;
mod waiting;
mod watch;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::arena::PagePool;
use crate::clock::UnixMillis;
use crate::ids::{DatabaseId, Epoch, Lsn, ShardId};
use crate::image::RestoredImage;
use crate::keyspace::{Key, KeyHasher, Keyspace, Prefetch};
use crate::level::Levels;
use crate::limits::{KEY_BYTES_MAX, LARGE_REPLY_ELEMENTS, PAGES_MAX_PERCENT, RECLAIM_RECORD_STEPS_MAX, SHARDS_MAX};
use crate::planted::planted;
use crate::redo::RedoQueue;
use call::{Call, CommandSpec, CommandTable, Failure, Flag, FrontRun, Handler, KeyArg, KeySpec, Reply};

use compaction::Compaction;
pub(crate) use data::Data;
pub use frozen::FrozenState;
pub use memory::Memory;
pub use outcome::{Blocked, Executed, Later, Refused, Replied, Until, WriteReply};
pub use session::Session;
#[cfg(feature = "next-level")]
pub(crate) use settings::REHEARSALS;
use settings::Settings;
pub use settings::{LEVEL, MEMORY_MAX, SettingId, Size, sizes};
pub use shard::DatabaseCounts;
use shard::{Busy, ShardCell, Shards};
pub use transaction::Transaction;
pub use waiting::{Rank, ShardFree};

/// A key whose memory will be needed soon.
struct Ahead<'k, D> {
    hash: u64,
    /// What its database is found by.
    database: D,
    /// The member of its collection that will be.
    member: Option<&'k [u8]>,
}

/// Keys asked for together without an allocation.
const PREFETCH_KEYS: usize = 32;

/// What an engine starts with.
#[derive(Debug, Clone, Copy)]
pub struct EngineOptions {
    /// Number of shards: a power of two up to [`SHARDS_MAX`].
    pub shards: u16,
    /// Bytes of pages above which commands that may need more memory fail; 0: no bound.
    pub memory_bytes_max: u64,
    /// Seed of the key hash: random for a new database, and part of its state from then on.
    pub hash_seed: u64,
    /// Feature levels that the program knows.
    pub levels: Levels,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions { shards: 16, memory_bytes_max: 0, hash_seed: 0, levels: Levels::OWN }
    }
}

/// The caller of an engine as the commands see it that it runs itself ([`FrontRun`]): they find in it
/// what they work on.
pub trait Front: Any {
    /// All commands that there are.
    fn commands(&self) -> &'static CommandTable;
}

/// The data of one process.
pub struct Engine {
    cells: Arc<[ShardCell]>,
    hasher: KeyHasher,
    hash_seed: u64,
    pool: Arc<PagePool>,
    redo: RedoQueue,
    /// The bound in force.
    memory_max: AtomicU64,
    /// The one that holds unless the cluster has its own.
    memory_max_here: AtomicU64,
    settings: Settings,
    /// The feature levels that this program knows.
    levels: Levels,
    /// Bytes that pages kept for frozen versions alone may take before writes wait.
    frozen_max: AtomicU64,
    /// Commands may append records. Changed under all shard locks, and read under at least one.
    writing: AtomicBool,
    /// Shard that the expiry looks at first next time; wraps.
    expire_first: AtomicUsize,
    compaction: Compaction,
    /// Held by whoever applies batches: one at a time.
    applying: Mutex<()>,
    /// The next ticket of who blocks.
    tickets: AtomicU64,
    /// Blocked commands that wait for keys.
    seated: Arc<AtomicUsize>,
}

impl Engine {
    /// An empty engine that follows, before the first record.
    ///
    /// # Panics
    /// If the number of shards is not a power of two up to [`SHARDS_MAX`].
    #[must_use]
    pub fn new(options: EngineOptions) -> Engine {
        let pool = PagePool::new(0);
        let shard = |_| Keyspace::new(&pool, options.hash_seed).expect("a pool without a bound gives its first pages");
        let shards = (0..options.shards).map(shard).map(|keyspace| ShardCell::new(keyspace, Lsn::ZERO)).collect();
        let queue = RedoQueue::new(Epoch::ZERO, Lsn::ZERO);
        let engine = Engine { levels: options.levels, ..Engine::assemble(shards, &pool, options.hash_seed, queue) };
        engine.with_memory_max(options.memory_bytes_max)
    }

    /// An engine that follows, with the content of a verified image whose pages are of `pool`.
    ///
    /// # Panics
    /// If the number of shards is not a power of two up to [`SHARDS_MAX`]; the image has been verified.
    #[must_use]
    pub fn restored(image: RestoredImage, pool: &Arc<PagePool>, memory_bytes_max: u64) -> Engine {
        let last = if planted("image and log tail off by one") { image.meta.cut.next() } else { image.meta.cut };
        let queue = RedoQueue::new(image.meta.epoch, last);
        let shards = image.shards.into_iter().map(|keyspace| ShardCell::new(keyspace, last)).collect();
        Engine::assemble(shards, pool, image.meta.hash_seed, queue).with_memory_max(memory_bytes_max)
    }

    fn assemble(cells: Arc<[ShardCell]>, pool: &Arc<PagePool>, hash_seed: u64, redo: RedoQueue) -> Engine {
        let count = cells.len();
        assert!(count.is_power_of_two() && count <= usize::from(SHARDS_MAX), "{count} shards");
        let settings = Settings::default();
        settings.publish(&cells[0].lock().keyspace);
        Engine {
            cells,
            hasher: KeyHasher::new(hash_seed),
            hash_seed,
            pool: Arc::clone(pool),
            redo,
            memory_max: AtomicU64::new(0),
            memory_max_here: AtomicU64::new(0),
            settings,
            levels: Levels::OWN,
            frozen_max: AtomicU64::new(u64::MAX),
            writing: AtomicBool::new(false),
            expire_first: AtomicUsize::new(0),
            compaction: Compaction::new(count),
            applying: Mutex::new(()),
            tickets: AtomicU64::new(0),
            seated: Arc::default(),
        }
    }

    fn with_memory_max(self, bytes: u64) -> Engine {
        self.set_memory_max(bytes);
        self
    }

    /// Executes one command, `args` with its name, at the moment `now`, and writes its reply. The caller has decided that
    /// this node may execute it, and that the engine [has room](Engine::has_room) if it [writes](CommandSpec::writes) (or is EXEC and
    /// [`Session::exec_writes`]).
    pub fn execute(
        &self,
        session: &mut Session,
        front: &mut dyn Front,
        args: &[&[u8]],
        now: UnixMillis,
        reply: &mut Reply,
    ) -> Executed {
        match front.commands().resolve(args) {
            Ok(spec) => self.execute_resolved(spec, session, front, args, now, reply),
            Err(failure) => {
                session.refuse(args);
                reply.set_protocol(session.protocol);
                reply.failure(&failure);
                Executed::AT_ONCE
            }
        }
    }

    /// Executes a command whose record [`CommandTable::resolve`] has found for these very arguments.
    pub fn execute_resolved(
        &self,
        spec: &'static CommandSpec,
        session: &mut Session,
        front: &mut dyn Front,
        args: &[&[u8]],
        now: UnixMillis,
        reply: &mut Reply,
    ) -> Executed {
        reply.set_protocol(session.protocol);
        if session.transaction.is_some() && spec.is_queued_in_multi() {
            return self.queue(spec, session, args, reply);
        }
        match spec.handler {
            Handler::KeysOrBlocking(_, blocking, waits) if waits(args) => {
                self.execute_blocking(blocking, spec, session, args, now, reply)
            }
            Handler::Keys(_)
            | Handler::Whole(_)
            | Handler::KeysOrWhole(..)
            | Handler::KeysOrBlocking(..)
            | Handler::Cursor(_)
            | Handler::Free(_) => self.execute_data(spec, session, args, now, reply),
            Handler::Blocking(blocking) => self.execute_blocking(blocking, spec, session, args, now, reply),
            Handler::Front(run) => front_command(run, front, &Call::without_keys(spec, args), session, reply),
            Handler::Control(control) => self.control(control, session, front, args, now, reply),
        }
    }

    fn execute_data(
        &self,
        spec: &'static CommandSpec,
        session: &mut Session,
        args: &[&[u8]],
        now: UnixMillis,
        reply: &mut Reply,
    ) -> Executed {
        if let Err(failure) = self.admit(spec, args, &mut session.keys) {
            reply.failure(&failure);
            return Executed::AT_ONCE;
        }
        if session.scratch.copy.is_some() {
            self.forget_old_copy(session);
        }
        let (run, shards) = match spec.handler {
            Handler::Keys(run) | Handler::KeysOrBlocking(run, ..)
                if spec.writes() && self.anybody_waits() && self.waits_for(&session.keys, args) =>
            {
                (run, self.shards_to_serve(&session.keys, args))
            }
            Handler::Keys(run) | Handler::KeysOrBlocking(run, ..) => match session.keys[..] {
                [KeyArg { hash, .. }] => (run, Shards::try_one(&self.cells, hash)),
                ref keys => (run, Shards::try_of_keys(&self.cells, keys.iter().map(|key| key.hash))),
            },
            Handler::KeysOrWhole(run, whole) if !whole(args) => (run, self.shards_to_serve(&session.keys, args)),
            Handler::Whole(run) | Handler::KeysOrWhole(run, _) => (run, Shards::try_all(&self.cells)),
            Handler::Cursor(run) | Handler::Free(run) => (run, Ok(Shards::none(&self.cells))),
            Handler::Blocking(_) | Handler::Front(_) | Handler::Control(_) => unreachable!("not executed here"),
        };
        let shards = match shards {
            Ok(shards) => shards,
            Err(busy) => return busy.into(),
        };
        if spec.writes() && !self.is_writing() {
            return Executed::Refused(Refused::NotWriting);
        }
        let mut data = Data::new(shards, &self.settings, now, session.database, &mut session.scratch);
        let reply_start = reply.len();
        let is_bounded = session.large_bytes < usize::MAX && !spec.writes();
        if is_bounded {
            reply.bound(session.large_bytes, LARGE_REPLY_ELEMENTS);
        }
        let call = Call::new(spec, args, &session.keys, data.database());
        let outcome = run(&mut data, &call, reply);
        if is_bounded && reply.unbound() {
            reply.truncate(reply_start);
            return Executed::Refused(Refused::Large);
        }
        if let Err(failure) = outcome {
            reply.truncate(reply_start);
            if let Some(busy) = data.busy() {
                return busy.into();
            }
            if failure == Failure::LARGE {
                drop(data);
                session.scratch.want_copy();
                return Executed::Refused(Refused::InPieces);
            }
            reply.failure(&failure);
        }
        let executed = self.commit(&mut data);
        drop(data);
        if session.scratch.copy.is_some() {
            session.scratch.copy = None;
        }
        executed
    }

    /// Waits until `shard` is free: another may take it before a command that is then tried again. To be kept until then: while
    /// it lives, its claim keeps long commands from beginning.
    pub fn shard_free(&self, shard: ShardId, rank: Rank) -> ShardFree<'_> {
        ShardFree::new(&self.cells[usize::from(shard.0)], rank)
    }

    /// Returns a shard for which somebody of the first rank waits, if there is one. A command that takes long does not begin
    /// then: it waits for this shard with [`Rank::Long`].
    pub fn claimed(&self) -> Option<ShardId> {
        self.cells.iter().position(|cell| cell.waiting.is_claimed()).map(|at| ShardId(at as u16))
    }

    /// Prefetches the memory that commands on these keys of a logical database will touch, so that it comes while other commands are
    /// executed: memory is a hundred times slower than the processor, and several requests for it cost hardly more than
    /// one. A hint: it changes nothing, and waits for no lock.
    ///
    /// A key comes with the member of its collection that the command is about, if it is about one.
    pub fn prefetch<'k>(&self, logical: u8, keys: impl Iterator<Item = (&'k [u8], Option<&'k [u8]>)>) {
        let keys = keys.map(|(key, member)| Ahead { hash: self.hasher.key(key).hash, database: logical, member });
        self.prefetch_all(keys, |keyspace, logical| keyspace.database(logical));
    }

    /// The same for hashes, each with what `database` finds a key's database by.
    fn prefetch_all<'k, D: Copy>(
        &self,
        keys: impl Iterator<Item = Ahead<'k, D>>,
        database: impl Fn(&Keyspace, D) -> DatabaseId,
    ) {
        let keys: SmallVec<[Ahead<'k, D>; PREFETCH_KEYS]> = keys.collect();
        // Many a pipeline is about one key.
        let is_same = |one: &Ahead<'k, D>, other: &Ahead<'k, D>| one.hash == other.hash;
        // The second step waits for what the first one has asked for: with a single key nothing is won by it.
        let is_single = keys.chunk_by(is_same).nth(1).is_none();
        let steps = if is_single { &[Prefetch::Index][..] } else { &[Prefetch::Index, Prefetch::Record] };
        for step in steps {
            for run in keys.chunk_by(is_same) {
                if let Some(shard) = shard::try_shard(&self.cells, run[0].hash) {
                    shard.keyspace.prefetch(database(&shard.keyspace, run[0].database), run[0].hash, *step);
                }
            }
        }
        for run in keys.chunk_by(is_same).filter(|run| run.len() > 1) {
            let members = run.iter().filter_map(|ahead| ahead.member);
            if members.clone().nth(1).is_some()
                && let Some(shard) = shard::try_shard(&self.cells, run[0].hash)
            {
                let database = database(&shard.keyspace, run[0].database);
                shard.keyspace.prefetch_members(database, run[0].hash, members);
            }
        }
    }

    /// Checks that there is memory for a call, and finds its keys.
    #[inline]
    fn admit(&self, spec: &CommandSpec, args: &[&[u8]], keys: &mut Vec<KeyArg>) -> Result<(), Failure> {
        if spec.flags.has(Flag::DenyOom) && self.stays_over_memory() {
            return Err(Failure::OUT_OF_MEMORY);
        }
        self.find_keys(spec, args, keys)
    }

    /// Finds and hashes the keys of a call, in the order of its key specifications.
    fn find_keys(&self, spec: &CommandSpec, args: &[&[u8]], keys: &mut Vec<KeyArg>) -> Result<(), Failure> {
        scratch::clear(keys);
        if KeySpec::are_the_first(spec.keys) {
            keys.push(KeyArg { at: 1, hash: self.key(args[1])?.hash });
            return Ok(());
        }
        for part in spec.keys {
            let found = part.each(args, |at| {
                keys.push(KeyArg { at: at as u32, hash: self.key(args[at])?.hash });
                Ok(())
            });
            match found {
                // Each such command has words of its own for a number of keys that is none, so its handler says what is wrong.
                Err(failure)
                    if (part.find.counts() || matches!(part.find, call::Find::Part(_)))
                        && failure != Failure::KEY_TOO_LONG =>
                {
                    keys.clear();
                    return Ok(());
                }
                // The arguments that may be keys of this kind are left out.
                Err(_) if part.fixed().is_some_and(|first| usize::from(first) == args.len()) => {}
                found => found?,
            }
        }
        Ok(())
    }

    fn key<'a>(&self, bytes: &'a [u8]) -> Result<Key<'a>, Failure> {
        if bytes.len() > KEY_BYTES_MAX { Err(Failure::KEY_TOO_LONG) } else { Ok(self.hasher.key(bytes)) }
    }

    /// Whether commands that may need memory are to be refused, after everything was freed that can be.
    #[inline]
    pub(super) fn stays_over_memory(&self) -> bool {
        self.over_memory() && self.stays_over_reclaimed()
    }

    #[cold]
    fn stays_over_reclaimed(&self) -> bool {
        while self.over_memory() {
            if self.reclaim_while(RECLAIM_RECORD_STEPS_MAX, || true) == 0 {
                return true;
            }
        }
        false
    }

    /// Whether commands that may need memory are to be refused.
    #[inline]
    fn over_memory(&self) -> bool {
        let max = self.memory_max();
        if max == 0 {
            return false;
        }
        let memory = self.memory();
        memory.used > max || memory.pages > max.saturating_mul(PAGES_MAX_PERCENT) / 100
    }

    /// Whether commands may append records; stays so while any shard lock is held.
    fn is_writing(&self) -> bool {
        // Relaxed: ordered by the lock that the caller holds.
        self.writing.load(Ordering::Relaxed)
    }
}

/// Runs a command of the engine's caller. It has one reply if it failed or has ended, and else none yet.
pub fn front_command(
    run: FrontRun,
    front: &mut dyn Front,
    call: &Call<'_>,
    session: &mut Session,
    reply: &mut Reply,
) -> Executed {
    let reply_start = reply.len();
    let executed = run(front, call, session, reply).unwrap_or_else(|failure| {
        reply.truncate(reply_start);
        reply.failure(&failure);
        Executed::AT_ONCE
    });
    if executed.replied().is_none() {
        reply.truncate(reply_start);
    }
    executed
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys();
        f.debug_struct("Engine")
            .field("shards", &self.cells.len())
            .field("keys", &keys)
            .field("redo", &self.redo)
            .finish()
    }
}

const _: () = {
    const fn shared_by_threads<T: Send + Sync>() {}
    const fn moves_between_threads<T: Send>() {}
    shared_by_threads::<Engine>();
    moves_between_threads::<Session>();
};
