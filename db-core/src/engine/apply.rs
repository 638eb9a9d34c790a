//! Effects on shards: the one place where data changes, on the primary and in replay alike.

use thiserror::Error;

use super::shard::{Shard, Shards};
use crate::arena::OutOfMemory;
use crate::ids::DatabaseId;
use crate::keyspace::Key;
use crate::limits::VALUE_BYTES_MAX;
use crate::redo::record::Effect;

/// Why an effect was not applied; nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ApplyError {
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

/// Applies `effect`, whose shards are held, and tells those who watch its keys. Asks neither clock nor chance.
#[inline]
pub(crate) fn apply(shards: &mut Shards<'_>, effect: &Effect<'_>) -> Result<(), ApplyError> {
    match *effect {
        Effect::Set { key, value, expire } => {
            let shard = shards.of_mut(key.hash);
            shard.keyspace.set(&key, value, expire)?;
            shard.watched.touch(&shard.keyspace, &key);
            Ok(())
        }
        Effect::Copy { from, to } => copy(shards, &from, &to),
        Effect::Rename { from, to } => rename(shards, &from, &to),
        Effect::SetExpire { key, .. }
        | Effect::Append { key, .. }
        | Effect::SetRange { key, .. }
        | Effect::Del { key } => {
            let shard = shards.of_mut(key.hash);
            change_existing(shard, effect)?;
            shard.watched.touch(&shard.keyspace, &key);
            Ok(())
        }
        Effect::Move { key, to } => move_to(shards.of_mut(key.hash), &key, to),
        Effect::FlushAll => {
            shards.iter_mut().for_each(flush);
            Ok(())
        }
        Effect::FlushDatabase { database } => {
            shards.iter_mut().for_each(|shard| flush_database(shard, database));
            Ok(())
        }
        Effect::SwapDatabases { one, other } => {
            // Of all first: databases that are swapped in some shards only would be others there.
            shards.iter_mut().try_for_each(|shard| shard.keyspace.reserve_root())?;
            shards.iter_mut().for_each(|shard| swap_databases(shard, one, other));
            Ok(())
        }
        Effect::Setting { number, value } => {
            shards.first_mut().keyspace.put_settings(std::iter::once((usize::from(number), value)))?;
            Ok(())
        }
        Effect::EpochStart { .. } | Effect::Cut => Ok(()),
    }
}

/// Deletes `key` because it has expired.
pub(crate) fn apply_expired(shard: &mut Shard, key: &Key<'_>) {
    assert!(shard.keyspace.remove(key), "the expiry index names keys that exist");
    shard.watched.touch_expired(&shard.keyspace, key);
}

fn change_existing(shard: &mut Shard, effect: &Effect<'_>) -> Result<(), ApplyError> {
    match *effect {
        Effect::SetExpire { key, expire } => {
            let found = shard.keyspace.set_expire(&key, expire)?;
            found.then_some(()).ok_or(ApplyError::Contradiction("the key whose expiry it sets does not exist"))
        }
        Effect::Append { key, tail } => {
            let len = string_len(shard, &key)?;
            check_len(len, tail.len())?;
            shard.keyspace.append(&key, tail)?;
            Ok(())
        }
        Effect::SetRange { key, offset, bytes } => {
            string_len(shard, &key)?;
            check_len(offset, bytes.len())?;
            shard.keyspace.set_range(&key, offset, bytes)?;
            Ok(())
        }
        Effect::Del { key } => {
            let found = shard.keyspace.remove(&key);
            found.then_some(()).ok_or(ApplyError::Contradiction("the key that it deletes does not exist"))
        }
        _ => Ok(()),
    }
}

fn copy(shards: &mut Shards<'_>, from: &Key<'_>, to: &Key<'_>) -> Result<(), ApplyError> {
    if (from.bytes, from.database) == (to.bytes, to.database) {
        return Err(ApplyError::Contradiction("it copies a key onto itself"));
    }
    let source = shards.of(from.hash).keyspace.get(from);
    let source = source.ok_or(ApplyError::Contradiction("the key that it copies does not exist"))?;
    let expire = source.expire_at();
    let mut value = Vec::new();
    source.value().copy_to(&mut value);
    let shard = shards.of_mut(to.hash);
    shard.keyspace.set(to, &value, expire)?;
    shard.watched.touch(&shard.keyspace, to);
    Ok(())
}

fn rename(shards: &mut Shards<'_>, from: &Key<'_>, to: &Key<'_>) -> Result<(), ApplyError> {
    copy(shards, from, to)?;
    let shard = shards.of_mut(from.hash);
    shard.keyspace.remove(from);
    shard.watched.touch(&shard.keyspace, from);
    Ok(())
}

fn move_to(shard: &mut Shard, key: &Key<'_>, to: DatabaseId) -> Result<(), ApplyError> {
    let there = key.of(to);
    if shard.keyspace.get(key).is_none() || shard.keyspace.get(&there).is_some() {
        return Err(ApplyError::Contradiction("the key that it moves does not exist, or does so where it is to go"));
    }
    shard.keyspace.move_to(key, to)?;
    shard.watched.touch(&shard.keyspace, key);
    shard.watched.touch(&shard.keyspace, &there);
    Ok(())
}

fn flush(shard: &mut Shard) {
    shard.watched.touch_present(&shard.keyspace, |_| true);
    shard.keyspace.clear();
}

fn flush_database(shard: &mut Shard, database: DatabaseId) {
    let logical = shard.keyspace.logical(database);
    shard.watched.touch_present(&shard.keyspace, |of| of == logical);
    shard.keyspace.clear_database(database);
}

fn swap_databases(shard: &mut Shard, one: u8, other: u8) {
    shard.watched.touch_swapped(&shard.keyspace, one, other);
    shard.keyspace.swap_databases(one, other);
}

fn string_len(shard: &Shard, key: &Key<'_>) -> Result<u64, ApplyError> {
    let entry = shard.keyspace.get(key);
    entry.map(|entry| entry.value().len()).ok_or(ApplyError::Contradiction("the string that it changes does not exist"))
}

fn check_len(before: u64, more: usize) -> Result<(), ApplyError> {
    if before.saturating_add(more as u64) > VALUE_BYTES_MAX {
        return Err(ApplyError::Contradiction("the string would be longer than the limit"));
    }
    Ok(())
}
