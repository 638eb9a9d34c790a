//! Moving in: dump files of real servers are imported into a running pair, and every key is compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use rustix::process::Signal;
use tanist_test_support::skip;

use crate::harness::{Cluster, PATIENCE, TANIST, seed, signal};
use crate::redis::{Raw, Redis, words};

/// Databases that are filled.
const DATABASES: [u8; 3] = [0, 3, 15];

/// Settings under which a server writes other layouts of the same values.
pub(crate) const SETTINGS: [&[&str]; 3] = [
    &["--rdbcompression", "yes"],
    // Everything in tables and lists of many pieces.
    &[
        "--rdbcompression",
        "no",
        "--list-max-listpack-size",
        "3",
        "--hash-max-listpack-entries",
        "0",
        "--zset-max-listpack-entries",
        "0",
        "--set-max-intset-entries",
        "0",
        "--list-compress-depth",
        "1",
    ],
    // Everything in one piece.
    &[
        "--list-max-listpack-size",
        "-5",
        "--hash-max-listpack-entries",
        "10000",
        "--hash-max-listpack-value",
        "10000",
        "--zset-max-listpack-entries",
        "10000",
        "--set-max-intset-entries",
        "10000",
    ],
];

/// A server that writes its dump into a folder of its own.
pub(crate) struct Dumping {
    server: Redis,
    folder: tempfile::TempDir,
}

impl Dumping {
    pub(crate) fn start(program: &str, options: &[&str]) -> Option<Dumping> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().display().to_string();
        let server = Redis::with(program, &[&["--dir", &path], options].concat())?;
        Some(Dumping { server, folder })
    }

    pub(crate) fn raw(&self) -> Raw {
        Raw::connect(self.server.port)
    }

    /// The file of its content.
    pub(crate) fn save(&self) -> PathBuf {
        assert_eq!(self.raw().ask(&words("SAVE")), "+OK\r\n");
        self.folder.path().join("dump.rdb")
    }
}

pub(crate) fn call(raw: &mut Raw, args: Vec<Vec<u8>>) {
    let reply = raw.ask(&args);
    assert!(!reply.starts_with('-'), "{reply}");
}

/// Keys of all types, small and large, with values that servers write in different ways.
pub(crate) fn fill(raw: &mut Raw, rng: &mut StdRng) {
    for database in DATABASES {
        call(raw, words(&format!("SELECT {database}")));
        for (number, value) in strings(rng).into_iter().enumerate() {
            call(raw, vec![b"SET".to_vec(), format!("s{number}").into_bytes(), value]);
        }
        for count in [1, 5, 100, 130, 600, 3000] {
            collections(raw, rng, count);
            stream(raw, rng, count);
        }
        for line in ["XADD x0 7-7 f v", "XDEL x0 7-7", "XGROUP CREATE x0 g 7 ENTRIESREAD 5"] {
            call(raw, words(line));
        }
        for line in ["PEXPIRE s0 100000000", "PEXPIRE l5 100000000", "PEXPIRE h600 100000000", "PEXPIRE z130 100000000"]
        {
            call(raw, words(line));
        }
    }
}

fn strings(rng: &mut StdRng) -> Vec<Vec<u8>> {
    let mut bytes = vec![0; 100_000];
    rng.fill_bytes(&mut bytes);
    let mut all: Vec<Vec<u8>> =
        ["", "0", "-1", "127", "-129", "40000", "-2147483648", "9223372036854775807", "007", "1.5"]
            .map(|text| text.as_bytes().to_vec())
            .into();
    all.extend([
        b"ab".repeat(3_000),
        vec![b'x'; 20],
        bytes[..63].to_vec(),
        bytes[..64].to_vec(),
        bytes[..16_383].to_vec(),
    ]);
    all.extend([bytes[..16_384].to_vec(), bytes, vec![b'z'; 3_000_000]]);
    all
}

/// The arguments that make a member: its value, if it has one, and its name.
type Member = Box<dyn FnMut(&mut StdRng, usize) -> Vec<Vec<u8>>>;

fn collections(raw: &mut Raw, rng: &mut StdRng, count: usize) {
    let element = |rng: &mut StdRng| match rng.random_range(0..4) {
        0 => rng.random_range(-5_000_000_000i64..5_000_000_000).to_string().into_bytes(),
        1 => rng.random_range(-300..300).to_string().into_bytes(),
        2 => vec![b'e'; rng.random_range(0..200)],
        _ => (0..rng.random_range(1..40)).map(|_| rng.random()).collect(),
    };
    let mut make = |name: &str, key: &str, mut each: Member| {
        let mut args = vec![name.as_bytes().to_vec(), format!("{key}{count}").into_bytes()];
        (0..count).for_each(|at| args.extend(each(rng, at)));
        call(raw, args);
    };
    make("RPUSH", "l", Box::new(move |rng, _| vec![element(rng)]));
    make("SADD", "small-integers", Box::new(|rng, _| vec![rng.random_range(-30_000..30_000).to_string().into_bytes()]));
    make("SADD", "integers", Box::new(|rng, _| vec![rng.random::<i64>().to_string().into_bytes()]));
    make("SADD", "set", Box::new(|rng, at| vec![format!("m{at}-{}", rng.random::<u8>()).into_bytes()]));
    make("HSET", "h", Box::new(move |rng, at| vec![format!("f{at}").into_bytes(), element(rng)]));
    let score = |rng: &mut StdRng| match rng.random_range(0..5) {
        0 => "inf".to_owned(),
        1 => "-inf".to_owned(),
        2 => rng.random_range(-1000..1000).to_string(),
        _ => format!("{:e}", rng.random::<f64>() * 10f64.powi(rng.random_range(-20..20))),
    };
    make("ZADD", "z", Box::new(move |rng, at| vec![score(rng).into_bytes(), format!("m{at}").into_bytes()]));
}

/// A stream with groups, to one of which some of it was delivered, and where something was deleted.
fn stream(raw: &mut Raw, rng: &mut StdRng, count: usize) {
    let key = format!("x{count}");
    for at in 0..count.min(800) {
        let name = if rng.random_range(0..5) == 0 { "other" } else { "field" };
        let long = if rng.random_range(0..300) == 0 { 9_000 } else { 20 };
        let value: Vec<u8> = match rng.random_range(0..3) {
            0 => rng.random_range(-70_000i64..5_000_000_000).to_string().into_bytes(),
            _ => (0..rng.random_range(0..long)).map(|_| rng.random()).collect(),
        };
        let id = format!("{}-{}", 1_700_000_000_000 + at / 3, at % 3 + 1);
        let fields = [name.into(), value, b"n".to_vec(), at.to_string().into_bytes()];
        call(raw, [b"XADD".to_vec(), key.clone().into_bytes(), id.into_bytes()].into_iter().chain(fields).collect());
    }
    for line in [
        "XGROUP CREATE KEY g 0",
        "XGROUP CREATE KEY h $",
        "XREADGROUP GROUP g alice COUNT 40 STREAMS KEY >",
        "XREADGROUP GROUP g bob COUNT 10 STREAMS KEY >",
        "XREADGROUP GROUP g alice COUNT 5 STREAMS KEY 0",
        "XDEL KEY 1700000000020-1",
    ] {
        call(raw, words(&line.replace("KEY", &key)));
    }
}

/// What there is of a stream: entries, what is noted of it and of its groups, and what is pending.
fn stream_content(mut ask: impl FnMut(&str, &[&str]) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let noted = ask("XINFO STREAM", &[]);
    let packing = |pair: &&[Vec<u8>]| !pair[0].starts_with(b"radix");
    let mut all = noted[..16].chunks(2).filter(packing).flatten().cloned().collect::<Vec<_>>();
    all.extend(ask("XINFO GROUPS", &[]));
    all.extend(ask("XRANGE", &["-", "+"]));
    // But for when it was delivered.
    let pending = ask("XPENDING", &["g", "-", "+", "1000"]);
    all.extend(pending.chunks(4).flat_map(|entry| [entry[0].clone(), entry[1].clone(), entry[3].clone()]));
    all
}

/// Every key of a server: its database and name, and its type, expiry and value.
pub(crate) fn content(raw: &mut Raw) -> BTreeMap<(u8, Vec<u8>), Vec<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for database in 0..16 {
        call(raw, words(&format!("SELECT {database}")));
        for key in strings_of(&raw.ask_bytes(&words("KEYS *"))) {
            let mut ask = |name: &str, more: &[&str]| {
                let more = more.iter().map(|word| word.as_bytes().to_vec());
                let name = name.split(' ').map(|word| word.as_bytes().to_vec());
                let args: Vec<Vec<u8>> = name.chain([key.clone()]).chain(more).collect();
                strings_of(&raw.ask_bytes(&args))
            };
            let (kind, expiry) = (ask("TYPE", &[]), ask("PEXPIRETIME", &[]));
            let value = match kind[0].as_slice() {
                b"string" => ask("GET", &[]),
                b"list" => ask("LRANGE", &["0", "-1"]),
                b"set" => sorted(ask("SMEMBERS", &[]), 1),
                b"hash" => sorted(ask("HGETALL", &[]), 2),
                b"stream" => stream_content(ask),
                b"zset" => scores(ask("ZRANGE", &["0", "-1", "WITHSCORES"])),
                other => vec![other.to_vec()],
            };
            all.insert((database, key.clone()), [kind, expiry, value].concat());
        }
    }
    all
}

/// The strings of a reply: one, or those of an array.
pub(crate) fn strings_of(reply: &[u8]) -> Vec<Vec<u8>> {
    let (mut all, mut rest) = (Vec::new(), reply);
    while !rest.is_empty() {
        let end = rest.windows(2).position(|end| end == b"\r\n").expect("a line");
        let (line, behind) = (&rest[1..end], &rest[end + 2..]);
        rest = match rest[0] {
            b'*' => behind,
            b'$' if line != b"-1" => {
                let len: usize = String::from_utf8_lossy(line).parse().expect("a length");
                all.push(behind[..len].to_vec());
                &behind[len + 2..]
            }
            _ => {
                all.push(line.to_vec());
                behind
            }
        };
    }
    all
}

/// Members in an order, each of so many strings.
fn sorted(strings: Vec<Vec<u8>>, stride: usize) -> Vec<Vec<u8>> {
    let mut members: Vec<&[Vec<u8>]> = strings.chunks(stride).collect();
    members.sort();
    members.concat()
}

/// Redis 7.0 writes more digits of a score than it takes.
fn scores(strings: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let score = |text: &[u8]| format!("{:e}", String::from_utf8_lossy(text).parse::<f64>().expect("a score") + 0.0);
    let pairs = strings.chunks(2).flat_map(|pair| [pair[0].clone(), score(&pair[1]).into_bytes()]);
    pairs.collect()
}

pub(crate) fn same_content(theirs: &mut Raw, ours: &mut Raw) -> usize {
    let (expected, found) = (content(theirs), content(ours));
    for (key, value) in &expected {
        assert!(found.get(key) == Some(value), "{key:?} differs: {:?}", found.get(key).map(|value| &value[..2]));
    }
    assert_eq!(found.len(), expected.len());
    expected.len()
}

pub(crate) fn import(cluster: &Cluster, file: &Path, more: &[&str]) -> Output {
    let file = file.display().to_string();
    cluster.tool(&[&["import", &file], more].concat())
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_key_of_a_dump_is_imported_whatever_its_layout() {
    let cluster = Cluster::start();
    let mut rng = StdRng::seed_from_u64(seed());
    for (round, settings) in SETTINGS.into_iter().enumerate() {
        let redis = Dumping::start("redis-server", settings).expect("redis-server runs");
        fill(&mut redis.raw(), &mut rng);
        // From the second round on they replace what is there.
        let output = import(&cluster, &redis.save(), if round == 0 { &[] } else { &["--merge"] });
        assert!(output.status.success(), "{}\n{}", text(&output.stderr), cluster.logs());
        let keys = same_content(&mut redis.raw(), &mut Raw::connect(cluster.port));
        let summary = text(&output.stdout);
        assert!(summary.starts_with(&format!("imported {keys} keys in ")), "{summary}");
        assert!(summary.contains("18 hashes, 18 lists, 54 sets, 21 streams, 54 strings, 18 sorted sets"), "{summary}");
        assert!(summary.contains("with an expiry: 12\n") && summary.contains("in database 15: "), "{summary}");
        assert!(!summary.contains("left out"), "{summary}");
    }
    // The standby has it all too.
    let (primary, standby) = cluster.wait_for_equal();
    let before = content(&mut Raw::connect(primary.port));
    assert!(cluster.tool(&["switchover"]).status.success(), "{}", cluster.logs());
    assert!(content(&mut Raw::connect(standby.port)) == before);
}

#[test]
fn what_is_left_out_is_named() {
    let redis = Dumping::start("redis-server", &[]).expect("redis-server runs");
    let mut raw = redis.raw();
    for line in ["SET there v", "SET gone v PX 1", "XADD stream 1-1 f v", "XGROUP CREATE stream g 0", "SADD set short"]
    {
        call(&mut raw, words(line));
    }
    call(&mut raw, vec![b"SADD".to_vec(), b"set".to_vec(), vec![b'm'; 8193]]);
    call(&mut raw, vec![b"SET".to_vec(), vec![b'k'; 8193], b"v".to_vec()]);
    let library = "#!lua name=l\nredis.register_function('f', function() return 1 end)";
    call(&mut raw, vec![b"FUNCTION".to_vec(), b"LOAD".to_vec(), library.as_bytes().to_vec()]);
    let cluster = Cluster::start();
    let output = import(&cluster, &redis.save(), &[]);
    let (summary, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(65), "{error}");
    for line in [
        "imported 3 keys in ",
        "left out: keys longer than 8192 bytes: 1 (kkkk",
        "left out: fields and members longer than 8192 bytes, of keys that are there without them: 1 (set)\n",
        "left out: libraries of functions: 1\n",
    ] {
        assert!(summary.contains(line), "{line} is not in:\n{summary}");
    }
    assert!(error.contains("the file was imported, but not all of it: "), "{error}");
    let mut ours = Raw::connect(cluster.port);
    assert_eq!(ours.ask(&words("SMEMBERS set")), "*1\r\n$5\r\nshort\r\n");
    assert_eq!(ours.ask(&words("GET there")), "$1\r\nv\r\n");
}

/// Nothing is sent before the whole file was read.
#[test]
fn a_file_that_is_not_whole_changes_nothing() {
    let redis = Dumping::start("redis-server", &[]).expect("redis-server runs");
    let mut rng = StdRng::seed_from_u64(seed());
    fill(&mut redis.raw(), &mut rng);
    let file = redis.save();
    let whole = std::fs::read(&file).expect("the dump");
    let cluster = Cluster::start();
    let refused = |bytes: &[u8], code: i32| {
        let path = file.with_file_name("other.rdb");
        std::fs::write(&path, bytes).expect("written");
        let output = import(&cluster, &path, &[]);
        let error = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), String::new()), "{error}");
        assert_eq!(Raw::connect(cluster.port).ask(&words("INFO keyspace")).matches("keys=").count(), 0, "{error}");
        error
    };
    let mut flipped = whole.clone();
    let at = rng.random_range(9..whole.len());
    flipped[at] ^= 1 << rng.random_range(0..8);
    let error = refused(&flipped, 65);
    assert!(
        error.contains("its checksum does not fit") && error.contains("nothing was imported"),
        "byte {at}: {error}"
    );
    let len = rng.random_range(9..whole.len());
    let error = refused(&whole[..len], 65);
    let stops = "other.rdb is damaged or not complete: its checksum does not fit, and it cannot be read from byte ";
    assert!(error.contains(stops), "{len} bytes: {error}");
    let error = refused(b"*1\r\n$4\r\nPING\r\n", 78);
    assert!(error.contains("it does not begin as a dump of Redis or Valkey does"), "{error}");
    let error = refused(b"REDIS0099\xff\0\0\0\0\0\0\0\0", 78);
    assert!(error.contains("it is of version 99"), "{error}");
    assert!(refused(b"", 78).contains("it is too short"), "an empty file");

    // And a cluster that has keys is not mixed with a file by mistake.
    let mut ours = Raw::connect(cluster.port);
    call(&mut ours, words("SELECT 7"));
    call(&mut ours, words("SET mine v"));
    let output = import(&cluster, &file, &[]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        text(&output.stderr).contains("the cluster has 1 keys, so nothing was imported"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(content(&mut ours).len(), 1);
    assert!(import(&cluster, &file, &["--merge"]).status.success());
    assert_eq!(content(&mut ours).len(), 1 + content(&mut redis.raw()).len());
}

#[test]
fn an_import_survives_switchovers_and_kills() {
    let redis = Dumping::start("redis-server", &["--list-max-listpack-size", "-5"]).expect("redis-server runs");
    let mut raw = redis.raw();
    // A list that takes many batches, among many keys that take part of one.
    for piece in 0..100 {
        let elements = (0..1000).map(|at| format!("element {piece} {at} {}", "x".repeat(at % 500)).into_bytes());
        call(&mut raw, [b"RPUSH".to_vec(), b"long".to_vec()].into_iter().chain(elements).collect());
        let pairs = (0..500).flat_map(|at| [format!("key:{piece}:{at}").into_bytes(), b"v".repeat(at)]);
        call(&mut raw, std::iter::once(b"MSET".to_vec()).chain(pairs).collect());
        call(&mut raw, words(&format!("RPUSH list:{piece} a b c")));
    }
    let file = redis.save();
    let cluster = Cluster::start();
    let mut importing = Command::new(TANIST)
        .arg("import")
        .arg(&file)
        .arg("--data")
        .arg(cluster.data())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool runs");
    let start = std::time::Instant::now();
    let (mut switchovers, mut kills) = (0, 0);
    while importing.try_wait().expect("it can be waited for").is_none() {
        assert!(start.elapsed() < 5 * PATIENCE, "the import does not end\n{}", cluster.logs());
        let (primary, _) = cluster.wait_for_pair();
        if switchovers > kills {
            signal(primary.pid, Signal::KILL);
            kills += 1;
        } else if cluster.tool(&["switchover"]).status.success() {
            switchovers += 1;
        }
        std::thread::sleep(Duration::from_millis(150));
    }
    let output = importing.wait_with_output().expect("it has ended");
    println!("{switchovers} switchovers and {kills} kills in {:.1?}", start.elapsed());
    assert!(output.status.success(), "{}\n{}", text(&output.stderr), cluster.logs());
    assert!(switchovers > 0, "the import was over before anything happened");
    let (primary, _) = cluster.wait_for_pair();
    same_content(&mut raw, &mut Raw::connect(primary.port));
}

#[test]
fn a_dump_of_valkey_is_imported() {
    let Some(valkey) = Dumping::start("valkey-server", &[]) else {
        return skip("the import of a dump of Valkey", "a valkey-server on the PATH");
    };
    let mut raw = valkey.raw();
    fill(&mut raw, &mut StdRng::seed_from_u64(seed()));
    call(&mut raw, words("SELECT 0"));
    let cluster = Cluster::start();
    let output = import(&cluster, &valkey.save(), &[]);
    assert!(output.status.success(), "{}\n{}", text(&output.stderr), cluster.logs());
    same_content(&mut raw, &mut Raw::connect(cluster.port));

    call(&mut raw, words("SELECT 0"));
    call(&mut raw, words("HSET expiring a 1 b 2 c 3"));
    // Before version 9 fields do not expire.
    if raw.ask(&words("HPEXPIREAT expiring 9999999999999 FIELDS 2 a b")).starts_with('*') {
        let output = import(&cluster, &valkey.save(), &["--merge"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let mut ours = Raw::connect(cluster.port);
        same_content(&mut raw, &mut ours);
        call(&mut ours, words("SELECT 0"));
        let times = ours.ask(&words("HPEXPIRETIME expiring FIELDS 3 a b c"));
        assert_eq!(times, "*3\r\n:9999999999999\r\n:9999999999999\r\n:-1\r\n");
    }
}
