//! Bad images are refused, whatever is wrong with them.

use std::sync::Arc;

use super::*;
use crate::arena::{PAGE_BYTES, PagePool};
use crate::clock::UnixMillis;
use crate::ids::{DatabaseId, ShardId};
use crate::keyspace::tests::Direct;
use crate::keyspace::tests::{Random, apply, effect};
use crate::keyspace::{Entry, KeyHasher, Keyspace, Read};
use crate::limits::DATABASES;

const SEED: u64 = 99;

fn meta() -> ImageMeta {
    ImageMeta { cut: Lsn(77), epoch: Epoch(5), hash_seed: SEED }
}

/// Shards with `keys` keys together, some of them with an expiry, and one long value.
fn shards(count: u16, keys: u32) -> Vec<Keyspace> {
    shards_in(&PagePool::new(0), count, keys)
}

fn shards_in(pool: &Arc<PagePool>, count: u16, keys: u32) -> Vec<Keyspace> {
    let mut shards: Vec<Keyspace> = (0..count).map(|_| Keyspace::new(pool, SEED).unwrap()).collect();
    let hasher = KeyHasher::new(SEED);
    for number in 0..keys {
        let name = format!("key{number}");
        let key = hasher.key(name.as_bytes());
        let value = vec![number as u8; if number == 1 { 40_000 } else { number as usize % 300 }];
        let expire = number.is_multiple_of(3).then_some(UnixMillis(u64::from(number)));
        shards[key.shard(count).0 as usize].set(&key, &value, expire).unwrap();
    }
    shards
}

fn freeze(shards: &mut [Keyspace]) -> FrozenVersion {
    FrozenVersion::new(meta(), shards.iter_mut().map(Keyspace::freeze).collect())
}

fn chunks_of(version: FrozenVersion) -> Vec<Vec<u8>> {
    let (mut walk, mut chunks, mut out) = (version.into_chunks(), Vec::new(), Vec::new());
    while walk.next_chunk(&mut out) {
        assert!(out.len() <= crate::limits::IMAGE_CHUNK_BYTES_MAX);
        chunks.push(out.clone());
    }
    chunks
}

fn load<'a>(chunks: impl IntoIterator<Item = &'a Vec<u8>>) -> Result<RestoredImage, ImageError> {
    load_into(&PagePool::new(0), chunks)
}

fn load_into<'a>(
    pool: &Arc<PagePool>,
    chunks: impl IntoIterator<Item = &'a Vec<u8>>,
) -> Result<RestoredImage, ImageError> {
    let mut restore = ImageRestore::new(Arc::clone(pool));
    for chunk in chunks {
        restore.feed(chunk)?;
    }
    restore.finish()
}

#[test]
fn an_image_comes_back_whole() {
    let mut original = shards(4, 30_000);
    let version = freeze(&mut original);
    let hash = version.content_hash();
    let chunks = chunks_of(version);
    assert!(chunks.len() > 8);
    let mut restored = load(&chunks).unwrap();
    assert_eq!(restored.meta, meta());
    let again = freeze(&mut restored.shards);
    assert_eq!(again.content_hash(), hash);
    assert_eq!(again.shards.iter().map(Read::len).sum::<u64>(), 30_000);
    assert_eq!(chunks_of(again), chunks);
}

#[test]
fn chunks_and_superblocks_of_another_version_are_refused_with_both_versions() {
    let chunks = chunks_of(freeze(&mut shards(1, 20)));
    let pool = PagePool::new(0);
    for index in 0..chunks.len() {
        let mut other = chunks.clone();
        other[index][4] = 9;
        chunk::seal(&mut other[index]);
        let why = load_into(&pool, &other).unwrap_err().to_string();
        assert!(why.starts_with("image: a chunk has format version 9, and this program knows version 1: "), "{why}");
    }
    let mut other = chunks;
    let superblock = chunk::HEAD_BYTES + 4 * ((other[1].len() - chunk::HEAD_BYTES) / (PAGE_BYTES + 4));
    other[1][superblock + 2] = 9;
    chunk::seal(&mut other[1]);
    let why = load_into(&pool, &other).unwrap_err().to_string();
    assert!(why.starts_with("image: a superblock has format version 9, and this program knows version 4: "), "{why}");
}

#[test]
fn every_flipped_byte_is_refused() {
    let chunks = chunks_of(freeze(&mut shards(1, 20)));
    let pool = PagePool::new(0);
    for (index, chunk) in chunks.iter().enumerate() {
        for at in 0..chunk.len() {
            let mut restore = ImageRestore::new(Arc::clone(&pool));
            chunks[..index].iter().for_each(|chunk| restore.feed(chunk).unwrap());
            let mut damaged = chunk.clone();
            damaged[at] ^= 1 << (at % 8);
            assert!(
                matches!(restore.feed(&damaged), Err(ImageError::Chunk { index: at, .. }) if at as usize == index),
                "byte {at} of chunk {index}"
            );
            assert_eq!(restore.feed(chunk), Err(ImageError::Refused));
            assert_eq!(restore.finish().err(), Some(ImageError::Refused));
        }
    }
}

#[test]
fn truncated_reordered_repeated_missing_and_foreign_chunks_are_refused() {
    let chunks = chunks_of(freeze(&mut shards(2, 20_000)));
    assert!(chunks.len() > 4);
    for len in [0, 1, 39, 40, 41, chunks[1].len() - 1] {
        assert!(load([&chunks[0], &chunks[1][..len].to_vec()]).is_err());
    }
    assert!(load([&chunks[0], &[&chunks[1][..], b"x"].concat()]).is_err());
    for index in 0..chunks.len() {
        let missing = chunks.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, chunk)| chunk);
        assert!(load(missing).is_err());
        let repeated = chunks[..=index].iter().chain(&chunks[index..]);
        assert!(load(repeated).is_err());
    }
    let mut swapped = chunks.clone();
    swapped.swap(1, 2);
    assert!(load(&swapped).is_err());
    let mut other = shards(2, 20_000);
    let frozen = other.iter_mut().map(Keyspace::freeze).collect();
    let foreign = chunks_of(FrozenVersion::new(ImageMeta { cut: Lsn(78), ..meta() }, frozen));
    assert_eq!(
        load(chunks[..2].iter().chain(&foreign[2..])).err(),
        Some(ImageError::Chunk { index: 2, what: "it belongs to another image" })
    );
    assert_eq!(load([]).err(), Some(ImageError::Incomplete { there: 0, expected: 0 }));
    let pool = PagePool::new(1 << 20);
    assert!(matches!(load_into(&pool, &chunks), Err(ImageError::Memory(_))));
    assert_eq!(pool.bytes_in_use(), 0, "nothing stays behind");
}

/// Damage under a right checksum: refused, or (in the bytes of a value) a whole keyspace with another value. Never a crash.
#[test]
fn damage_under_a_right_checksum_never_crashes() {
    let chunks = chunks_of(freeze(&mut shards(1, 600)));
    assert_eq!(chunks.len(), 2);
    let pool = PagePool::new(0);
    let mut random = Random(4);
    let (mut refused, mut taken) = (0, 0);
    for round in 0..20_000 {
        let mut damaged = chunks[1].clone();
        for _ in 0..=random.below(2) {
            // Rather at the start of pages, where headers are, and sometimes anywhere.
            let pages = (damaged.len() - chunk::HEAD_BYTES) / (PAGE_BYTES + 4);
            let (page, within) = match round % 4 {
                0 => (random.below(pages as u64), random.below(PAGE_BYTES as u64)),
                // In the superblock: databases, and the handles of their tables.
                1 => (0, 4096 + random.below(48)),
                _ => (random.below(pages as u64), random.below(300)),
            };
            let at = damaged.len() - PAGE_BYTES * (pages - page as usize) + within as usize;
            damaged[at] = random.next() as u8;
        }
        chunk::seal(&mut damaged);
        match load_into(&pool, [&chunks[0], &damaged]) {
            Err(_) => refused += 1,
            Ok(mut image) => {
                taken += 1;
                let frozen = image.shards[0].freeze();
                let mut keys = 0;
                for database in (0..DATABASES as u8).map(DatabaseId) {
                    let mut visit = |entry: Entry<'_>| keys += entry.value().chunks().count().min(1);
                    while frozen.scan(database, 0, usize::MAX, &mut visit) != 0 {}
                }
                assert!(keys > 500);
                // What is taken can also be worked with.
                for _ in 0..10 {
                    apply(&mut image.shards[0], &effect(&mut random, 700));
                }
                image.shards[0].check(0, 1).unwrap();
            }
        }
    }
    println!("{refused} refused, {taken} taken");
    assert!(refused > 5000);
}

#[test]
fn a_shard_of_another_number_is_refused() {
    let mut shards = shards(2, 100);
    shards.swap(0, 1);
    let chunks = chunks_of(freeze(&mut shards));
    assert_eq!(
        load(&chunks).err(),
        Some(ImageError::Structure { shard: ShardId(0), what: "a record is not where its key belongs" })
    );
}

/// Writers that go on during the walk: what they make the walk keep goes first, and the image is that of the freeze.
#[test]
fn pages_that_are_kept_for_the_walk_alone_go_first() {
    let pool = PagePool::new(0);
    let mut live = shards_in(&pool, 4, 30_000);
    let before = freeze(&mut live).content_hash();
    let version = freeze(&mut live);
    let hasher = KeyHasher::new(SEED);
    let mut number = 0_u32;
    let mut overwrite = |live: &mut [Keyspace], keys: u32| {
        for _ in 0..keys {
            number += 1;
            let name = format!("key{}", number * 7919 % 30_000);
            let key = hasher.key(name.as_bytes());
            // The last shards only, which come last in turn.
            let shard = key.shard(4).0 as usize;
            if shard >= 2 {
                live[shard].set(&key, b"new", None).unwrap();
            }
        }
    };
    overwrite(&mut live, 30_000);
    let kept = || pool.bytes_retired() / PAGE_BYTES as u64;
    let (mut walk, mut chunks, mut out) = (version.into_chunks(), Vec::new(), Vec::new());
    let at_first = kept();
    assert!(at_first > 130, "enough for two chunks: {at_first}");
    while walk.next_chunk(&mut out) {
        chunks.push(out.clone());
        if chunks.len() == 3 {
            assert!(kept() <= at_first - 2 * 63, "{} of {at_first} pages are still kept", kept());
        }
        overwrite(&mut live, 500);
    }
    assert_eq!(kept(), 0);
    let mut restored = load(&chunks).unwrap();
    assert_eq!(freeze(&mut restored.shards).content_hash(), before);
}
