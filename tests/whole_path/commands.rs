//! The same commands to Tanist and to Debian's `redis-server`: the same answers, byte for byte, in both protocols.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::harness::{Cluster, rounds, seed};
use crate::redis::{Raw, Redis, free_port, words};

#[test]
fn random_commands_are_answered_as_redis_answers_them() {
    let mut rng = StdRng::seed_from_u64(seed());
    let redis = Redis::start();
    let cluster = Cluster::start();
    for protocol in ["2", "3"] {
        let mut theirs = Raw::connect(redis.port);
        let mut ours = Raw::connect(cluster.port);
        for raw in [&mut theirs, &mut ours] {
            raw.ask(&words("FLUSHALL"));
            raw.ask(&[b"HELLO".to_vec(), protocol.into()]);
        }
        let mut history = Vec::new();
        for _ in 0..rounds(4000) {
            let command = random_command(&mut rng);
            history.push(show(&command));
            let (expected, found) = (theirs.ask(&command), ours.ask(&command));
            let recent = history[history.len().saturating_sub(25)..].join("\n");
            assert_eq!(found, expected, "RESP{protocol}, after:\n{recent}");
        }
    }
}

/// What random sequences seldom reach: limits, overflows, syntax errors, one line each.
#[test]
fn corner_cases_are_answered_as_redis_answers_them() {
    let redis = Redis::start();
    let cluster = Cluster::start();
    let mut theirs = Raw::connect(redis.port);
    let mut ours = Raw::connect(cluster.port);
    for line in CORNERS.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let command = words(line);
        let (expected, found) = (theirs.ask(&command), ours.ask(&command));
        assert_eq!(found, expected, "{line}");
    }
}

/// The one reply to WAIT that differs on purpose is that of a primary: it counts the vault. A standby refuses as a replica does.
#[test]
fn wait_is_refused_by_a_standby_as_by_a_replica() {
    let redis = Redis::start();
    let cluster = Cluster::with_options(&["--standby", "refuse"]);
    let (_, standby) = cluster.wait_for_pair();
    let mut theirs = Raw::connect(redis.port);
    let nowhere = free_port().to_string();
    theirs.ask(&[b"REPLICAOF".to_vec(), b"127.0.0.1".to_vec(), nowhere.into_bytes()]);
    let mut ours = Raw::connect(standby.port);
    for line in ["WAIT 0 0", "WAIT x 0", "WAIT 1 x"] {
        assert_eq!(ours.ask(&words(line)), theirs.ask(&words(line)), "{line}");
    }
    assert_eq!(Raw::connect(cluster.port).ask(&words("WAIT 0 0")), ":1\r\n", "the vault counts as one");
}

const CORNERS: &str = "
    NOSUCH
    NOSUCH a b c
    SORT
    SORT missing
    SORT missing STORE
    SORT missing STORE to
    SORT missing LIMIT 1
    SORT missing LIMIT a 1
    SORT missing LIMIT 1 9223372036854775808
    SORT missing BY
    SORT missing GET
    SORT missing FOO
    SORT_RO missing STORE to
    SORT_RO missing ALPHA ASC DESC
    COMMAND GETKEYS SORT a BY store GET store STORE first STORE last LIMIT 0 store
    COMMAND GETKEYS SORT a STORE
    COMMAND GETKEYS SORT_RO a STORE b
    COMMAND GETKEYSANDFLAGS SORT a STORE b
    GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
    GEOADD Sicily CH XX 13.583333 37.316667 Palermo
    GEOADD Sicily NX XX 1 1 x
    GEOADD Sicily 181 1 x
    GEOADD Sicily 1 -86 x
    GEOADD Sicily 1 x
    GEOADD Sicily NX NX NX
    GEOPOS Sicily Palermo Rome Catania
    GEOPOS Sicily
    GEOPOS missing a b
    GEOHASH Sicily Palermo Rome
    GEODIST Sicily Palermo Catania MI
    GEODIST Sicily Palermo Catania parsec
    GEODIST Sicily Palermo Catania m m
    GEODIST missing a b
    GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHDIST WITHHASH WITHCOORD
    GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 km DESC COUNT 1
    GEOSEARCH Sicily FROMMEMBER Rome BYRADIUS 200 km
    GEOSEARCH Sicily FROMMEMBER Palermo FROMLONLAT 15 37 BYRADIUS 200 km
    GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 200 km ANY
    GEOSEARCH Sicily BYRADIUS 200 km COUNT 1 ANY
    GeoSearch Sicily FROMMEMBER Palermo WITHDIST WITHCOORD
    GEOSEARCH missing FROMMEMBER x BYRADIUS 200 km
    GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS -1 km
    GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 x km
    GEOSEARCHSTORE near Sicily FROMMEMBER Palermo BYRADIUS 500 km STOREDIST
    GEOSEARCHSTORE near Sicily FROMMEMBER Palermo BYRADIUS 500 km WITHDIST
    ZRANGE near 0 0
    GEOSEARCHSTORE near missing FROMMEMBER Palermo BYRADIUS 500 km
    EXISTS near
    GEORADIUS Sicily 15 37 200 km STORE near STOREDIST nearer
    EXISTS near nearer
    GEORADIUS Sicily 15 37 200 km STORE
    GEORADIUS Sicily 15 37 200 km WITHDIST STORE near
    GEORADIUS_RO Sicily 15 37 200 km STORE near
    GEORADIUSBYMEMBER Sicily Palermo 500 km COUNT 0
    GEORADIUSBYMEMBER missing Palermo x km
    COMMAND GETKEYS GEORADIUS k 1 2 3 m STORE a STOREDIST b
    COMMAND GETKEYSANDFLAGS GEORADIUSBYMEMBER k STORE 1 m STOREDIST store
    RPUSH sorted 3 20 1 x
    SORT sorted
    SORT sorted ALPHA
    SORT sorted BY nosort DESC LIMIT 1 2
    SORT sorted BY nosort BY sorted*
    SORT sorted BY sorted* BY nosort DESC
    SORT sorted BY sorted* ALPHA GET # GET sorted* GET # LIMIT 0 3
    SORT sorted ALPHA STORE sorted
    LRANGE sorted 0 -1
    SORT sorted LIMIT 4 1 ALPHA STORE sorted
    EXISTS sorted
    DUMP
    DUMP missing
    DUMP a b
    RESTORE k 0
    RESTORE k 0 payload
    RESTORE k -1 payload
    RESTORE k x payload
    RESTORE k x payload REPLACE ABSTTL
    RESTORE k 0 payload BOGUS
    RESTORE k 0 payload IDLETIME
    RESTORE k 0 payload IDLETIME -1
    RESTORE k 0 payload FREQ 256
    RESTORE k 0 payload FREQ x
    RESTORE k 0 payload FREQ 1 IDLETIME 1
    GET
    GET a b
    SET k
    SET k v EX
    SET k v EX 0
    SET k v EX -1
    SET k v EX abc
    SET k v PX 9223372036854775807
    SET k v EX 9223372036854775807
    SET k v NX XX
    SET k v EX 10 PX 10
    SET k v KEEPTTL EX 10
    SET k v GET NX
    SET k v BOGUS
    SETEX k 0 v
    PSETEX k -5 v
    SET n 9223372036854775807
    INCR n
    INCRBY n -9223372036854775808
    DECRBY n -9223372036854775808
    SET n -9223372036854775808
    DECR n
    INCRBY n abc
    SET s abc
    INCR s
    INCRBYFLOAT s 1
    SET f 10.5
    INCRBYFLOAT f 0.1
    INCRBYFLOAT f 1e3
    INCRBYFLOAT f nan
    INCRBYFLOAT f inf
    SET f 3.0e3
    INCRBYFLOAT f 200
    APPEND s def
    GETRANGE s 1 3
    GETRANGE s -3 -1
    GETRANGE s 5 1
    SUBSTR s 0 -1
    SETRANGE s 2 XX
    SETRANGE s -1 XX
    SETRANGE s 536870912 XX
    SETRANGE missing 0 a
    SETRANGE gap 5 a
    GET gap
    EXPIRE s abc
    EXPIRE s 9223372036854775807
    EXPIRE s 100 NX XX
    EXPIRE s 100 GT LT
    EXPIRE s 100 BOGUS
    EXPIRE s 100 GT
    EXPIRE s 100 LT
    EXPIRE s 10 GT
    EXPIRE missing 10
    PERSIST s
    PERSIST s
    TTL s
    TTL missing
    EXPIREAT s 1
    GET s
    GETEX
    GETEX n EX 0
    GETEX n PERSIST
    GETEX n BOGUS
    GETDEL n
    GETDEL n
    MSET a 1 b
    MSETNX a 1 b 2
    MSETNX a 3 c 4
    MGET a b c
    RENAME missing x
    RENAME a a
    RENAMENX a b
    RENAMENX a d
    COPY d e
    COPY d e
    COPY d e REPLACE
    COPY d e DB 0
    COPY d d
    TYPE d
    TYPE missing
    OBJECT ENCODING d
    OBJECT ENCODING missing
    OBJECT REFCOUNT missing
    OBJECT FREQ d
    OBJECT FREQ missing
    OBJECT IDLETIME missing
    OBJECT ENCODING
    OBJECT FREQ a b
    OBJECT HELP x
    OBJECT FOO d
    OBJECT
    MEMORY
    MEMORY USAGE
    MEMORY FOO
    MEMORY HELP x
    MEMORY USAGE missing
    MEMORY USAGE missing SAMPLES 5
    MEMORY USAGE missing SAMPLES 0 SAMPLES 7
    MEMORY USAGE d SAMPLES
    MEMORY USAGE d SAMPLES x
    MEMORY USAGE d SAMPLES -1
    MEMORY USAGE d SAMPLES 0 foo
    MEMORY USAGE d foo 1
    SET typed:string text
    RPUSH typed:list a 2
    SADD typed:integers 1 2
    HSET typed:hash f v
    ZADD typed:zset 1 a
    TYPE typed:string
    TYPE typed:list
    TYPE typed:integers
    TYPE typed:hash
    TYPE typed:zset
    OBJECT ENCODING typed:string
    OBJECT ENCODING typed:list
    OBJECT ENCODING typed:integers
    OBJECT ENCODING typed:hash
    OBJECT ENCODING typed:zset
    OBJECT REFCOUNT typed:list
    OBJECT REFCOUNT typed:zset
    OBJECT FREQ typed:hash
    SCAN 0 COUNT 1000 MATCH typed:* TYPE string
    SCAN 0 COUNT 1000 MATCH typed:* TYPE LIST
    SCAN 0 COUNT 1000 MATCH typed:* TYPE set
    SCAN 0 COUNT 1000 MATCH typed:* TYPE hash
    SCAN 0 COUNT 1000 MATCH typed:* TYPE zset
    SCAN 0 COUNT 1000 TYPE none
    SCAN 0 COUNT 1000 TYPE stream
    SCAN 0 COUNT 1000 TYPE foo
    SCAN 0 COUNT 1000 TYPE
    SCAN 0 COUNT 1000 TYPE list TYPE hash MATCH typed:*
    DEL typed:string typed:list typed:integers typed:hash typed:zset
    EXISTS d d missing
    TOUCH d e missing
    DEL d e missing
    UNLINK b missing
    DBSIZE abc
    SELECT 0
    SELECT 99
    SELECT abc
    EXEC
    DISCARD
    MULTI
    MULTI
    WATCH k
    SET q 1
    NOSUCH
    EXEC
    MULTI
    SET q 1
    INCR q
    GET q extra
    EXEC
    MULTI
    SET q abc
    INCR q
    GET q
    EXEC
    MULTI
    DISCARD
    UNWATCH
    PING
    PING hello
    PING a b
    ECHO hello
    ECHO
    HELLO 4
    HELLO abc
    AUTH x
    AUTH default x
    CLIENT BOGUS
    CLIENT SETNAME
    CLIENT SETNAME conn
    CLIENT GETNAME
    CLIENT NO-EVICT maybe
    CONFIG BOGUS
    CONFIG GET
    COMMAND BOGUS
    COMMAND COUNT x
    COMMAND INFO nosuch
    SCAN abc
    SCAN 0 COUNT 0
    SCAN 0 COUNT abc
    SCAN 0 BOGUS
    FLUSHALL BOGUS
    FLUSHALL SYNC
    SCAN 0
    SCAN -1
    SCAN +5
    SCAN -
    SCAN 18446744073709551615
    SCAN 18446744073709551616
    SCAN -18446744073709551616
    KEYS *
    RANDOMKEY
    WAIT abc 0
    WAIT +1 0
    WAIT 0 -1
    WAIT 0 x
    WAIT x x
    WAIT 0 9223372036854775808
    MULTI
    SET q 1
    EXEC x
    EXEC
    EXEC x
    WATCH q
    SET q 2
    MULTI
    EXEC x
    MULTI
    GET q
    EXEC
    MULTI
    DISCARD x
    EXEC
    COMMAND INFO get mget object|encoding rename getdel del
    SELECT 00
    SELECT 16
    SELECT -1
    SELECT x
    SELECT 99999999999
    SELECT 15
    SET d 1
    MOVE d 15
    MOVE d 16
    MOVE d x
    MOVE d 3
    MOVE d 3
    SELECT 3
    GET d
    SWAPDB x 1
    SWAPDB 1 y
    SWAPDB 1 16
    SWAPDB 3 3
    SWAPDB 3 4
    DBSIZE
    SELECT 4
    COPY d d
    COPY d d DB 5
    COPY d d DB 5
    COPY d d DB 5 REPLACE
    COPY d e DB 16
    COPY d e DB x
    MULTI
    SELECT 5
    DBSIZE
    SET d 2
    SWAPDB 4 5
    GET d
    FLUSHDB
    SELECT 4
    GET d
    EXEC
    WATCH d
    SWAPDB 4 6
    MULTI
    PING
    EXEC
    WATCH nowhere
    SWAPDB 4 6
    MULTI
    PING
    EXEC
    RANDOMKEY
    KEYS *
    FLUSHALL
    SELECT 0
    HELLO +2
    RESET
    QUIT
";

fn random_command(rng: &mut StdRng) -> Vec<Vec<u8>> {
    let key = |rng: &mut StdRng| ["a", "b", "c", "d", "e", "f"].choose(rng).expect("six").to_string();
    let value = |rng: &mut StdRng| match rng.random_range(0..6) {
        0 => rng.random_range(-20..20).to_string(),
        1 => format!("{}.{}", rng.random_range(-9..9), [0, 25, 5, 75][rng.random_range(0..4)]),
        2 => String::new(),
        3 => "x".repeat(rng.random_range(1..300)),
        4 => "y".repeat(rng.random_range(10_000..40_000)),
        _ => format!("v{}", rng.random::<u16>()),
    };
    let number = |rng: &mut StdRng| rng.random_range(-5..40).to_string();
    let (k, l, v, n, m) = (key(rng), key(rng), value(rng), number(rng), number(rng));
    let f = ["NX", "XX", "GT", "LT"].choose(rng).expect("four").to_string();
    let at = 4_000_000_000u64 + rng.random_range(0..1000);
    let parts: Vec<String> = match rng.random_range(0..48) {
        0 => vec!["SET".into(), k, v],
        1 => vec!["SET".into(), k, v, "NX".into()],
        2 => vec!["SET".into(), k, v, "XX".into(), "GET".into()],
        3 => vec!["SET".into(), k, v, "EXAT".into(), at.to_string()],
        4 => vec!["SET".into(), k, v, "KEEPTTL".into()],
        5 => vec!["SETNX".into(), k, v],
        6 => vec!["GETSET".into(), k, v],
        7 => vec!["GET".into(), k],
        8 => vec!["GETDEL".into(), k],
        9 => vec!["GETEX".into(), k, "PXAT".into(), (at * 1000 + 7).to_string()],
        10 => vec!["GETEX".into(), k, "PERSIST".into()],
        11 => vec!["APPEND".into(), k, v],
        12 => vec!["STRLEN".into(), k],
        13 => vec!["SETRANGE".into(), k, n, v],
        14 => vec!["SETRANGE".into(), k, rng.random_range(0..50_000).to_string(), v],
        15 => vec!["GETRANGE".into(), k, n, m],
        16 => vec!["GETRANGE".into(), k, rng.random_range(-40_000..40_000).to_string(), m],
        17 => vec!["INCR".into(), k],
        18 => vec!["DECRBY".into(), k, n],
        19 => vec!["INCRBYFLOAT".into(), k, value(rng)],
        20 => vec!["MSET".into(), k, v, l, n],
        21 => vec!["MSETNX".into(), k, v, l, n],
        22 => vec!["MGET".into(), k, l, "missing".into()],
        23 => vec!["DEL".into(), k, l],
        24 => vec!["UNLINK".into(), k],
        25 => vec!["EXISTS".into(), k, l, "a".into()],
        26 => vec!["TYPE".into(), k],
        27 => vec!["EXPIREAT".into(), k, at.to_string(), f],
        28 => vec!["PEXPIREAT".into(), k, (at * 1000 + 3).to_string(), f],
        29 => vec!["EXPIRETIME".into(), k],
        30 => vec!["PEXPIRETIME".into(), k],
        31 => vec!["PERSIST".into(), k],
        32 => vec!["RENAME".into(), k, l],
        33 => vec!["RENAMENX".into(), k, l],
        34 => vec!["COPY".into(), k, l, "REPLACE".into()],
        35 => vec!["COPY".into(), k, l],
        36 => vec!["DBSIZE".into()],
        37 => vec!["MULTI".into()],
        38 => vec![["EXEC", "EXEC", "DISCARD"].choose(rng).expect("three").to_string()],
        39 => vec!["WATCH".into(), k],
        40 => vec!["TOUCH".into(), k, l],
        41 => vec!["PING".into(), v],
        42 => vec!["SELECT".into(), ["0", "1", "2", "15"].choose(rng).expect("four").to_string()],
        43 => vec!["MOVE".into(), k, ["0", "1", "2"].choose(rng).expect("three").to_string()],
        44 => vec!["COPY".into(), k, l, "DB".into(), ["0", "1"].choose(rng).expect("two").to_string()],
        45 => vec!["SWAPDB".into(), "1".into(), ["0", "1", "2"].choose(rng).expect("three").to_string()],
        46 if rng.random_range(0..10) == 0 => vec!["FLUSHDB".into()],
        _ => vec!["EXPIREAT".into(), k, "1".into()],
    };
    parts.into_iter().map(String::into_bytes).collect()
}

fn show(command: &[Vec<u8>]) -> String {
    let parts = command.iter().map(|part| {
        let text = String::from_utf8_lossy(part);
        if text.len() > 40 { format!("<{} bytes of {:?}>", text.len(), &text[..1]) } else { format!("{text:?}") }
    });
    parts.collect::<Vec<_>>().join(" ")
}
