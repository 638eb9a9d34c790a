//! What the tests of all types share: a shard and its replica beside a model.

use crate::arena::{FrozenShard, PAGE_BYTES};
use crate::effect::testing::decode;
use crate::effect::{KeyChange, KeyEffect};
use crate::image::FrozenVersion;
use crate::keyspace::tests::{Direct, Random, hash, image_of, meta, new_shard, restore};
use crate::keyspace::{Key, Keyspace, Read};

/// Keys and what they hold, in collections of std.
pub(super) trait KeysModel: Clone {
    /// Fails unless `read`, which `shard` hashes the keys of, holds this and nothing else.
    fn assert_equals(&self, read: &impl Read, shard: &Keyspace);
}

/// A shard with its replica, which is told each change as it stands in a record.
pub(super) struct ReplicatedShard<M> {
    pub(super) shard: Keyspace,
    replica: Keyspace,
    /// Versions with what they held, and the step at which they were frozen.
    frozen: Vec<(FrozenShard, M, u64)>,
}

impl<M: KeysModel> ReplicatedShard<M> {
    pub(super) fn new() -> Self {
        Self { shard: new_shard(), replica: new_shard(), frozen: Vec::new() }
    }

    pub(super) fn change(&mut self, key: &[u8], change: impl KeyEffect) {
        let key = self.shard.hasher().key(key);
        let mut bytes = Vec::new();
        change.encode(&mut bytes);
        assert!(bytes.len() <= change.bytes_max());
        self.shard.change(&key, decode(change.operation(), &bytes)).unwrap();
        self.replica.change(&key, decode(change.operation(), &bytes)).unwrap();
    }

    pub(super) fn reclaim(&mut self, random: &mut Random) {
        let steps = 1 + random.below(3) as usize;
        self.shard.reclaim(steps);
        self.replica.reclaim(steps);
    }

    /// Now and then freezes, compares what was frozen earlier, compares with the replica, and restores that from an image.
    pub(super) fn compare_at_random(&mut self, step: u64, random: &mut Random, model: &M) {
        if random.below(40) == 0 && self.frozen.len() < 3 {
            self.frozen.push((self.shard.freeze(), model.clone(), step));
        }
        if random.below(60) == 0 && !self.frozen.is_empty() {
            let (version, then, at) = self.frozen.swap_remove(random.below(self.frozen.len() as u64) as usize);
            println!("step {step}: comparing what was frozen at step {at}");
            then.assert_equals(&version, &self.shard);
        }
        if random.below(100) == 0 {
            self.compare(model);
            assert_eq!(hash(&mut self.shard), hash(&mut self.replica), "same changes, same bytes");
        }
        if random.below(300) == 0 {
            let restored = restored(&mut self.shard);
            model.assert_equals(restored.arena(), &restored);
            self.replica = restored;
        }
    }

    pub(super) fn compare(&self, model: &M) {
        self.shard.check(0, 1).unwrap();
        model.assert_equals(self.shard.arena(), &self.shard);
    }
}

fn restored(shard: &mut Keyspace) -> Keyspace {
    restore(&image_of(FrozenVersion::new(meta(), vec![shard.freeze()])))
}

/// Deletes a large value of which a version is frozen: only pages that lead to it are copied.
pub(super) fn delete_frozen(shard: &mut Keyspace, key: &Key<'_>) {
    let frozen = shard.freeze();
    shard.change(key, KeyChange::Del).unwrap();
    let at_once = shard.arena().pool().bytes_retired() / PAGE_BYTES as u64;
    assert!(at_once <= 6, "{at_once} pages were copied by DEL");
    drop(frozen);
}

/// Reclaims all that was given up, `max` at a time, and returns in how many steps. A shard restored from an image that was made before
/// a step is equal after it.
pub(super) fn reclaim_all(shard: &mut Keyspace, max: usize) -> usize {
    let mut steps = 0;
    while shard.reclaimable_bytes() > 0 {
        let mut restored = restored(shard);
        assert_eq!(hash(&mut restored), hash(shard));
        shard.reclaim(max);
        restored.reclaim(max);
        shard.check(0, 1).unwrap();
        assert_eq!(hash(&mut restored), hash(shard));
        steps += 1;
    }
    steps
}
