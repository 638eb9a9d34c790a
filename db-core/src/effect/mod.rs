//! Effects: deterministic redo operations. A command is decided on the primary; its effects have the same result on every
//! replica.
//!
//! An effect uses neither clock nor randomness. Most are a [`Change`] of one key; each type of value has its family of changes
//! (`types/`). The others concern several keys, all keys, or the log itself.
//!
//! A primary applies an effect and appends it to the command's log record ([`RecordWriter`]); a replica reads it ([`Effects`])
//! and applies it by the same code (`engine/apply.rs`).

mod codec;
mod key;
mod record;
mod strings;
#[cfg(test)]
pub(crate) mod testing;

pub use codec::RecordError;
pub(crate) use codec::{Reader, put_bytes, put_number, put_time};
pub use key::KeyChange;
pub(crate) use record::{Effects, RecordWriter};
pub use strings::Strings;

use crate::arena::OutOfMemory;
use crate::ids::{DatabaseId, Epoch, ShardId};
use crate::keyspace::{Key, Keyspace, Located};
use crate::types::list::ListChange;
use crate::types::map::MapChange;
use crate::types::sorted_set::SortedChange;
use crate::types::stream::StreamChange;
use crate::types::string::StringChange;

/// Something that a command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect<'a> {
    /// The key is changed.
    Key(Key<'a>, Change<'a>),
    /// `to` gets the value of the existing `from`, expiry included.
    Copy { from: Key<'a>, to: Key<'a> },
    /// `to` gets the value of the existing `from`, expiry included, and `from` is gone.
    Rename { from: Key<'a>, to: Key<'a> },
    /// A step of a copy that takes many: it is made under the name of `to` in a database that nobody has, where whatever is left of it
    /// would be reclaimed, and takes its place with the last one.
    CopyStep { from: Key<'a>, to: Key<'a>, made_in: DatabaseId, step: CopyStep },
    /// No key is left.
    FlushAll,
    /// No key of this database is left: `fresh`, which nobody has used, is in its place (itself: it is empty).
    FlushDatabase { database: DatabaseId, fresh: DatabaseId },
    /// These logical databases have what the other had.
    SwapDatabases { one: u8, other: u8 },
    /// The first record of an epoch.
    EpochStart { epoch: Epoch },
    /// The primary froze a version that contains exactly the records before and this one.
    Cut,
    /// At most about so many pages or keys of what was given up in a shard are free.
    Reclaim { shard: ShardId, steps: u32 },
    /// Of about so many keys of a database in a shard, from a cursor on, those in pages that are at most half full have moved.
    Compact { shard: ShardId, database: DatabaseId, cursor: u32, keys: u32 },
    /// The setting of that number has this value, or none.
    Setting { number: u8, value: Option<u64> },
    /// One more rehearsal is counted (`level::since::REHEARSAL`).
    #[cfg(feature = "next-level")]
    Rehearse { text: &'a [u8] },
}

/// What a step of a copy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyStep {
    /// The copy is there, with as much of the value as is copied at a time.
    Begin,
    /// The copy has what the value has from a cursor on, as much as is copied at a time.
    Piece { cursor: u64 },
    /// The copy is the value of `to`; with `renames` `from` is gone.
    End { renames: bool },
}

/// What becomes of one key, by the type of value that it presumes or makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// A key of any type.
    Key(KeyChange),
    String(StringChange<'a>),
    Map(MapChange<'a>),
    List(ListChange<'a>),
    Sorted(SortedChange<'a>),
    Stream(StreamChange<'a>),
}

impl From<KeyChange> for Change<'_> {
    #[inline]
    fn from(change: KeyChange) -> Self {
        Change::Key(change)
    }
}

impl<'a> From<StringChange<'a>> for Change<'a> {
    #[inline]
    fn from(change: StringChange<'a>) -> Self {
        Change::String(change)
    }
}

impl<'a> From<MapChange<'a>> for Change<'a> {
    #[inline]
    fn from(change: MapChange<'a>) -> Self {
        Change::Map(change)
    }
}

impl<'a> From<ListChange<'a>> for Change<'a> {
    #[inline]
    fn from(change: ListChange<'a>) -> Self {
        Change::List(change)
    }
}

impl<'a> From<SortedChange<'a>> for Change<'a> {
    #[inline]
    fn from(change: SortedChange<'a>) -> Self {
        Change::Sorted(change)
    }
}

impl<'a> From<StreamChange<'a>> for Change<'a> {
    #[inline]
    fn from(change: StreamChange<'a>) -> Self {
        Change::Stream(change)
    }
}

/// Why an effect was not applied; nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The pool's bound does not allow it.
    #[error("memory bound reached")]
    OutOfMemory,
    /// The effect presumes what is not so. The primary never makes such an effect.
    #[error("{0}")]
    Contradiction(&'static str),
}

impl From<OutOfMemory> for ApplyError {
    fn from(_: OutOfMemory) -> ApplyError {
        ApplyError::OutOfMemory
    }
}

/// What can become of one key: all that there is to a kind of change, beside its place in [`Change`].
pub trait KeyEffect {
    /// The byte with which it stands in a record: the number of its family in the high half, below 8, and that of the operation
    /// in the low one. It is never given a second meaning: another layout of the same change gets a number of its own, so a log
    /// outlives the program that wrote it.
    fn operation(&self) -> u8;

    /// Bytes of what [`encode`](Self::encode) appends, at most.
    fn bytes_max(&self) -> usize;

    /// Appends what stands behind operation and key.
    fn encode(&self, out: &mut Vec<u8>);

    /// Pages that it may take or copy beside those of any change; `None` for what makes room, which is done whatever it needs.
    ///
    /// # Errors
    /// If it presumes what is not so.
    fn pages(&self, keyspace: &Keyspace, at: &Located<'_>) -> Result<Option<usize>, &'static str>;

    /// Does it. Its pages have been planned, so it cannot fail.
    fn apply(&self, keyspace: &mut Keyspace, at: &mut Located<'_>);

    /// The other database in which it changes a key of the same name.
    #[inline]
    fn other_database(&self) -> Option<DatabaseId> {
        None
    }

    /// Reserves what it may need, so that it cannot fail; other changes may have been planned before it.
    ///
    /// # Errors
    /// If that is not to be had, or the change presumes what is not so.
    #[inline]
    fn plan(&self, keyspace: &mut Keyspace, at: &Located<'_>) -> Result<(), ApplyError> {
        let pages = self.pages(keyspace, at).map_err(ApplyError::Contradiction)?;
        let grows = self.other_database().or_else(|| (!keyspace.holds(at)).then_some(at.key().database));
        pages.map_or(Ok(()), |pages| Ok(keyspace.plan(grows, pages)?))
    }
}

/// A family of changes.
pub(crate) trait Family<'a>: KeyEffect + Into<Change<'a>> {
    /// Its number.
    const NUMBER: u8;

    /// Reads what stands behind an operation of this number, below 16, and its key; `None` if there is no such operation.
    ///
    /// # Errors
    /// If it is not what [`encode`](KeyEffect::encode) writes.
    fn decode(operation: u8, from: &mut Reader<'a>) -> Result<Option<Self>, RecordError>;
}

/// Changes the key at `at`.
///
/// # Errors
/// If memory does not suffice or the change presumes what is not so: nothing has changed.
#[inline]
pub fn change(keyspace: &mut Keyspace, at: &mut Located<'_>, change: &impl KeyEffect) -> Result<(), ApplyError> {
    let planned = change.plan(keyspace, at);
    if planned.is_ok() {
        change.apply(keyspace, at);
    }
    keyspace.settle();
    planned
}

impl<'a> Change<'a> {
    fn decode(byte: u8, from: &mut Reader<'a>) -> Result<Change<'a>, RecordError> {
        fn read<'a, F: Family<'a>>(byte: u8, from: &mut Reader<'a>) -> Result<Option<Change<'a>>, RecordError> {
            F::decode(byte & 0x0f, from).map(|change| change.map(Into::into))
        }
        let change = match byte >> 4 {
            <KeyChange as Family>::NUMBER => read::<KeyChange>(byte, from)?,
            <StringChange<'_> as Family>::NUMBER => read::<StringChange<'_>>(byte, from)?,
            <MapChange<'_> as Family>::NUMBER => read::<MapChange<'_>>(byte, from)?,
            <ListChange<'_> as Family>::NUMBER => read::<ListChange<'_>>(byte, from)?,
            <SortedChange<'_> as Family>::NUMBER => read::<SortedChange<'_>>(byte, from)?,
            <StreamChange<'_> as Family>::NUMBER => read::<StreamChange<'_>>(byte, from)?,
            _ => None,
        };
        change.ok_or(RecordError::UnknownEffect(byte))
    }
}

/// Calls a method of the change's family.
macro_rules! of_family {
    ($change:expr, $family:ident => $call:expr) => {
        match $change {
            Change::Key($family) => $call,
            Change::String($family) => $call,
            Change::Map($family) => $call,
            Change::List($family) => $call,
            Change::Sorted($family) => $call,
            Change::Stream($family) => $call,
        }
    };
}

impl KeyEffect for Change<'_> {
    #[inline]
    fn operation(&self) -> u8 {
        of_family!(self, family => family.operation())
    }

    #[inline]
    fn bytes_max(&self) -> usize {
        of_family!(self, family => family.bytes_max())
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        of_family!(self, family => family.encode(out));
    }

    #[inline]
    fn pages(&self, keyspace: &Keyspace, at: &Located<'_>) -> Result<Option<usize>, &'static str> {
        of_family!(self, family => family.pages(keyspace, at))
    }

    #[inline]
    fn apply(&self, keyspace: &mut Keyspace, at: &mut Located<'_>) {
        of_family!(self, family => family.apply(keyspace, at));
    }

    #[inline]
    fn other_database(&self) -> Option<DatabaseId> {
        of_family!(self, family => family.other_database())
    }
}

/// No fewer bytes than the numbers of an effect take in a record.
const NUMBERS: usize = 32;

/// No fewer bytes than a change of `key` takes in a record.
#[inline]
pub(crate) fn bytes_max(key: &Key<'_>, change: &impl KeyEffect) -> usize {
    NUMBERS + key.bytes.len() + change.bytes_max()
}

impl<'a> Effect<'a> {
    /// The keys that it touches, unless it [touches them all](Self::is_of_all).
    #[inline]
    pub(crate) fn keys(&self) -> [Option<Key<'a>>; 2] {
        match *self {
            Effect::Key(key, change) => [Some(key), change.other_database().map(|other| key.of(other))],
            Effect::Copy { from, to } | Effect::Rename { from, to } | Effect::CopyStep { from, to, .. } => {
                [Some(from), Some(to)]
            }
            _ => [None, None],
        }
    }

    /// Whether it touches all keys, or so many that all count as touched.
    #[inline]
    pub(crate) fn is_of_all(&self) -> bool {
        matches!(self, Effect::FlushAll | Effect::FlushDatabase { .. } | Effect::SwapDatabases { .. })
    }

    /// No fewer bytes than it takes in a record.
    #[inline]
    pub(crate) fn bytes_max(&self) -> usize {
        match self {
            Effect::Key(key, change) => bytes_max(key, change),
            Effect::Copy { from, to } | Effect::Rename { from, to } | Effect::CopyStep { from, to, .. } => {
                NUMBERS + from.bytes.len() + to.bytes.len()
            }
            #[cfg(feature = "next-level")]
            Effect::Rehearse { text } => NUMBERS + text.len(),
            _ => NUMBERS,
        }
    }
}
