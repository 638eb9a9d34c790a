//! FLUSHDB and SWAPDB: how a database is emptied, and how two are swapped, in all shards alike.

use super::shard::{Shard, Shards};
use crate::effect::{ApplyError, Effect};
use crate::ids::DatabaseId;
use crate::limits::FLUSHED_AT_ONCE_KEYS_MAX;
use crate::structure::root;

/// Decides how a database of clients is emptied; all shards are locked. In constant time whatever it contains, unless all
/// physical numbers are taken by databases that were flushed before.
pub(super) fn plan_flush(shards: &Shards<'_>, database: DatabaseId) -> Effect<'static> {
    let all = |is_so: &dyn Fn(&Shard) -> bool| shards.iter().all(is_so);
    if all(&|shard| shard.keyspace.len() == shard.keyspace.len_of(database)) {
        return Effect::FlushAll;
    }
    let fresh = if all(&|shard| shard.keyspace.len_of(database) <= FLUSHED_AT_ONCE_KEYS_MAX) {
        None
    } else {
        root::database_numbers().find(|number| all(&|shard| shard.keyspace.is_unused(*number)))
    };
    Effect::FlushDatabase { database, fresh: fresh.unwrap_or(database) }
}

/// Removes every key.
pub(super) fn flush_all(shards: &mut Shards<'_>) {
    for shard in shards.iter_mut() {
        shard.watched.touch_present(&shard.keyspace, |_| true);
        shard.keyspace.clear();
    }
}

/// Removes every key of a database: at once if `fresh` is itself, else by putting `fresh` in its place.
pub(super) fn flush_database(
    shards: &mut Shards<'_>,
    database: DatabaseId,
    fresh: DatabaseId,
) -> Result<(), ApplyError> {
    let is_used = |shard: &Shard| fresh != database && !shard.keyspace.is_unused(fresh);
    if shards.iter().any(is_used) {
        return Err(ApplyError::Contradiction("it puts a database that is in use in the place of another one"));
    }
    for shard in shards.iter_mut() {
        let logical = shard.keyspace.logical(database).ok_or(NOT_OF_CLIENTS)?;
        shard.watched.touch_present(&shard.keyspace, |of| of == logical);
        if fresh == database {
            shard.keyspace.clear_database(database);
        } else {
            shard.keyspace.flush_database(database, fresh);
        }
    }
    Ok(())
}

/// Exchanges the contents of two logical databases.
pub(super) fn swap_databases(shards: &mut Shards<'_>, one: u8, other: u8) -> Result<(), ApplyError> {
    // Of all first: databases that are swapped in some shards only would be others there.
    let planned = shards.iter_mut().try_for_each(|shard| shard.keyspace.plan(None, 0));
    if planned.is_ok() {
        for shard in shards.iter_mut() {
            shard.watched.touch_swapped(&shard.keyspace, one, other);
            shard.keyspace.swap_databases(one, other);
        }
    }
    shards.iter_mut().for_each(|shard| shard.keyspace.settle());
    Ok(planned?)
}

/// An effect on a physical database that no client can select.
pub(super) const NOT_OF_CLIENTS: ApplyError =
    ApplyError::Contradiction("its database was flushed, or nobody has ever had one of that number");
