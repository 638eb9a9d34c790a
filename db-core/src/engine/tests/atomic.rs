//! A command that fails has changed nothing, whichever of its changes runs out of memory.

use super::*;
use crate::arena::{Arena, PAGE_BYTES};
use crate::engine::call::Handler;
use crate::image::ImageRestore;

/// Pages of the pool's bound.
const PAGES: u64 = 1_000;

/// Calls of every command that writes, in words. Each succeeds on the content of [`filled`].
const CALLS: &[&str] = &[
    "append text tail",
    "append long <100000>",
    "bitfield long set u8 #60000 255 incrby i16 4000000 5",
    "bitfield new set u63 9000000 5 set u1 2000000 1 get u8 0",
    "bitop not gone long",
    "bitop xor text long number text",
    "blmove list long-list left right 0",
    "blmpop 0 2 missing list left count 2",
    "blpop list 0",
    "brpop long-list 0",
    "brpoplpush list new 0",
    "bzmpop 0 1 large-sorted max count 3",
    "bzpopmax sorted 0",
    "bzpopmin large-sorted 0",
    "copy long copied",
    "copy text copied db 1 replace",
    "copy hash large replace",
    "copy large copied",
    "copy list copied",
    "copy long-list copied",
    "copy sorted copied",
    "copy large-sorted copied",
    "copy stream copied",
    "copy large-stream copied",
    "debug sleep 0",
    "decr number",
    "decrby number 5",
    "delex long",
    "delex text ifne other",
    "delifeq text a-text",
    "del text long expiring number",
    "expire text 100",
    "expire long 100",
    "expire large 100",
    "expireat text 9999999999",
    "flushall",
    "flushdb",
    "geoadd places 13.361389 38.115556 a 15.087269 37.502669 <8000>",
    "geoadd large-sorted ch 2.35 48.86 m5 -0.12 51.5 new",
    "georadius places 13 38 500 km storedist long",
    "georadiusbymember large-sorted m5 100 km store places",
    "geosearchstore new large-sorted fromlonlat -180 -85 bybox 100 100 km",
    "getdel long",
    "getex text ex 100",
    "getset long v",
    "hdel hash a b",
    "hdel large f7 f8",
    "hexpire hash 100 fields 2 a b",
    "hexpire large 100 fields 3 f1 f2 n",
    "hexpire expiring-hash 0 fields 1 a",
    "hexpireat large 9999999999 fields 1 n",
    "hgetdel large fields 2 f1 n",
    "hgetex large px 100000 fields 2 f1 n",
    "hgetex expiring-hash persist fields 1 a",
    "hincrby hash n 5",
    "hincrby expiring-hash a 5",
    "hincrbyfloat large n 0.5",
    "hmset new a 1 b <9000> c <20000>",
    "hpersist expiring-hash fields 1 a",
    "hpexpire expiring-hash 100000 fields 2 a b",
    "hpexpireat hash 9999999999999 fields 1 n",
    "hset expiring-hash a 1 b <9000>",
    "hset hash a 1 b <100> c 3",
    "hset hash a <17000>",
    "hset large f1 1 f2 <20000> new <40000>",
    "hset gone a 1",
    "hsetex expiring-hash px 100000 fields 2 a <3000> c <3000>",
    "hsetex large ex 100 fields 2 f1 <20000> new <40000>",
    "hsetex new ex 100 fields 1 f <3000>",
    "hsetnx large new <3000>",
    "incr number",
    "incrby number 5",
    "increx number byfloat 0.5 ex 100",
    "increx new byint 700 ubound 600 saturate",
    "incrbyfloat number 0.5",
    "move long 1",
    "move gone 1",
    "move large 1",
    "linsert list before b <5000>",
    "linsert long-list before e50 <20000>",
    "lmove list long-list left right",
    "lmove long-list list right left",
    "lmove list list left right",
    "lmpop 2 missing list left count 2",
    "lpop list 2",
    "lpush list <3000> <3000> x",
    "lpush new <30000> y",
    "lpush gone x y",
    "lpushx long-list z",
    "lrem list 0 b",
    "lset list 1 <9000>",
    "lset long-list 50 <100>",
    "ltrim long-list 20 30",
    "mset text 1 long 2 {a} 3 {b} <9000> {c} 5 {d} 6 {e} <20000>",
    "msetex 3 text 1 {a} <9000> {b} <20000> ex 100",
    "msetex 2 long <70000> expiring 2 xx keepttl",
    "msetnx {a} 3 {b} 4 {c} <70000> {d} 6 {e} 7 {f} 8",
    "persist expiring",
    "pfadd counter x y z",
    "pfadd dense-counter a1 b1 c1 d1",
    "pfadd gone a",
    "pfcount dense-counter",
    "pfmerge counter dense-counter",
    "pfmerge new counter",
    "pexpire text 100000",
    "pexpireat text 9999999999999",
    "psetex text 100000 v",
    "rename text long",
    "rename long renamed",
    "rename long text",
    "rename large renamed",
    "rename long-list renamed",
    "rename large-stream renamed",
    "restore {d} 0 <text>",
    "restore large-sorted 5000 <long> replace",
    "restore text 5000 <list> replace absttl",
    "restore gone 5000 <long-list>",
    "restore list 5000 <hash> replace idletime 5",
    "restore long 0 <large> replace freq 5",
    "restore new 9999999999999 <integers> absttl",
    "restore expiring 5000 <set> replace",
    "restore new 5000 <sorted>",
    "restore {e} 5000 <large-sorted>",
    "restore {f} 5000 <large-stream>",
    "restore text 5000 <stream> replace",
    "rpop long-list",
    "rpoplpush long-list new",
    "rpush long-list 1 2 <70000>",
    "rpushx list 1",
    "rename integers large",
    "renamenx long renamed",
    "sadd integers 7 8 70000",
    "sadd integers x <100>",
    "sadd set 7 8 <8000>",
    "sdiffstore text set integers",
    "sinterstore large set set",
    "set text <100000>",
    "set new <8000> ex 5",
    "set text <8000> ifeq a-text",
    "setbit long 80000000 1",
    "setbit text 7 1",
    "setbit new 900000 1",
    "setex long 5 v",
    "setnx new v",
    "setrange text 30000 v",
    "setrange long 5000000 v",
    "setrange new 200000 v",
    "setrange gone 200000 v",
    "smove set integers b",
    "smove set new b",
    "sort large-sorted by nosort store list",
    "sort list alpha desc store long-list",
    "sort long-list alpha limit 10 150 get # get missing store new",
    "sort long-list by e*->f get text* get hash->* store large",
    "sort missing store long",
    "sort set by nosort store gone",
    "spop set",
    "srem integers 1 2 3",
    "sunionstore integers set integers",
    "swapdb 0 1",
    "xack large-stream g 5-1 6-1 7-1",
    "xadd stream 5-1 a <100> b <3000>",
    "xadd stream maxlen 1 5-1 a <5000>",
    "xadd large-stream maxlen 50 500-1 f v",
    "xadd large-stream 500-1 f <100000>",
    "xadd new 1-1 f <3000>",
    "xadd gone 1-1 f v",
    "xautoclaim large-stream g d 0 - count 50",
    "xclaim large-stream g d 0 5-1 6-1 250-1 force",
    "xdel stream 1-1",
    "xdel large-stream 50-1 400-1 300-1",
    "xgroup create large-stream h $",
    "xgroup create new g $ mkstream",
    "xgroup createconsumer stream g d",
    "xgroup delconsumer large-stream g c",
    "xgroup destroy large-stream g",
    "xgroup setid stream g 0",
    "xreadgroup group g d streams large-stream stream > 0",
    "xsetid stream 9-9",
    "xtrim large-stream maxlen 100",
    "zadd sorted 1 a 2 b 30 c",
    "zadd sorted 5 d 6 <8000> 7 f",
    "zadd large-sorted 1 m5 2 new -3 m7",
    "zadd gone 1 a",
    "zdiffstore text 2 large-sorted sorted",
    "zincrby sorted 5 a",
    "zincrby large-sorted 500 m1",
    "zinterstore new 2 large-sorted sorted",
    "zmpop 2 missing large-sorted max count 5",
    "zpopmax sorted",
    "zpopmin large-sorted 3",
    "zrangestore sorted large-sorted 0 -1",
    "zrem large-sorted m1 m2",
    "zremrangebylex large-sorted - [m2",
    "zremrangebyrank sorted 0 1",
    "zremrangebyscore large-sorted 10 20",
    "zunionstore large-sorted 2 large-sorted sorted",
    "unlink text long large large-sorted long-list",
];

/// The words of a call; `<n>` stands for that many bytes, `<key>` for what DUMP returns of that key of [`filled`].
fn args(call: &str) -> Vec<Vec<u8>> {
    let arg = |word: &str| match word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
        Some(named) => named.parse().map_or_else(|_| dumped(named), |bytes| vec![b'x'; bytes]),
        None => word.as_bytes().to_vec(),
    };
    call.split(' ').map(arg).collect()
}

/// What DUMP returns of a key of [`filled`].
fn dumped(key: &str) -> Vec<u8> {
    static CLIENT: std::sync::OnceLock<std::sync::Mutex<Client>> = std::sync::OnceLock::new();
    let client = CLIENT.get_or_init(|| std::sync::Mutex::new(filled_client()));
    let reply = client.lock().unwrap().reply(&[b"dump", key.as_bytes()]).0;
    let start = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    reply[start..reply.len() - 2].to_vec()
}

fn call(client: &mut Client, call: &str) -> String {
    let args = args(call);
    client.call(&args.iter().map(Vec::as_slice).collect::<Vec<_>>()).0
}

/// A call that makes a sorted set of many members.
fn large_sorted() -> String {
    let members: Vec<String> = (0..300).map(|member| format!("{member} m{member}")).collect();
    format!("zadd large-sorted {}", members.join(" "))
}

/// A call that makes a dense HyperLogLog.
fn dense_counter() -> String {
    let elements: Vec<String> = (0..5_000).map(|element| element.to_string()).collect();
    format!("pfadd dense-counter {}", elements.join(" "))
}

/// A call that makes a list of many elements, some of them long.
fn long_list() -> String {
    let elements: Vec<String> = (0..200).map(|element| format!("e{element}")).collect();
    format!("rpush long-list {} <70000> <5000>", elements.join(" "))
}

/// A call that makes a hash of many fields.
fn large() -> String {
    let fields: Vec<String> = (0..300).map(|field| format!("f{field} value{field}")).collect();
    format!("hset large n 5 {}", fields.join(" "))
}

/// An image with strings, sets and hashes in one piece and in many pages, in two databases, one of them expired at `now`.
fn filled() -> Vec<Vec<u8>> {
    replay::chunks(filled_client().engine.freeze())
}

fn filled_client() -> Client {
    let mut client = Client::alone();
    for words in [
        "set text a-text",
        "set number 10",
        "set long <70000> ex 1000",
        "set expiring v ex 1000",
        "set gone <3000> px 1",
        "sadd integers 1 2 3",
        "sadd set a b c",
        "hset hash a 1 b 2 n 10",
        "hsetex expiring-hash ex 1000 fields 2 a 1 b 2",
        "rpush list a b c b",
        &large(),
        &long_list(),
        "zadd sorted 1 a 2 b 3 m5",
        &large_sorted(),
        "geoadd places 13.361389 38.115556 a 15.087269 37.502669 b",
        "pfadd counter a b c",
        &dense_counter(),
        "select 1",
    ] {
        if words == "select 1" {
            client.session.select(1);
        } else {
            call(&mut client, words);
        }
    }
    call(&mut client, "set gone there px 1");
    call(&mut client, "set text there");
    client.session.select(0);
    for ms in 1..300 {
        call(&mut client, &format!("xadd large-stream {ms}-1 f <100>"));
    }
    for words in [
        "xadd large-stream 400-1 f <70000>",
        "xadd stream 1-1 f v",
        "xadd stream 2-1 f v",
        "xgroup create large-stream g 0",
        "xgroup create stream g 0",
        "xreadgroup group g c count 200 streams large-stream stream > >",
    ] {
        call(&mut client, words);
    }
    client
}

/// An engine with that image's content that has `spare` pages left, and a client of it.
fn restored(image: &[Vec<u8>], spare: u64) -> (Client, Arena) {
    let pool = PagePool::new(PAGES * PAGE_BYTES as u64);
    let mut restore = ImageRestore::new(Arc::clone(&pool));
    image.iter().for_each(|chunk| restore.feed(chunk).unwrap());
    let engine = Engine::restored(restore.finish().unwrap(), &pool, 0);
    engine.begin_epoch(Epoch(2)).unwrap();
    let taken = pool.bytes_in_use() / PAGE_BYTES as u64;
    let mut others = Arena::new(&pool);
    others.reserve((PAGES - taken - spare) as usize).unwrap();
    let mut client = Client::new(&Arc::new(engine));
    client.now += 10;
    (client, others)
}

#[test]
fn a_command_that_finds_no_memory_has_changed_nothing() {
    let image = filled();
    let mut failures = 0;
    for words in CALLS {
        let (mut free, _others) = restored(&image, PAGES / 2);
        let reply = call(&mut free, words);
        assert!(!reply.starts_with('-'), "{words}: {reply}");
        let mut spare = 0;
        // A change plans some thirty pages, so each of a command's changes is the first one that fails for some number.
        while fails(&image, words, spare, (&reply, free.engine.content_hash())) {
            failures += 1;
            spare += 9;
        }
    }
    assert!(failures > 100, "{failures}");
}

/// Whether `words` fails with `spare` pages; checks that it does so without a trace, or succeeds as with many pages.
fn fails(image: &[Vec<u8>], words: &str, spare: u64, expected: (&str, u128)) -> bool {
    let (mut client, _others) = restored(image, spare);
    let mut watcher = Client::new(&client.engine);
    watcher.now = client.now;
    watcher.run("watch text long number new {a} {b} {c} hash large set integers list long-list sorted large-sorted stream large-stream");
    let before = (client.engine.content_hash(), client.engine.last());
    let reply = call(&mut client, words);
    let after = (client.engine.content_hash(), client.engine.last());
    if !reply.starts_with('-') {
        assert_eq!((&reply[..], after.0), expected, "{words} with {spare} pages");
        return false;
    }
    assert!(reply.starts_with("-OOM ") && reply.matches('|').count() == 1, "{words} with {spare} pages: {reply}");
    assert_eq!(after, before, "{words} with {spare} pages");
    watcher.run("multi");
    watcher.run("ping");
    assert_eq!(watcher.run("exec"), "*1|+PONG|", "{words} with {spare} pages: a watched key counts as changed");
    true
}

#[test]
fn every_command_that_writes_is_tried() {
    let all = ENGINE_COMMANDS.all().filter(|spec| spec.writes() && !matches!(spec.handler, Handler::Control(_)));
    let is_of = |call: &str, name: &str| call.starts_with(&format!("{} ", name.replace('|', " "))) || call == name;
    let untried = all.filter(|spec| !CALLS.iter().any(|call| is_of(call, spec.name)));
    assert_eq!(untried.map(|spec| spec.name).collect::<Vec<_>>(), Vec::<&str>::new());
}
