//! Measures the engine's heart against a hash map behind the same kind of lock.
//!
//! `cargo run --release -p tanist-db-core --example micro [keys, default 1000000]`

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measuring program prints and reads the clock")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tanist_db_core::arena::PagePool;
use tanist_db_core::clock::UnixMillis;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::image::{FrozenVersion, ImageMeta, ImageRestore};
use tanist_db_core::keyspace::{KeyHasher, Keyspace};

const SHARDS: u16 = 16;
const SEED: u64 = 1;
const VALUE_BYTES: usize = 100;

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
        shard(shards, &key).lock().set(&key, &value, None).expect("no bound");
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
        shard(&shards, &key).lock().set(&key, &[number as u8; VALUE_BYTES], None).expect("no bound");
    }
    println!("tanist   load          {:7.1} ns", per(start.elapsed(), keys));
    let bytes: u64 = shards.iter().map(|shard| shard.lock().memory_bytes()).sum();
    println!("tanist   bytes per key {:7.1}", bytes as f64 / keys as f64);
    for round in 0..3 {
        println!("tanist   get           {:7.1} ns (round {round})", get_all(&shards, keys, 2_000_000));
        println!("tanist   set           {:7.1} ns (round {round})", set_all(&shards, keys, 2_000_000));
    }
    let mut pauses = Vec::new();
    for _ in 0..20 {
        let (version, pause) = freeze(&shards);
        pauses.push(pause);
        set_all(&shards, keys, 20_000);
        drop(version);
    }
    pauses.sort();
    let gib = bytes as f64 / f64::from(1 << 30);
    println!(
        "tanist   freeze pause  {:7.1} us median, {:.1} us max, at {gib:.2} GiB",
        pauses[10].as_nanos() as f64 / 1e3,
        pauses[19].as_nanos() as f64 / 1e3
    );
    let (version, _) = freeze(&shards);
    println!("tanist   set, frozen   {:7.1} ns (first 100,000 after a freeze)", set_all(&shards, keys, 100_000));
    println!("tanist   set, frozen   {:7.1} ns (next 1,000,000)", set_all(&shards, keys, 1_000_000));
    println!("tanist   get, frozen   {:7.1} ns", get_all(&shards, keys, 1_000_000));
    let copied: u64 = shards.iter().map(|shard| shard.lock().stats().pages_copied).sum();
    println!("tanist   pages copied  {copied}");
    drop(version);
    let (version, _) = freeze(&shards);
    let start = Cpu::now();
    let hash = version.content_hash();
    println!("tanist   content hash  {:7.2} GiB/s ({hash:032x})", gib / start.elapsed().as_secs_f64());
    image(version, gib, &pool);
    expiries(&shards, keys);
}

fn image(version: FrozenVersion, gib: f64, pool: &Arc<PagePool>) {
    let mut restore = ImageRestore::new(Arc::clone(pool));
    let (mut walking, mut feeding) = (Duration::ZERO, Duration::ZERO);
    let mut walk = version.into_chunks();
    let mut chunk = Vec::new();
    loop {
        let start = Cpu::now();
        if !walk.next_chunk(&mut chunk) {
            break;
        }
        walking += start.elapsed();
        let start = Cpu::now();
        restore.feed(&chunk).expect("an own image");
        feeding += start.elapsed();
    }
    let start = Cpu::now();
    let restored = restore.finish().expect("an own image");
    println!("image    walk          {:7.2} GiB/s", gib / walking.as_secs_f64());
    println!("image    feed          {:7.2} GiB/s", gib / feeding.as_secs_f64());
    println!("image    verify        {:7.2} GiB/s", gib / start.elapsed().as_secs_f64());
    drop(restored);
}

fn expiries(shards: &Shards, keys: u64) {
    let hasher = KeyHasher::new(SEED);
    let start = Cpu::now();
    for number in numbers(keys, 500_000) {
        let name = name(number);
        let key = hasher.key(&name);
        let expire = Some(UnixMillis(number.wrapping_mul(0x9e37_79b9) % 1_000_000));
        shard(shards, &key).lock().set_expire(&key, expire).expect("no bound");
    }
    println!("tanist   set_expire    {:7.1} ns", per(start.elapsed(), 500_000));
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
    println!("hash map load          {:7.1} ns", per(start.elapsed(), keys));
    for round in 0..3 {
        let start = Cpu::now();
        let mut sum = 0;
        for number in numbers(keys, 2_000_000) {
            let name = name(number);
            let key = hasher.key(&name);
            sum += maps[key.shard(SHARDS).0 as usize].lock().get(&name[..]).map_or(0, |value| u64::from(value[99]));
        }
        black_box(sum);
        println!("hash map get           {:7.1} ns (round {round})", per(start.elapsed(), 2_000_000));
        let start = Cpu::now();
        for number in numbers(keys, 2_000_000) {
            let name = name(number);
            let key = hasher.key(&name);
            let value = [number as u8; VALUE_BYTES];
            maps[key.shard(SHARDS).0 as usize].lock().insert(name.into(), value.into());
        }
        println!("hash map set           {:7.1} ns (round {round})", per(start.elapsed(), 2_000_000));
    }
}

fn main() {
    let keys = std::env::args().nth(1).and_then(|keys| keys.parse().ok()).unwrap_or(1_000_000);
    ours(keys);
    maps(keys);
}
