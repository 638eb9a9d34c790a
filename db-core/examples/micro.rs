//! Measures the engine's heart against a hash map behind the same kind of lock.
//!
//! `cargo run --release -p tanist-db-core --example micro [--json] [keys, default 1000000]`
//!
//! With `--json` each figure is an object on a line of its own: `{"who", "what", "value", "unit", "note"}`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measuring program prints and reads the clock")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tanist_db_core::arena::{PAGE_BYTES, PagePool};
use tanist_db_core::clock::UnixMillis;
use tanist_db_core::effect::{KeyChange, change};
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::image::{FrozenVersion, ImageMeta, ImageRestore};
use tanist_db_core::keyspace::{Key, KeyHasher, Keyspace};
use tanist_db_core::types::string::StringChange;

const SHARDS: u16 = 16;
const SEED: u64 = 1;
const VALUE_BYTES: usize = 100;

/// One figure, for people or for programs.
fn say(who: &str, what: &str, value: f64, unit: &str, note: &str) {
    if std::env::args().any(|arg| arg == "--json") {
        // What was too short to measure divides to infinity, which JSON does not know.
        let value = if value.is_finite() { value.to_string() } else { "null".to_owned() };
        println!(r#"{{"who":"{who}","what":"{what}","value":{value},"unit":"{unit}","note":"{note}"}}"#);
    } else {
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        println!("{who:8} {what:14} {value:11.2} {unit}{note}");
    }
}

type Shards = Vec<Mutex<Keyspace>>;
type Maps = Vec<Mutex<HashMap<Box<[u8]>, Box<[u8]>, Seeded>>>;

/// What the binary uses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The same hash function for the map, so that only the structures differ.
#[derive(Default)]
struct Xxh3(u64);

impl std::hash::Hasher for Xxh3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= xxhash_rust::xxh3::xxh3_64(bytes);
    }
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}

type Seeded = std::hash::BuildHasherDefault<Xxh3>;

fn name(number: u64) -> [u8; 16] {
    let mut name = *b"key:000000000000";
    let mut left = number;
    for digit in name[4..].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    name
}

/// A sequence that visits numbers below `keys` at random.
fn numbers(keys: u64, count: u64) -> impl Iterator<Item = u64> {
    let mut state = 88_172_645_463_325_252u64;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % keys
    })
}

/// A moment of this thread's own time on a processor, so that a busy machine disturbs less.
#[derive(Clone, Copy)]
struct Cpu(Duration);

impl Cpu {
    fn now() -> Cpu {
        let stat =
            std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel keeps scheduler statistics");
        let nanos =
            stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("the first is time on a processor");
        Cpu(Duration::from_nanos(nanos))
    }

    fn elapsed(self) -> Duration {
        Cpu::now().0 - self.0
    }
}

fn per(elapsed: Duration, count: u64) -> f64 {
    elapsed.as_nanos() as f64 / count as f64
}

fn shard<'a>(shards: &'a Shards, key: &tanist_db_core::keyspace::Key<'_>) -> &'a Mutex<Keyspace> {
    &shards[key.shard(SHARDS).0 as usize]
}

fn get_all(shards: &Shards, keys: u64, count: u64) -> f64 {
    let hasher = KeyHasher::new(SEED);
    let start = Cpu::now();
    let mut sum = 0;
    for number in numbers(keys, count) {
        let name = name(number);
        let key = hasher.key(&name);
        let shard = shard(shards, &key).lock();
        sum +=
            shard.get(&key).and_then(|entry| entry.value().as_slice().map(|value| u64::from(value[99]))).unwrap_or(0);
    }
    black_box(sum);
    per(start.elapsed(), count)
}

fn set_all(shards: &Shards, keys: u64, count: u64) -> f64 {
    let hasher = KeyHasher::new(SEED);
    let start = Cpu::now();
    for number in numbers(keys, count) {
        let name = name(number);
        let key = hasher.key(&name);
        let value = [number as u8; VALUE_BYTES];
        set(&mut shard(shards, &key).lock(), &key, &value);
    }
    per(start.elapsed(), count)
}

fn freeze(shards: &Shards) -> (FrozenVersion, Duration) {
    let start = Instant::now();
    let frozen = {
        let mut guards: Vec<_> = shards.iter().map(Mutex::lock).collect();
        guards.iter_mut().map(|shard| shard.freeze()).collect()
    };
    let pause = start.elapsed();
    let meta = ImageMeta { cut: Lsn(1), epoch: Epoch(1), hash_seed: SEED };
    (FrozenVersion::new(meta, frozen), pause)
}

fn ours(keys: u64) {
    let pool = PagePool::new(0);
    let shards: Shards = (0..SHARDS).map(|_| Mutex::new(Keyspace::new(&pool, SEED).expect("no bound"))).collect();
    let hasher = KeyHasher::new(SEED);
    let start = Cpu::now();
    for number in 0..keys {
        let name = name(number);
        let key = hasher.key(&name);
        set(&mut shard(&shards, &key).lock(), &key, &[number as u8; VALUE_BYTES]);
    }
    say("tanist", "load", per(start.elapsed(), keys), "ns", "");
    let bytes: u64 = shards.iter().map(|shard| shard.lock().memory_bytes()).sum();
    say("tanist", "bytes per key", bytes as f64 / keys as f64, "bytes", "");
    for round in 0..3 {
        say("tanist", "get", get_all(&shards, keys, 2_000_000), "ns", &format!("round {round}"));
        say("tanist", "set", set_all(&shards, keys, 2_000_000), "ns", &format!("round {round}"));
    }
    let copied = || pool.bytes_retired() / PAGE_BYTES as u64;
    let (mut pauses, mut copied_before) = (Vec::new(), 0);
    for _ in 0..20 {
        let (version, pause) = freeze(&shards);
        pauses.push(pause);
        set_all(&shards, keys, 20_000);
        copied_before += copied();
        drop(version);
    }
    pauses.sort();
    let gib = bytes as f64 / f64::from(1 << 30);
    say("tanist", "freeze, median", pauses[10].as_nanos() as f64 / 1e3, "us", &format!("at {gib:.2} GiB"));
    say("tanist", "freeze, max", pauses[19].as_nanos() as f64 / 1e3, "us", "of 20");
    let (version, _) = freeze(&shards);
    say("tanist", "set, frozen", set_all(&shards, keys, 100_000), "ns", "first 100,000 after a freeze");
    say("tanist", "set, then", set_all(&shards, keys, 1_000_000), "ns", "next 1,000,000");
    say("tanist", "get, frozen", get_all(&shards, keys, 1_000_000), "ns", "");
    say("tanist", "pages copied", (copied_before + copied()) as f64, "pages", "");
    drop(version);
    let (version, _) = freeze(&shards);
    let start = Cpu::now();
    let hash = version.content_hash();
    say("tanist", "content hash", gib / start.elapsed().as_secs_f64(), "GiB/s", &format!("{hash:032x}"));
    image(version, gib, &pool);
    expiries(&shards, keys);
}

fn image(version: FrozenVersion, gib: f64, pool: &Arc<PagePool>) {
    let mut restore = ImageRestore::new(Arc::clone(pool));
    let (mut walking, mut feeding) = (Duration::ZERO, Duration::ZERO);
    let mut walk = version.into_chunks();
    // Many at a time, since the kernel counts a thread's time in steps of milliseconds; into memory that has been touched.
    let mut chunks: Vec<Vec<u8>> = vec![vec![1; 2 << 20]; 32];
    let mut more = true;
    while more {
        let start = Cpu::now();
        let filled = chunks.iter_mut().map(|chunk| walk.next_chunk(chunk)).take_while(|more| *more).count();
        walking += start.elapsed();
        more = filled == chunks.len();
        let start = Cpu::now();
        for chunk in &chunks[..filled] {
            restore.feed(chunk).expect("an own image");
        }
        feeding += start.elapsed();
    }
    let start = Cpu::now();
    let restored = restore.finish().expect("an own image");
    say("image", "bytes", gib * f64::from(1 << 30), "bytes", "");
    say("image", "walk", gib / walking.as_secs_f64(), "GiB/s", "");
    say("image", "feed", gib / feeding.as_secs_f64(), "GiB/s", "");
    say("image", "verify", gib / start.elapsed().as_secs_f64(), "GiB/s", "");
    drop(restored);
}

fn expiries(shards: &Shards, keys: u64) {
    let hasher = KeyHasher::new(SEED);
    let start = Cpu::now();
    for number in numbers(keys, 500_000) {
        let name = name(number);
        let key = hasher.key(&name);
        let expire = Some(UnixMillis(number.wrapping_mul(0x9e37_79b9) % 1_000_000));
        let mut shard = shard(shards, &key).lock();
        let mut at = shard.locate(&key);
        change(&mut shard, &mut at, &KeyChange::Expire(expire)).expect("no bound");
    }
    say("tanist", "set_expire", per(start.elapsed(), 500_000), "ns", "");
}

fn maps(keys: u64) {
    let maps: Maps = (0..SHARDS).map(|_| Mutex::default()).collect();
    let hasher = KeyHasher::new(SEED);
    let start = Cpu::now();
    for number in 0..keys {
        let name = name(number);
        let key = hasher.key(&name);
        let value = [number as u8; VALUE_BYTES];
        maps[key.shard(SHARDS).0 as usize].lock().insert(name.into(), value.into());
    }
    say("hash map", "load", per(start.elapsed(), keys), "ns", "");
    for round in 0..3 {
        let start = Cpu::now();
        let mut sum = 0;
        for number in numbers(keys, 2_000_000) {
            let name = name(number);
            let key = hasher.key(&name);
            sum += maps[key.shard(SHARDS).0 as usize].lock().get(&name[..]).map_or(0, |value| u64::from(value[99]));
        }
        black_box(sum);
        say("hash map", "get", per(start.elapsed(), 2_000_000), "ns", &format!("round {round}"));
        let start = Cpu::now();
        for number in numbers(keys, 2_000_000) {
            let name = name(number);
            let key = hasher.key(&name);
            let value = [number as u8; VALUE_BYTES];
            maps[key.shard(SHARDS).0 as usize].lock().insert(name.into(), value.into());
        }
        say("hash map", "set", per(start.elapsed(), 2_000_000), "ns", &format!("round {round}"));
    }
}

fn main() {
    let keys = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    ours(keys);
    maps(keys);
}

fn set(shard: &mut Keyspace, key: &Key<'_>, value: &[u8]) {
    let mut at = shard.locate(key);
    change(shard, &mut at, &StringChange::Set { value, expire: None }).expect("no bound");
}
