//! COPY and RENAME of a large value, a piece at a time: no shard is locked for longer than a piece takes.
//!
//! The copy is made under the name of its target in a physical database that nobody has. What is in such a database counts as flushed:
//! if the copy is given up, by a takeover too, it is reclaimed like that. So nothing of it needs to be remembered; the engine that makes
//! it only does not reclaim keys of that shard meanwhile. Each step is a record of its own and names what to copy, not the bytes: all
//! replicas have them.
//!
//! The source is watched. If it changes, the copy is given up and begun again, and after a few times made in one piece. The last step
//! puts the copy in its place, and is the command's record.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::flush::NOT_OF_CLIENTS;
use super::shard::{Busy, ShardCell, Shards, shard_of};
use super::upkeep::encoded;
use super::watch::Watching;
use super::{Engine, Refused, Session};
use crate::clock::UnixMillis;
use crate::effect::{self, ApplyError, CopyStep, Effect};
use crate::ids::{DatabaseId, Epoch};
use crate::keyspace::{Key, Located};
use crate::limits::COPY_ATTEMPTS_MAX;
use crate::structure::root;
use crate::types::copy::Piece;
use crate::types::string::{self, StringChange};
use crate::value::Kind;

/// Bytes of a string that are copied at a time.
const STRING_PIECE_BYTES: u64 = 256 * 1024;

/// The keys of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CopyNames {
    from: OwnedKey,
    to: OwnedKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnedKey {
    bytes: Box<[u8]>,
    hash: u64,
    database: DatabaseId,
}

impl OwnedKey {
    fn of(key: &Key<'_>) -> OwnedKey {
        OwnedKey { bytes: key.bytes.into(), hash: key.hash, database: key.database }
    }

    fn key(&self) -> Key<'_> {
        Key { bytes: &self.bytes, hash: self.hash, database: self.database }
    }
}

impl CopyNames {
    pub(super) fn new(from: &Key<'_>, to: &Key<'_>) -> CopyNames {
        CopyNames { from: OwnedKey::of(from), to: OwnedKey::of(to) }
    }

    pub(super) fn is_of(&self, from: &Key<'_>, to: &Key<'_>) -> bool {
        (self.from.key(), self.to.key()) == (*from, *to)
    }

    fn effect(&self, made_in: DatabaseId, step: CopyStep) -> Effect<'_> {
        Effect::CopyStep { from: self.from.key(), to: self.to.key(), made_in, step }
    }
}

/// A command of a session that copies a large value.
#[derive(Debug)]
pub(super) struct CopyInPieces {
    names: CopyNames,
    attempts: usize,
    made: Option<CopyMade>,
}

/// A copy that is being made or is complete. Dropping it gives it up, unless it has been put in its place. No shard lock may be held then.
#[derive(Debug)]
struct CopyMade {
    made_in: DatabaseId,
    /// Of the records that have made it: another node may have reclaimed it since, and made another one in its place.
    epoch: Epoch,
    watching: Watching,
    _kept: Kept,
}

/// Keeps the keys of a shard from being reclaimed.
#[derive(Debug)]
struct Kept {
    cells: Arc<[ShardCell]>,
    at: usize,
}

impl Kept {
    fn new(cells: &Arc<[ShardCell]>, hash: u64) -> Kept {
        let at = usize::from(shard_of(cells, hash).0);
        // Relaxed here and below: changed to more only under the shard's lock, under which it is read.
        cells[at].copies.fetch_add(1, Ordering::Relaxed);
        Kept { cells: Arc::clone(cells), at }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.cells[self.at].copies.fetch_sub(1, Ordering::Relaxed);
    }
}

impl CopyInPieces {
    /// The command wants this copy, once more if its `earlier` one did not become it.
    pub(super) fn wanted(names: CopyNames, earlier: Option<Box<CopyInPieces>>) -> CopyInPieces {
        CopyInPieces { names, attempts: earlier.map_or(0, |earlier| earlier.attempts), made: None }
    }

    /// Whether the value is to be copied at once now.
    pub(super) fn is_given_up(&self) -> bool {
        self.attempts >= COPY_ATTEMPTS_MAX
    }

    /// The database in which the complete copy of the first of these keys, whose shards are held, is under the name of the other, if its
    /// source is as it was.
    pub(super) fn complete(
        &self,
        shards: &Shards<'_>,
        (from, to): (&Key<'_>, &Key<'_>),
        now: UnixMillis,
    ) -> Option<DatabaseId> {
        let made = self.made.as_ref()?;
        let is_there = self.names.is_of(from, to) && shards.of(to.hash).keyspace.get(&to.of(made.made_in)).is_some();
        (is_there && !made.watching.verdict(shards, now).0).then_some(made.made_in)
    }
}

impl Engine {
    /// Makes the copy that the command of `session` [wants](Refused::InPieces), so that it ends at once when it is executed again. Waits for
    /// shards: to be called where nobody else is kept waiting.
    ///
    /// # Errors
    /// If this engine does not write, or a long command holds a shard: the command is to be tried again later.
    pub fn copy_in_pieces(&self, session: &mut Session, now: UnixMillis) -> Result<(), Refused> {
        let Some(copy) = &mut session.scratch.copy else { return Ok(()) };
        if copy.made.is_some() {
            return Ok(());
        }
        copy.made = self.try_copy(&copy.names, session.database, now)?;
        copy.attempts += 1;
        Ok(())
    }

    /// Makes a copy; nothing if that is not possible, or its source has changed.
    fn try_copy(&self, names: &CopyNames, logical: u8, now: UnixMillis) -> Result<Option<CopyMade>, Refused> {
        let hashes = [names.from.hash, names.to.hash];
        let shards = Shards::try_of_keys(&self.cells, hashes.into_iter());
        let mut shards = shards.map_err(|Busy(shard)| Refused::Busy(shard))?;
        if !self.is_writing() {
            return Err(Refused::NotWriting);
        }
        let target = &shards.of(names.to.hash).keyspace;
        let there = shards.of(names.from.hash).keyspace.get(&names.from.key()).is_some();
        let unused = root::database_numbers().find(|number| target.is_unused(*number));
        let Some(made_in) = unused.filter(|_| there) else { return Ok(None) };
        let mut watching = Watching::new(&self.cells);
        if watching.add(&mut shards, logical, &names.from.key(), now).is_err() {
            return Ok(None);
        }
        let (from, copy) = (names.from.key(), names.to.key().of(made_in));
        let Ok(mut cursor) = begin(&mut shards, &from, &copy) else { return Ok(None) };
        self.append_step(&mut shards, names, made_in, CopyStep::Begin);
        let kept = Kept::new(&self.cells, names.to.hash);
        let made = CopyMade { made_in, epoch: self.redo.epoch(), watching, _kept: kept };
        drop(shards);
        while let Some(at) = cursor {
            let mut shards = Shards::of_keys(&self.cells, hashes.into_iter());
            if !self.is_writing() {
                drop(shards);
                return Err(Refused::NotWriting);
            }
            if made.watching.verdict(&shards, now).0 {
                drop(shards);
                return Ok(None);
            }
            match copy_piece(&mut shards, &from, &copy, at) {
                Ok(next) => cursor = next,
                Err(_) => {
                    drop(shards);
                    return Ok(None);
                }
            }
            self.append_step(&mut shards, names, made_in, CopyStep::Piece { cursor: at });
        }
        Ok(Some(made))
    }

    /// Appends a step that was made.
    fn append_step(&self, shards: &mut Shards<'_>, names: &CopyNames, made_in: DatabaseId, step: CopyStep) {
        let appended = self.redo.append(&mut encoded(&names.effect(made_in, step)));
        [names.from.hash, names.to.hash].iter().for_each(|hash| shards.wrote(*hash, appended.lsn));
        if appended.first {
            self.redo.wake();
        }
    }

    /// Forgets a copy that `session` has made in an earlier epoch.
    #[cold]
    pub(super) fn forget_old_copy(&self, session: &mut Session) {
        if let Some(copy) = &mut session.scratch.copy
            && copy.made.as_ref().is_some_and(|made| made.epoch != self.redo.epoch())
        {
            copy.made = None;
        }
    }
}

/// Applies a step of a copy.
///
/// # Errors
/// If memory does not suffice or the step presumes what is not so: nothing has changed.
pub(super) fn apply_step(
    shards: &mut Shards<'_>,
    from: &Key<'_>,
    to: &Key<'_>,
    made_in: DatabaseId,
    step: CopyStep,
) -> Result<(), ApplyError> {
    if from == to {
        return Err(ApplyError::Contradiction("it copies a key onto itself"));
    }
    let copy = to.of(made_in);
    match step {
        CopyStep::Begin => begin(shards, from, &copy).map(|_| ()),
        CopyStep::Piece { cursor } => copy_piece(shards, from, &copy, cursor).map(|_| ()),
        CopyStep::End { renames } => end(shards, from, to, &copy, renames),
    }
}

/// Makes the copy, with the first piece: nothing large is ever empty. Returns the cursor of the next piece.
pub(super) fn begin(shards: &mut Shards<'_>, from: &Key<'_>, copy: &Key<'_>) -> Result<Option<u64>, ApplyError> {
    if !shards.of(copy.hash).keyspace.is_unused(copy.database) {
        return Err(ApplyError::Contradiction("it makes a copy in a database that is in use"));
    }
    let source = &shards.of(from.hash).keyspace;
    let entry = source.get(from).ok_or(NO_SOURCE)?;
    if entry.kind() == Kind::String {
        let (len, expire, mut first) = (entry.value().len(), entry.expire_at(), Vec::new());
        entry.value().range(0, STRING_PIECE_BYTES, &mut first);
        let target = &mut shards.of_mut(copy.hash).keyspace;
        let mut at = target.locate(copy);
        let planned = target.plan(Some(copy.database), string::pages_to_make(copy.bytes.len(), 0, first.len()));
        if planned.is_ok() {
            string::make(target, &mut at, first.len() as u64, expire);
            string::write(target, &mut at, 0, &first);
            target.note_unlisted(true);
        }
        target.settle();
        planned?;
        return Ok(Some(STRING_PIECE_BYTES).filter(|next| *next < len));
    }
    let mut piece = Piece::first(source, &source.locate(from));
    let is_large = piece.next(source, from);
    let target = &mut shards.of_mut(copy.hash).keyspace;
    let mut at = target.locate(copy);
    let planned = target.plan(Some(copy.database), if is_large { piece.pages_to_add() } else { 0 });
    if planned.is_ok() {
        piece.make(target, &mut at);
        if is_large {
            piece.add(target, &at);
        }
        target.note_unlisted(true);
    }
    target.settle();
    planned?;
    Ok(piece.cursor())
}

/// Copies the piece from `cursor` on; returns the cursor of the next one.
pub(super) fn copy_piece(
    shards: &mut Shards<'_>,
    from: &Key<'_>,
    copy: &Key<'_>,
    cursor: u64,
) -> Result<Option<u64>, ApplyError> {
    let source = &shards.of(from.hash).keyspace;
    let entry = source.get(from).ok_or(NO_SOURCE)?;
    if shards.of(copy.hash).keyspace.logical(copy.database).is_some() {
        return Err(ApplyError::Contradiction("it makes a copy in a database of clients"));
    }
    if entry.kind() == Kind::String {
        let (len, next) = (entry.value().len(), cursor.saturating_add(STRING_PIECE_BYTES));
        let mut tail = Vec::new();
        entry.value().range(cursor, next, &mut tail);
        let target = &mut shards.of_mut(copy.hash).keyspace;
        let mut at = in_the_making(target.locate(copy), target.get(copy).map(|there| there.kind()), Kind::String)?;
        effect::change(target, &mut at, &StringChange::Append { tail: &tail })?;
        return Ok(Some(next).filter(|next| *next < len));
    }
    let kind = entry.kind();
    let Some(piece) = Piece::at(source, from, cursor) else { return Ok(None) };
    let target = &mut shards.of_mut(copy.hash).keyspace;
    let at = in_the_making(target.locate(copy), target.get(copy).map(|there| there.kind()), kind)?;
    let planned = target.plan(None, piece.pages_to_add());
    if planned.is_ok() {
        piece.add(target, &at);
    }
    target.settle();
    planned?;
    Ok(piece.cursor())
}

/// The copy that is being made, if there is one of this type.
fn in_the_making<'k>(at: Located<'k>, there: Option<Kind>, kind: Kind) -> Result<Located<'k>, ApplyError> {
    if there == Some(kind) { Ok(at) } else { Err(NO_COPY) }
}

fn end(shards: &mut Shards<'_>, from: &Key<'_>, to: &Key<'_>, copy: &Key<'_>, renames: bool) -> Result<(), ApplyError> {
    shards.of(from.hash).keyspace.get(from).ok_or(NO_SOURCE)?;
    let shard = shards.of_mut(to.hash);
    shard.keyspace.logical(to.database).ok_or(NOT_OF_CLIENTS)?;
    if shard.keyspace.logical(copy.database).is_some() || shard.keyspace.get(copy).is_none() {
        return Err(NO_COPY);
    }
    let planned = shard.keyspace.plan(Some(to.database), shard.keyspace.pages_to_move(copy));
    if planned.is_ok() {
        let mut at = shard.keyspace.locate(copy);
        shard.keyspace.move_to(&mut at, to.database);
        shard.keyspace.note_unlisted(false);
        shard.watched.touch(&shard.keyspace, to);
    }
    shard.keyspace.settle();
    planned?;
    if renames {
        let shard = shards.of_mut(from.hash);
        shard.keyspace.remove(&mut shard.keyspace.locate(from));
        shard.keyspace.settle();
        shard.watched.touch(&shard.keyspace, from);
    }
    Ok(())
}

const NO_SOURCE: ApplyError = ApplyError::Contradiction("the key that it copies does not exist");
const NO_COPY: ApplyError = ApplyError::Contradiction("there is no such copy in the making");
