//! Applies effects to shards: the only code that changes data, on the primary and in replay alike.

use super::flush::{NOT_OF_CLIENTS, flush_all, flush_database, swap_databases};
use super::pieces::apply_step;
#[cfg(feature = "next-level")]
use super::settings::REHEARSALS;
use super::shard::{Shard, Shards};
use crate::effect::{self, ApplyError, Effect, KeyEffect};
use crate::keyspace::{Key, Located};
use crate::types::copy::Piece;
use crate::types::string;
use crate::value::Kind;

/// Bytes of a large value that are copied from shard to shard at a time.
const COPIED_AT_ONCE: usize = 256 * 1024;

/// Applies `effect`, whose shards are locked, and notifies sessions that watch its keys. Uses neither clock nor randomness.
///
/// # Errors
/// If memory does not suffice or the effect presumes what is not so: nothing has changed.
pub(crate) fn apply(shards: &mut Shards<'_>, effect: &Effect<'_>) -> Result<(), ApplyError> {
    match *effect {
        Effect::Key(key, change) => {
            let shard = shards.of_mut(key.hash);
            shard.keyspace.logical(key.database).ok_or(NOT_OF_CLIENTS)?;
            change_key(shard, &mut shard.keyspace.locate(&key), &change)
        }
        Effect::Copy { from, to } => copy(shards, &from, &to),
        Effect::Rename { from, to } => rename(shards, &from, &to),
        Effect::CopyStep { from, to, made_in, step } => apply_step(shards, &from, &to, made_in, step),
        Effect::FlushAll => {
            flush_all(shards);
            Ok(())
        }
        Effect::FlushDatabase { database, fresh } => flush_database(shards, database, fresh),
        Effect::SwapDatabases { one, other } => swap_databases(shards, one, other),
        Effect::Setting { number, value } => {
            shards.first_mut().keyspace.put_settings(std::iter::once((usize::from(number), value)))?;
            Ok(())
        }
        Effect::Reclaim { shard, steps } => {
            let shard = shards.at_mut(shard).ok_or(ApplyError::Contradiction("there is no such shard"))?;
            shard.keyspace.reclaim(steps as usize);
            Ok(())
        }
        Effect::Compact { shard, database, cursor, keys } => {
            let shard = shards.at_mut(shard).ok_or(ApplyError::Contradiction("there is no such shard"))?;
            shard.keyspace.logical(database).ok_or(NOT_OF_CLIENTS)?;
            shard.keyspace.compact(database, cursor.into(), keys as usize);
            Ok(())
        }
        #[cfg(feature = "next-level")]
        Effect::Rehearse { .. } => {
            let (first, number) = (&mut shards.first_mut().keyspace, usize::from(REHEARSALS.0));
            let count = first.setting(number).unwrap_or(0) + 1;
            Ok(first.put_settings(std::iter::once((number, Some(count))))?)
        }
        Effect::EpochStart { .. } | Effect::Cut => Ok(()),
    }
}

/// Changes the key at `at` in its shard.
///
/// # Errors
/// As [`apply`].
#[inline]
pub(crate) fn change_key(shard: &mut Shard, at: &mut Located<'_>, change: &impl KeyEffect) -> Result<(), ApplyError> {
    effect::change(&mut shard.keyspace, at, change)?;
    touch(shard, at, change);
    Ok(())
}

/// Does a change that has been planned.
#[inline]
pub(crate) fn change_planned(shard: &mut Shard, at: &mut Located<'_>, change: &impl KeyEffect) {
    change.apply(&mut shard.keyspace, at);
    touch(shard, at, change);
}

/// Marks the keys that a change has changed for those who watch them.
#[inline]
fn touch(shard: &mut Shard, at: &Located<'_>, change: &impl KeyEffect) {
    shard.watched.touch(&shard.keyspace, at.key());
    if let Some(other) = change.other_database() {
        shard.watched.touch(&shard.keyspace, &at.key().of(other));
    }
}

/// Deletes `key` because it has expired.
pub(crate) fn apply_expired(shard: &mut Shard, key: &Key<'_>) {
    let mut at = shard.keyspace.locate(key);
    assert!(shard.keyspace.holds(&at), "the expiry index names keys that exist");
    shard.keyspace.remove(&mut at);
    shard.keyspace.settle();
    shard.watched.touch_expired(&shard.keyspace, key);
}

fn rename(shards: &mut Shards<'_>, from: &Key<'_>, to: &Key<'_>) -> Result<(), ApplyError> {
    if from == to {
        return Err(ApplyError::Contradiction("it gives a key the name that it has"));
    }
    shards.of(to.hash).keyspace.logical(to.database).ok_or(NOT_OF_CLIENTS)?;
    let same_shard = shards.are_one(from.hash, to.hash) && from.database == to.database;
    let shard = shards.of_mut(from.hash);
    let mut at = shard.keyspace.locate(from);
    if same_shard && shard.keyspace.can_rename(&at, to) {
        let planned = shard.keyspace.plan(Some(to.database), shard.keyspace.pages_to_move(from));
        if planned.is_ok() {
            shard.keyspace.rename(&mut at, to);
            shard.watched.touch(&shard.keyspace, to);
        }
        shard.keyspace.settle();
        planned?;
    } else {
        copy(shards, from, to)?;
        let shard = shards.of_mut(from.hash);
        shard.keyspace.remove(&mut shard.keyspace.locate(from));
        shard.keyspace.settle();
    }
    let shard = shards.of_mut(from.hash);
    shard.watched.touch(&shard.keyspace, from);
    Ok(())
}

/// Makes `to` have the value of `from`: in the time of its pages.
fn copy(shards: &mut Shards<'_>, from: &Key<'_>, to: &Key<'_>) -> Result<(), ApplyError> {
    if from == to {
        return Err(ApplyError::Contradiction("it copies a key onto itself"));
    }
    let entry = shards.of(from.hash).keyspace.get(from);
    let entry = entry.ok_or(ApplyError::Contradiction("the key that it copies does not exist"))?;
    if entry.kind() != Kind::String {
        return copy_collection(shards, from, to);
    }
    let (len, expire) = (entry.value().len(), entry.expire_at());
    // Gaps stay gaps.
    let written = entry.memory_bytes().min(len);
    let shard = shards.of_mut(to.hash);
    shard.keyspace.logical(to.database).ok_or(NOT_OF_CLIENTS)?;
    let mut at = shard.keyspace.locate(to);
    let pages = string::pages_to_make(to.bytes.len(), len - written, written as usize);
    let planned = shard.keyspace.plan(Some(to.database), pages);
    if planned.is_ok() {
        string::make(&mut shard.keyspace, &mut at, len, expire);
        copy_bytes(shards, from, &mut at, len);
    }
    let shard = shards.of_mut(to.hash);
    shard.keyspace.settle();
    planned?;
    shard.watched.touch(&shard.keyspace, to);
    Ok(())
}

/// Makes `to` hold the collection that `from` holds.
fn copy_collection(shards: &mut Shards<'_>, from: &Key<'_>, to: &Key<'_>) -> Result<(), ApplyError> {
    shards.of(to.hash).keyspace.logical(to.database).ok_or(NOT_OF_CLIENTS)?;
    let source = &shards.of(from.hash).keyspace;
    let mut piece = Piece::first(source, &source.locate(from));
    let shard = shards.of_mut(to.hash);
    let mut at = shard.keyspace.locate(to);
    let planned = shard.keyspace.plan(Some(to.database), piece.pages());
    if planned.is_ok() {
        piece.make(&mut shard.keyspace, &mut at);
        while piece.next(&shards.of(from.hash).keyspace, from) {
            piece.add(&mut shards.of_mut(to.hash).keyspace, &at);
        }
    }
    let shard = shards.of_mut(to.hash);
    shard.keyspace.settle();
    planned?;
    shard.watched.touch(&shard.keyspace, to);
    Ok(())
}

fn copy_bytes(shards: &mut Shards<'_>, from: &Key<'_>, to: &mut Located<'_>, len: u64) {
    let mut piece = Vec::with_capacity(COPIED_AT_ONCE.min(len as usize));
    for start in (0..len).step_by(COPIED_AT_ONCE) {
        piece.clear();
        let source = shards.of(from.hash).keyspace.get(from).expect("what is copied stays");
        source.value().range(start, start + COPIED_AT_ONCE as u64, &mut piece);
        string::write(&mut shards.of_mut(to.key().hash).keyspace, to, start, &piece);
    }
}
