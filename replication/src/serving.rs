//! What client sessions need to know of the node's role: may a command execute, and is its effect durable?
//!
//! The role driver writes ([`Serving::publish`]), the shipper and the follower raise the durable position
//! ([`Serving::advance_durable`]), sessions read. The steps of a session around one batch of commands:
//!
//! 1. read the clock *after* the commands have arrived, then call [`Serving::enter`]: the guard proves that the node is primary
//!    and its lease has not ended. The check happens between a command's arrival and its reply, so a read that executes under the
//!    guard is linearizable even if the process is paused right after the check: anything that another primary does comes after
//!    that moment.
//! 2. execute, drop the guard. A hold is complete only when no guard is left ([`Serving::executing`] is 0): that makes the "hold,
//!    then drain" of a switchover exact.
//! 3. delay the reply until [`Serving::wait`] says that its position is durable.
//!
//! # Why no wake-up is lost
//!
//! A change first stores the new value (position or version), then takes the waiters' lock and collects the waiters to wake. A
//! waiter takes the lock, checks the value, and registers only if it still has to wait. The two locked sections have an order: if
//! the waiter's comes first, the change finds it registered; if it comes second, the lock makes the new value visible to it. For
//! the same reason a waiter that has seen its condition fulfilled need not deregister: the change that fulfilled it will take the
//! lock later, or has already removed the registration.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::planted::planted;

use crate::limits::{EXECUTION_LANES, PERMISSION_NEARLY_OVER};

mod freshness;
mod wait;

#[cfg(test)]
mod tests;

pub use freshness::Freshness;
use wait::{NO_POSITION, Waiters};
pub use wait::{Wait, Woken};

/// The part that a node plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Role {
    /// Loading the newest image and the log after it.
    Joining = 0,
    /// Applies what becomes durable, ready to take over.
    Standby = 1,
    /// Has claimed an epoch and reads the log to its sealed end.
    Promoting = 2,
    /// Executes commands.
    Primary = 3,
    /// Primary that holds its clients while a successor takes over as planned.
    HandingOver = 4,
    /// Replaced by a newer epoch while it may have had records of its own: final, the process ends.
    Fenced = 5,
}

impl Role {
    /// The role in one word, for people and for messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Role::Joining => "joining",
            Role::Standby => "standby",
            Role::Promoting => "promoting",
            Role::Primary => "primary",
            Role::HandingOver => "handing over",
            Role::Fenced => "fenced",
        }
    }

    const fn from_byte(byte: u8) -> Role {
        match byte {
            0 => Role::Joining,
            1 => Role::Standby,
            2 => Role::Promoting,
            3 => Role::Primary,
            4 => Role::HandingOver,
            _ => Role::Fenced,
        }
    }
}

/// Where the primary serves, as the vault has told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PrimaryAddress {
    /// The node's name.
    pub node: String,
    /// Its address for the Redis protocol, `host:port`.
    pub resp: String,
    /// Its address for the client library, `host:port`.
    pub quic: String,
}

/// May a command execute?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// This node is primary and has its lease.
    Yes,
    /// It is primary or is about to, but must not execute at the moment: promoting, handing over, or its lease has to be
    /// renewed first. Keep the command and ask again after the next change.
    Hold,
    /// Another node, or none yet, is primary: see [`Serving::primary`].
    NotPrimary,
    /// Fenced: the process is about to end; answer nothing.
    Stopped,
}

/// Counts changes of anything that a session decides by, except the durable position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u64);

/// What the role driver publishes, all of it at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// The node's role.
    pub role: Role,
    /// The newest epoch that the node knows; its own if it is primary.
    pub epoch: Epoch,
    /// End of the node's own lease as it counts itself; [`Monotonic`] zero if it has none.
    pub lease_until: Monotonic,
    /// Commands may execute before this moment; zero: not at all. Never later than `lease_until`.
    pub execute_until: Monotonic,
    /// Commands that take long wait: a switchover begins once those have ended that execute now.
    pub long_waits: bool,
    /// The node's own term began by a takeover, not by a switchover: the primary before it will hardly reply to anything more.
    pub took_over: bool,
    /// Who is primary; `None` before the first.
    pub primary: Option<Arc<PrimaryAddress>>,
}

impl Standing {
    /// A node that has just started.
    #[must_use]
    pub fn joining() -> Standing {
        Standing {
            role: Role::Joining,
            epoch: Epoch::ZERO,
            lease_until: Monotonic(0),
            execute_until: Monotonic(0),
            long_waits: false,
            took_over: false,
            primary: None,
        }
    }
}

/// One counter of executing batches, alone on its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane(AtomicU32);

/// What is called when somebody begins to wait for a position.
type Demand = Box<dyn Fn() + Send + Sync>;

/// Shared between a node's sessions and its role driver; see the module's text.
pub struct Serving {
    /// The only word that the hot path reads besides its lane. Zero unless commands may execute.
    execute_until: AtomicU64,
    role: AtomicU8,
    epoch: AtomicU64,
    lease_until: AtomicU64,
    durable: AtomicU64,
    version: AtomicU64,
    room_wanted: AtomicBool,
    lanes: Box<[Lane]>,
    /// Commands that take long and execute now; each is counted in a lane too.
    long: AtomicU32,
    /// Further ones wait.
    long_waits: AtomicBool,
    took_over: AtomicBool,
    primary: RwLock<Option<Arc<PrimaryAddress>>>,
    freshness: Freshness,
    waiters: Mutex<Waiters>,
    demand: OnceLock<Demand>,
}

impl Serving {
    /// A node that has just started.
    #[must_use]
    pub fn new() -> Arc<Serving> {
        Arc::new(Serving {
            execute_until: AtomicU64::new(0),
            role: AtomicU8::new(Role::Joining as u8),
            epoch: AtomicU64::new(0),
            lease_until: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            version: AtomicU64::new(1),
            room_wanted: AtomicBool::new(false),
            lanes: (0..EXECUTION_LANES).map(|_| Lane::default()).collect(),
            long: AtomicU32::new(0),
            long_waits: AtomicBool::new(false),
            took_over: AtomicBool::new(false),
            primary: RwLock::new(None),
            freshness: Freshness::default(),
            waiters: Mutex::default(),
            demand: OnceLock::new(),
        })
    }

    /// Names what to call when somebody begins to wait for a position while nobody else does: whoever makes records durable
    /// may let them gather until then. It is called on the waiter's thread and must neither block nor take long.
    ///
    /// # Panics
    /// If named twice: a process has one shipper for its life.
    pub fn on_demand(&self, demand: Box<dyn Fn() + Send + Sync>) {
        assert!(self.demand.set(demand).is_ok(), "one consumer makes records durable");
    }

    /// Whether somebody waits for a position to become durable.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.waiters.lock().await_positions()
    }

    /// May a command execute at `now`? A look only: to execute, [`Serving::enter`].
    #[must_use]
    pub fn may_execute(&self, now: Monotonic) -> Permit {
        // Acquire: whoever sees the permission also sees the state that promotion has prepared.
        if is_before(now, self.execute_until.load(Ordering::Acquire)) {
            return Permit::Yes;
        }
        match self.role() {
            Role::Joining | Role::Standby => Permit::NotPrimary,
            Role::Promoting | Role::Primary | Role::HandingOver => Permit::Hold,
            Role::Fenced => Permit::Stopped,
        }
    }

    /// Asks for permission to execute commands that had all arrived at `now`; keep the guard exactly while they execute, never
    /// over an `await`.
    ///
    /// # Errors
    /// With the permit that is not [`Permit::Yes`].
    pub fn enter(&self, now: Monotonic) -> Result<Executing<'_>, Permit> {
        // Refused sessions must not touch their lane, or many of them asking again would keep a hold from completing.
        match self.may_execute(now) {
            Permit::Yes => {}
            refused => return Err(refused),
        }
        let lane = &self.lanes[lane_of_this_thread()].0;
        // SeqCst here and in `publish`: of "I am in" and "the hold is on" at least one is seen by the other side, so a
        // session either finds the hold or is found by `executing`.
        lane.fetch_add(1, Ordering::SeqCst);
        let executing = Executing { lane };
        if is_before(now, self.execute_until.load(Ordering::SeqCst)) {
            return Ok(executing);
        }
        drop(executing);
        // A hold has come between the two looks; if it is already over, the next attempt succeeds.
        Err(Permit::Hold)
    }

    /// As [`enter`](Self::enter), for a command that takes long: others can see that one executes
    /// ([`long_executing`](Self::long_executing)), and its guard goes with it wherever it is executed.
    ///
    /// # Errors
    /// As [`enter`](Self::enter); and [`Permit::Hold`] while [a switchover is to begin](Standing::long_waits).
    pub fn enter_long(self: &Arc<Self>, now: Monotonic) -> Result<ExecutingLong, Permit> {
        // Relaxed: one that comes through at the last moment is waited for (`executing`).
        if self.long_waits.load(Ordering::Relaxed) && self.may_execute(now) == Permit::Yes {
            return Err(Permit::Hold);
        }
        let entered = self.enter(now)?;
        let lane = lane_of_this_thread();
        // SeqCst as in `enter`; that the count is above 0 all the time is the first guard's doing.
        self.lanes[lane].0.fetch_add(1, Ordering::SeqCst);
        self.long.fetch_add(1, Ordering::SeqCst);
        drop(entered);
        Ok(ExecutingLong { serving: Arc::clone(self), lane })
    }

    /// How many commands that take long execute now: what a switchover would have to wait for.
    #[must_use]
    pub fn long_executing(&self) -> u32 {
        // Relaxed: a switchover that begins nevertheless waits for `executing`.
        self.long.load(Ordering::Relaxed)
    }

    /// Whether commands that take long [wait for a switchover](Standing::long_waits).
    #[must_use]
    pub fn long_waits(&self) -> bool {
        // Relaxed: for people.
        self.long_waits.load(Ordering::Relaxed)
    }

    /// How many batches execute now. Once this has been 0 after a hold was published, nothing executes until the hold ends.
    #[must_use]
    pub fn executing(&self) -> u32 {
        // SeqCst: see `enter`. Reading 0 also acquires what the last guard's holder has appended.
        self.lanes.iter().map(|lane| lane.0.load(Ordering::SeqCst)).sum()
    }

    /// The node's role.
    #[must_use]
    pub fn role(&self) -> Role {
        Role::from_byte(self.role.load(Ordering::Acquire))
    }

    /// The newest epoch that the node knows; its own if it is primary.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Whether the node's own term [began by a takeover](Standing::took_over); ask for the role first.
    #[must_use]
    pub fn took_over(&self) -> bool {
        // Relaxed: stored before the role, which was read with Acquire.
        self.took_over.load(Ordering::Relaxed)
    }

    /// End of the node's own lease by its own count; zero if it has none.
    #[must_use]
    pub fn lease_until(&self) -> Monotonic {
        Monotonic(self.lease_until.load(Ordering::Acquire))
    }

    /// Who is primary and where; `None` before the first.
    #[must_use]
    pub fn primary(&self) -> Option<Arc<PrimaryAddress>> {
        self.primary.read().clone()
    }

    /// Everything up to here is in the vault, as far as this node knows.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// How old this node's data are at most, while it is a standby.
    #[must_use]
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// The present version; take it *before* looking at what may change.
    #[must_use]
    pub fn version(&self) -> Version {
        Version(self.version.load(Ordering::Acquire))
    }

    /// Waits until `lsn` is durable or the version is no longer `seen`, whichever comes first.
    pub fn wait(&self, lsn: Lsn, seen: Version) -> Wait<'_> {
        Wait { serving: self, lsn, seen, registered: None }
    }

    /// Waits until the version is no longer `seen`: for a held command.
    pub fn changed(&self, seen: Version) -> Wait<'_> {
        self.wait(NO_POSITION, seen)
    }

    /// To be called before looking whether the engine has room for a write, by a session that will wait for it if not: the
    /// version returned changes when room has been made after this call.
    #[must_use]
    pub fn want_room(&self) -> Version {
        let seen = self.version();
        self.room_wanted.store(true, Ordering::SeqCst);
        // Pairs with the fence in `room_freed`: either this session then sees the room, or the shipper sees the wish.
        fence(Ordering::SeqCst);
        seen
    }

    /// The shipper has taken from the redo queue, or the transfer has given frozen pages back.
    pub fn room_freed(&self) {
        fence(Ordering::SeqCst);
        if self.room_wanted.load(Ordering::SeqCst) && self.room_wanted.swap(false, Ordering::SeqCst) {
            self.bump();
        }
    }

    /// Everything up to `lsn` is in the vault: wakes those who wait for it. Positions behind the known one do nothing, and
    /// neither does any once the node is fenced.
    pub fn advance_durable(&self, lsn: Lsn) {
        if self.role() == Role::Fenced || self.durable.fetch_max(lsn.0, Ordering::AcqRel) >= lsn.0 {
            return;
        }
        let mut woken = Vec::new();
        let mut waiters = self.waiters.lock();
        while let Some(first) = waiters.by_position.first_entry() {
            if first.key().0 > lsn {
                break;
            }
            woken.push(first.remove());
        }
        drop(waiters);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Replaces what sessions see; `now` tells whether a lease that had ended is valid again. The role driver alone calls this.
    pub fn publish(&self, standing: &Standing, now: Monotonic) {
        let fenced = self.role() == Role::Fenced;
        assert!(!fenced || standing.role == Role::Fenced, "a fenced process never takes another role");
        assert!(standing.execute_until <= standing.lease_until, "a node executes only within its lease");
        // A permission that was about to end counts as ended: a session may have found it so after `now` was read.
        let could = now.after(PERMISSION_NEARLY_OVER).0 < self.execute_until.load(Ordering::Relaxed);
        let can = now < standing.execute_until;
        let same = could == can
            && self.role() == standing.role
            && self.epoch() == standing.epoch
            && self.long_waits.load(Ordering::Relaxed) == standing.long_waits
            && *self.primary.read() == standing.primary;
        // A permission is taken away before, and given after, everything else has been said.
        if !can {
            let until = self.execute_until.swap(0, Ordering::SeqCst);
            // Nobody else has executed anything before.
            self.freshness.proven(Monotonic(until).min(now));
        }
        self.took_over.store(standing.took_over, Ordering::Relaxed);
        self.role.store(standing.role as u8, Ordering::Release);
        self.epoch.store(standing.epoch.0, Ordering::Release);
        self.lease_until.store(standing.lease_until.0, Ordering::Release);
        self.long_waits.store(standing.long_waits, Ordering::Relaxed);
        if can {
            self.execute_until.store(standing.execute_until.0, Ordering::SeqCst);
        }
        if !same {
            self.primary.write().clone_from(&standing.primary);
            self.bump();
        }
    }

    /// A new version: everyone who waits looks again.
    fn bump(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
        let woken = std::mem::take(&mut self.waiters.lock().by_position);
        woken.into_values().for_each(Waker::wake);
    }
}

/// Proof that the commands now executing do so under the lease; see [`Serving::enter`].
#[derive(Debug)]
#[must_use = "the guard must live while the commands execute"]
pub struct Executing<'a> {
    lane: &'a AtomicU32,
}

impl Drop for Executing<'_> {
    fn drop(&mut self) {
        // Release: whoever reads 0 sees all that was appended under the guard.
        self.lane.fetch_sub(1, Ordering::Release);
    }
}

/// Proof that a command which takes long executes under the lease; see [`Serving::enter_long`].
#[derive(Debug)]
#[must_use = "the guard must live while the command executes"]
pub struct ExecutingLong {
    serving: Arc<Serving>,
    lane: usize,
}

impl Drop for ExecutingLong {
    fn drop(&mut self) {
        self.serving.long.fetch_sub(1, Ordering::Relaxed);
        // Release: whoever reads 0 sees all that was appended under the guard.
        self.serving.lanes[self.lane].0.fetch_sub(1, Ordering::Release);
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("role", &self.role())
            .field("epoch", &self.epoch())
            .field("durable", &self.durable())
            .finish_non_exhaustive()
    }
}

/// Whether `now` is before the end of a permission; an end of zero is that of none.
#[inline]
fn is_before(now: Monotonic, end: u64) -> bool {
    now.0 < end || (planted("reads served after the lease") && end != 0)
}

/// Spreads threads over the lanes, so that sessions of different arbiters do not fight for a cache line.
fn lane_of_this_thread() -> usize {
    static THREADS: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static LANE: usize = THREADS.fetch_add(1, Ordering::Relaxed) as usize % EXECUTION_LANES;
    }
    LANE.with(|lane| *lane)
}
