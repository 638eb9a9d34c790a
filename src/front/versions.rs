//! Frozen versions that connections read: those that they have pinned (`TANIST PIN`), and those from which large replies are made.
//!
//! A version costs a copy of each page that is written while it is kept. So versions are bounded in number, age and memory; at a
//! bound the oldest is *ended*: whoever has pinned it gets an error for all that it reads until it lets go or pins again, and who is
//! in the middle of a large reply is cut off. Writers wait for none of this.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tanist_db_core::clock::{Monotonic, UnixMillis};
use tanist_db_core::engine::{Engine, FrozenState};
use tanist_db_core::ids::{Lsn, ShardId};

use super::NodeContext;
use super::limits::{PINNED_BYTES_MIN, PINS_END_EVERY, VERSION_BYTES_AT_ONCE};
use super::registry::Entry;

/// A frozen version. Its pages are given back with its last reader.
pub(super) struct PinnedVersion {
    /// There until it is dropped.
    state: Option<FrozenState>,
    /// The moment at which all reads of it happen.
    unix: UnixMillis,
    since: Monotonic,
    context: Arc<NodeContext>,
}

/// A reader of a version. Its engine lets go of the version before it does.
pub(super) struct VersionReader {
    pub(super) engine: Engine,
    version: Arc<PinnedVersion>,
}

/// Keeps a version, until it is dropped or ended.
pub(super) struct Pin {
    context: Arc<NodeContext>,
    reader: Mutex<Result<Arc<VersionReader>, String>>,
    /// The connection that is sent a large reply from it, and is cut off if it ends.
    sends_to: Option<Arc<Entry>>,
}

/// All pins of a node.
#[derive(Debug, Default)]
pub(super) struct Pins {
    all: Mutex<Vec<Weak<Pin>>>,
    /// Pins that there are.
    count: AtomicUsize,
    /// Pins that were ended at a bound.
    ended: AtomicU64,
    /// When the memory bound last ended one, in microseconds.
    ended_at: AtomicU64,
}

/// How much the versions may be and take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinBounds {
    /// Versions that are pinned by connections.
    pub versions: usize,
    /// Age of a version.
    pub age: Duration,
    /// Pages kept for frozen versions, in percent of the data.
    pub memory_percent: u64,
}

/// Why no version was pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotPinned {
    /// A long command holds this shard.
    Busy(ShardId),
    /// So many versions are pinned, and no more may be.
    TooMany(usize),
}

/// Figures for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PinFigures {
    pub(super) versions: usize,
    /// Connections that have pinned one.
    pub(super) connections: usize,
    /// Large replies on their way.
    pub(super) replies: usize,
    pub(super) oldest: Duration,
    pub(super) ended: u64,
}

impl VersionReader {
    /// The newest record in the version.
    pub(super) fn cut(&self) -> Lsn {
        self.engine.last()
    }

    /// The moment at which all reads of the version happen.
    pub(super) fn unix(&self) -> UnixMillis {
        self.version.unix
    }
}

impl Drop for PinnedVersion {
    /// Returns its pages to the pool: on a thread of its own where they may be many.
    fn drop(&mut self) {
        let many = self.context.engine().is_some_and(|engine| engine.frozen_bytes() > VERSION_BYTES_AT_ONCE);
        let (state, serving) = (self.state.take(), Arc::clone(&self.context.serving));
        let give_back = move || {
            drop(state);
            serving.room_freed();
        };
        if many {
            // Without a thread they are given back here, with the closure; who waits for room looks again soon by itself.
            let _ = std::thread::Builder::new().name("give-back".into()).spawn(give_back);
        } else {
            give_back();
        }
    }
}

impl Pin {
    /// The reader of the version.
    ///
    /// # Errors
    /// A sentence that says why it was ended.
    pub(super) fn reader(&self) -> Result<Arc<VersionReader>, String> {
        self.reader.lock().clone()
    }

    fn version(&self) -> Option<Arc<PinnedVersion>> {
        self.reader.lock().as_ref().ok().map(|reader| Arc::clone(&reader.version))
    }

    /// Ends it; returns whether it had not been before.
    fn end(&self, why: &str) -> bool {
        let ended = {
            let mut reader = self.reader.lock();
            if reader.is_err() {
                return false;
            }
            std::mem::replace(&mut *reader, Err(why.to_owned()))
        };
        drop(ended);
        if let Some(entry) = &self.sends_to {
            self.context.registry.cut_off(entry, &format!("the version of which it is sent a large reply {why}"));
        }
        true
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.context.pins.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pins {
    /// Every pin with its version, the oldest version first.
    fn live(&self) -> Vec<(Arc<PinnedVersion>, Arc<Pin>)> {
        let mut all = self.all.lock();
        all.retain(|pin| pin.strong_count() > 0);
        let pins: Vec<Arc<Pin>> = all.iter().filter_map(Weak::upgrade).collect();
        drop(all);
        let mut live: Vec<_> = pins.into_iter().filter_map(|pin| Some((pin.version()?, pin))).collect();
        live.sort_by_key(|(version, _)| (version.since, Arc::as_ptr(version)));
        live
    }

    /// Ends the pins of all versions for which `is_over` says so.
    fn end_where(&self, why: &str, is_over: impl Fn(&Arc<PinnedVersion>) -> bool) {
        for (version, pin) in self.live() {
            if is_over(&version) && pin.end(why) {
                self.ended.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn figures(&self, now: Monotonic) -> PinFigures {
        let live = self.live();
        let replies = live.iter().filter(|(_, pin)| pin.sends_to.is_some()).count();
        PinFigures {
            versions: different(live.iter().map(|(version, _)| version)),
            connections: live.len() - replies,
            replies,
            oldest: live.first().map_or(Duration::ZERO, |(version, _)| now.since(version.since)),
            ended: self.ended.load(Ordering::Relaxed),
        }
    }
}

/// How many of the versions, oldest first, are different ones.
fn different<'v>(versions: impl Iterator<Item = &'v Arc<PinnedVersion>>) -> usize {
    let mut addresses: Vec<_> = versions.map(Arc::as_ptr).collect();
    addresses.dedup();
    addresses.len()
}

impl NodeContext {
    /// Pins the newest version that is pinned already, or with `is_new` or without one the state of this moment.
    ///
    /// # Errors
    /// If a shard is busy or too many versions are pinned: nothing is frozen.
    pub(super) fn pin(self: &Arc<Self>, engine: &Engine, is_new: bool) -> Result<Arc<Pin>, NotPinned> {
        let live = self.pins.live();
        let pinned: Vec<_> =
            live.iter().filter(|(_, pin)| pin.sends_to.is_none()).map(|(version, _)| version).collect();
        if let Some(newest) = pinned.last().filter(|_| !is_new) {
            return Ok(self.keep(newest, None));
        }
        let max = self.settings.pin_bounds().versions;
        if different(pinned.iter().copied()) >= max {
            return Err(NotPinned::TooMany(max));
        }
        Ok(self.keep(&self.frozen(engine).map_err(NotPinned::Busy)?, None))
    }

    /// Pins a version for a large reply to `entry`: the one of `pinned`, or the state of this moment.
    ///
    /// # Errors
    /// With a shard that a long command holds: nothing is frozen.
    pub(super) fn pin_for_reply(
        self: &Arc<Self>,
        engine: &Engine,
        pinned: Option<&VersionReader>,
        entry: &Arc<Entry>,
    ) -> Result<Arc<Pin>, ShardId> {
        let version = pinned.map_or_else(|| self.frozen(engine), |pinned| Ok(Arc::clone(&pinned.version)))?;
        Ok(self.keep(&version, Some(Arc::clone(entry))))
    }

    fn frozen(self: &Arc<Self>, engine: &Engine) -> Result<Arc<PinnedVersion>, ShardId> {
        let state = Some(engine.try_pin()?);
        // Not before: nothing in it is newer.
        let (unix, since) = (self.clock.unix(), self.clock.monotonic());
        Ok(Arc::new(PinnedVersion { state, unix, since, context: Arc::clone(self) }))
    }

    fn keep(self: &Arc<Self>, version: &Arc<PinnedVersion>, sends_to: Option<Arc<Entry>>) -> Arc<Pin> {
        let state = version.state.as_ref().expect("a version that is kept has its state");
        let reader = Arc::new(VersionReader { engine: state.reader(), version: Arc::clone(version) });
        let pin = Arc::new(Pin { context: Arc::clone(self), reader: Mutex::new(Ok(reader)), sends_to });
        self.pins.count.fetch_add(1, Ordering::Relaxed);
        self.pins.all.lock().push(Arc::downgrade(&pin));
        pin
    }

    /// Ends versions that are too old.
    pub(super) fn end_old_pins(&self, now: Monotonic) {
        let age = self.settings.pin_bounds().age;
        let why = format!("was ended: it was older than {} s (pinned-seconds-max)", age.as_secs());
        self.pins.end_where(&why, |version| now.since(version.since) >= age);
    }

    /// Ends the oldest version if frozen ones take too much memory. Costs nothing where nothing is pinned.
    #[inline]
    pub(super) fn bound_pins(&self, engine: &Engine, now: Monotonic) {
        if self.pins.count.load(Ordering::Relaxed) > 0 {
            self.end_pins_of_much_memory(engine, now);
        }
    }

    #[cold]
    fn end_pins_of_much_memory(&self, engine: &Engine, now: Monotonic) {
        let frozen = engine.frozen_bytes();
        if frozen <= PINNED_BYTES_MIN.min(engine.frozen_bytes_max() / 2) {
            return;
        }
        let percent = self.settings.pin_bounds().memory_percent;
        let max = (engine.memory_bytes() / 100 * percent).max(PINNED_BYTES_MIN).min(engine.frozen_bytes_max() / 2);
        let last = self.pins.ended_at.load(Ordering::Relaxed);
        // What is ended while it is read gives its memory back a little later.
        if frozen <= max || now.since(Monotonic(last)) < PINS_END_EVERY {
            return;
        }
        self.pins.ended_at.store(now.0, Ordering::Relaxed);
        if let Some((oldest, _)) = self.pins.live().first() {
            let mib = max >> 20;
            let why = format!("was ended: frozen versions took more than {mib} MiB (pinned-memory-percent)");
            self.pins.end_where(&why, |version| Arc::ptr_eq(version, oldest));
        }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").field("cut", &self.reader().map(|reader| reader.cut())).finish_non_exhaustive()
    }
}
