//! Keys and their hashes.

use crate::ids::{DatabaseId, ShardId};

/// Makes [`Key`]s: seeded xxh3, so that nobody outside can aim at one shard or segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHasher {
    seed: u64,
}

impl KeyHasher {
    /// A hasher with the engine's seed (state: it travels in the image).
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// `bytes` with their hash, in the first physical database.
    #[inline]
    #[must_use]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        self.key_in(DatabaseId(0), bytes)
    }

    /// `bytes` with their hash, in a database. The hash leaves it out, so that a key stays in its shard when it moves to another.
    #[inline]
    #[must_use]
    pub fn key_in<'a>(&self, database: DatabaseId, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.seed), database }
    }
}

/// A key with its database, and its hash, made once per command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The key; at most [`crate::limits::KEY_BYTES_MAX`] bytes.
    pub bytes: &'a [u8],
    /// Its hash by the engine's [`KeyHasher`].
    pub hash: u64,
    /// The database that it is of.
    pub database: DatabaseId,
}

impl Key<'_> {
    /// The same key in another database.
    #[must_use]
    pub const fn of(self, database: DatabaseId) -> Self {
        Key { database, ..self }
    }

    /// The shard that owns this key, among `shards` (a power of two): by low bits, since the index within a shard uses the
    /// high ones.
    #[inline]
    #[must_use]
    pub const fn shard(&self, shards: u16) -> ShardId {
        ShardId((self.hash & (shards as u64 - 1)) as u16)
    }
}
