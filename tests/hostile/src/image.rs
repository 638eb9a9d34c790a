//! Images: chunks as a joining node loads them, and the manifest that the vault reads.

use std::sync::{Arc, OnceLock};

use tanist_db_core::clock::UnixMillis;
use tanist_db_core::engine::{Engine, EngineOptions, MEMORY_MAX, Session};
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::image::{ImageRestore, PagePool};
use tanist_replication::vault::catalog::{CatalogMemory, Records};
use tanist_replication::vault::disk::sim::DiskSim;
use tanist_replication::vault::envelope;
use tanist_replication::vault::images::ImageStore;
use tanist_replication::wire::frame::{FrameKind, FrameReader, seal};

use crate::command::execute;

const CLUSTER: u128 = 7;
/// A chunk's own head: length of the body at 32, checksum of the rest at 36.
const HEAD_BYTES: usize = 40;
/// Bytes of a change: where in the image (4), and what is put there (4).
const CHANGE_BYTES: usize = 8;

/// The chunks of a small image with short, long and expiring values.
fn chunks() -> &'static [Vec<u8>] {
    static CHUNKS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CHUNKS.get_or_init(|| {
        let engine = Engine::new(EngineOptions { shards: 1, hash_seed: 3, ..EngineOptions::default() });
        engine.begin_epoch(Epoch(1)).expect("a newer epoch");
        let mut session = Session::new(1);
        let mut set = |words: &[&str]| execute(&engine, &mut session, words, 1_000_000);
        for i in 0..40 {
            set(&["SET", &format!("key{i}"), &"v".repeat(i * 7), "PX", &format!("{}", 1_000 + i)]);
        }
        set(&["SET", "long", &"x".repeat(40_000)]);
        // Small collections, and large ones: by a long member, or by many elements.
        for (key, member) in [("1", "m".to_owned()), ("2", "m".repeat(100))] {
            set(&["HSET", &format!("hash{key}"), &member, "value", "b", &member]);
            set(&["SADD", &format!("set{key}"), &member, "1", "2"]);
            set(&["ZADD", &format!("sorted{key}"), "1", &member, "2.5", "b", "2.5", "c"]);
            set(&["RPUSH", &format!("list{key}"), &member, "b", &"x".repeat(if key == "1" { 9 } else { 5_000 })]);
        }
        set(&["SADD", "integers", "1", "2", "300000"]);
        engine.change_settings(&[(MEMORY_MAX, Some(1 << 30))], || Ok(())).expect("nobody holds the shard");
        let (mut walk, mut chunks, mut out) = (engine.freeze().into_chunks(), Vec::new(), Vec::new());
        while walk.next_chunk(&mut out) {
            chunks.push(out.clone());
        }
        chunks
    })
}

/// The bytes as a chunk, as changes of a good image that is sealed again, and as a manifest.
pub fn read(bytes: &[u8]) {
    let _ = ImageRestore::new(PagePool::new(0)).feed(bytes);
    let mut image = chunks().to_vec();
    let total: usize = image.iter().map(Vec::len).sum();
    for change in bytes.chunks_exact(CHANGE_BYTES).take(16) {
        let (at, value) = change.split_at(4);
        let at = u32::from_le_bytes(at.try_into().expect("four bytes")) as usize % total;
        put(&mut image, at, value);
    }
    image.iter_mut().for_each(|chunk| seal_again(chunk));
    load(&image);
    manifest(bytes);
}

fn put(image: &mut [Vec<u8>], mut at: usize, value: &[u8]) {
    for chunk in image {
        if at < chunk.len() {
            chunk[at..].iter_mut().zip(value).for_each(|(byte, value)| *byte = *value);
            return;
        }
        at -= chunk.len();
    }
}

fn seal_again(chunk: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&chunk[..36]), &chunk[HEAD_BYTES..]);
    chunk[36..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// What is done to the collections of an image: reading, changing, copying, deleting.
const COLLECTION_CALLS: &[&str] = &[
    "HGETALL hash1",
    "HGETALL hash2",
    "HSET hash1 new 1",
    "HSET hash2 new 1 b 2",
    "HDEL hash2 b",
    "HRANDFIELD hash2 5",
    "HSCAN hash2 0",
    "SADD integers 7 x",
    "SADD set2 7",
    "SUNIONSTORE both set1 set2 integers",
    "SPOP set2 2",
    "ZRANGE sorted2 0 -1 WITHSCORES",
    "ZADD sorted1 7 new",
    "ZADD sorted2 7 new 9 b",
    "ZRANK sorted2 c",
    "ZRANGEBYLEX sorted2 - +",
    "ZPOPMIN sorted2 2",
    "LRANGE list2 0 -1",
    "LSET list2 1 new",
    "LINSERT list1 BEFORE b a",
    "LREM list2 0 new",
    "LMOVE list2 list1 RIGHT LEFT",
    "COPY sorted2 copy1",
    "COPY list2 copy2",
    "COPY hash2 copy3",
    "RENAME set1 copy4",
    "MEMORY USAGE list2",
    "DEL hash1 hash2 set2 sorted1 sorted2 list1 list2 integers both copy1",
];

/// An image that is accepted must bear whatever is done to it.
fn load(image: &[Vec<u8>]) {
    let pool = PagePool::new(0);
    let mut restore = ImageRestore::new(Arc::clone(&pool));
    if image.iter().any(|chunk| restore.feed(chunk).is_err()) {
        return;
    }
    let Ok(restored) = restore.finish() else { return };
    let engine = Engine::restored(restored, &pool, 64 << 20);
    engine.begin_epoch(Epoch(u64::MAX - 1)).expect("a newer epoch");
    let mut session = Session::new(1);
    for i in 0..40 {
        let key = format!("key{i}");
        for words in [&["GET", &key][..], &["APPEND", &key, "more"], &["EXPIRE", &key, "9"], &["SET", &key, "new"]] {
            execute(&engine, &mut session, words, 1_000_500);
        }
    }
    for line in COLLECTION_CALLS {
        execute(&engine, &mut session, &line.split(' ').collect::<Vec<_>>(), 1_000_500);
    }
    engine.expire_due(UnixMillis(2_000_000), 1_000);
    execute(&engine, &mut session, &["FLUSHALL"], 1);
    assert_eq!(engine.keys(), 0);
}

/// The bytes in the place of an image's manifest, bare and sealed.
fn manifest(bytes: &[u8]) {
    let (disk, catalog) = stored();
    let path = disk.paths().into_iter().find(|path| path.ends_with("/manifest")).expect("an image has one");
    let name = path.split('/').nth(1).expect("it is in the image's folder").to_owned();
    for content in [bytes.to_vec(), envelope::seal(&name, bytes)] {
        let fork = disk.fork();
        fork.tamper(&path, &content);
        let Ok(store) = ImageStore::open(Arc::new(fork), CLUSTER, Records::new(Arc::new(catalog.fork()))) else {
            continue;
        };
        let Ok(Some(mut reader)) = store.open_newest() else { continue };
        while reader.read(1 << 20).is_ok_and(|frames| !frames.is_empty()) {}
    }
}

fn stored() -> (DiskSim, CatalogMemory) {
    static STORED: OnceLock<(DiskSim, CatalogMemory)> = OnceLock::new();
    let (disk, catalog) = STORED.get_or_init(|| {
        let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
        let records = Records::new(Arc::new(catalog.clone()));
        let store = ImageStore::open(Arc::new(disk.clone()), CLUSTER, records).expect("an empty disk");
        let sealed = seal(FrameKind::Chunk, b"a chunk");
        let frame = futures_util::FutureExt::now_or_never(FrameReader::new(&sealed[..]).next());
        let frame = frame.expect("a slice is ready").expect("it was sealed").expect("it is there");
        let mut upload = store.begin(Lsn(5), Epoch(1)).expect("room");
        upload.add(&[frame]).expect("room");
        store.publish(upload.finish(1, 7, UnixMillis(1)).expect("all is there")).expect("the newest");
        (disk, catalog)
    });
    (disk.fork(), catalog.fork())
}

/// A header chunk, no change at all, a few changes, and a manifest.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let (disk, _) = stored();
    let path = disk.paths().into_iter().find(|path| path.ends_with("/manifest")).expect("an image has one");
    let manifest = disk.content(&path);
    let at = |place: u32, value: u32| [place.to_le_bytes(), value.to_le_bytes()].concat();
    let second = chunks()[0].len() as u32 + HEAD_BYTES as u32;
    vec![
        chunks()[0].clone(),
        Vec::new(),
        at(second + 64, 0),
        [at(second + 16_400, 1), at(second + 33_000, u32::MAX), at(60, 2)].concat(),
        manifest.clone(),
        manifest[16..].to_vec(),
    ]
}
