//! Rust's `redis`: what `tests/stock_clients/redis_py.py` checks, with its blocking and its asynchronous connection.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Client, Commands, Connection, ExpireOption, RedisResult, Value};

use crate::harness::{PATIENCE, wait_until};

/// Elements of what is scanned: many times what one call returns.
const MANY: usize = 5000;

type Check = fn(&Pair, &mut Connection);

/// All checks on the node at `primary`, of which the last makes that at `standby` the primary.
pub(super) fn check(primary: u16, standby: u16, protocol: u8) {
    println!("redis (Rust), RESP{protocol}");
    let client =
        |port| Client::open(format!("redis://127.0.0.1:{port}/?protocol=resp{protocol}")).expect("a good address");
    let clients = Pair { primary: client(primary), standby: client(standby) };
    let checks: [(&str, Check); 10] = [
        ("strings", strings),
        ("hashes", hashes),
        ("lists", lists),
        ("sets and sorted sets", sets),
        ("pipelines and transactions", pipelines),
        ("watched keys", watched_keys),
        ("blocking pops", blocking_pops),
        ("scans", scans),
        ("expiry", expiry),
        ("a switchover is not noticed", switchover),
    ];
    let mut db = connect(&clients.primary);
    let id: u64 = redis::cmd("CLIENT").arg("ID").query(&mut db).expect("a number");
    let line: String = redis::cmd("CLIENT").arg(&["LIST", "ID"]).arg(id).query(&mut db).expect("a line");
    assert!(line.contains(&format!(" resp={protocol}")), "{line}");
    for (name, check) in checks {
        redis::cmd("FLUSHALL").exec(&mut db).expect("it is executed");
        check(&clients, &mut db);
        println!("ok      {name}");
    }
}

struct Pair {
    primary: Client,
    standby: Client,
}

fn connect(client: &Client) -> Connection {
    let connection = client.get_connection().expect("the node accepts");
    connection.set_read_timeout(Some(PATIENCE)).expect("a limit");
    connection
}

fn strings(clients: &Pair, db: &mut Connection) {
    assert_eq!(db.set::<_, _, String>("text", "grün"), Ok("OK".to_owned()));
    assert_eq!(db.get("text"), Ok(Some("grün".to_owned())));
    assert_eq!(db.get("nothing"), Ok(None::<String>));
    assert_eq!(db.append("text", "er"), Ok(7));
    assert_eq!(db.incr("number", 42), Ok(42));
    assert_eq!(db.incr("number", 0.5), Ok(42.5));
    assert_eq!(db.mset::<_, _, String>(&[("a", 1), ("b", 2)]), Ok("OK".to_owned()));
    assert_eq!(db.mget(&["a", "nothing", "b"]), Ok(vec![Some(1), None, Some(2)]));
    assert_eq!(db.del(&["a", "b", "nothing"]), Ok(2));
    let binary: Vec<u8> = (0..256_000).map(|n| n as u8).collect();
    assert_eq!(db.set::<_, _, String>("binary", &binary), Ok("OK".to_owned()));
    assert_eq!(db.get("binary"), Ok(binary));
    let error = db.incr::<_, _, i64>("text", 1).expect_err("text is no number");
    assert!(error.to_string().contains("not an integer"), "{error}");
    // The same through the asynchronous connection, of which many tasks share one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let shared = clients.primary.get_multiplexed_async_connection().await.expect("the node accepts");
        let tasks = (0..100).map(|_| {
            let mut shared = shared.clone();
            async move { redis::AsyncCommands::incr::<_, _, i64>(&mut shared, "shared", 1).await }
        });
        let replies: RedisResult<BTreeSet<i64>> = futures_util::future::join_all(tasks).await.into_iter().collect();
        assert_eq!(replies, Ok((1..=100).collect()));
    });
}

fn hashes(_: &Pair, db: &mut Connection) {
    assert_eq!(db.hset_multiple::<_, _, _, String>("hash", &[("name", "Brian"), ("born", "941")]), Ok("OK".to_owned()));
    assert_eq!(db.hget("hash", "name"), Ok(Some("Brian".to_owned())));
    let all = [("name", "Brian"), ("born", "941")].map(|(field, value)| (field.to_owned(), value.to_owned()));
    assert_eq!(db.hgetall("hash"), Ok(BTreeMap::from(all)));
    assert_eq!(db.hmget("hash", &["born", "nothing"]), Ok((Some(941), None::<i64>)));
    assert_eq!(db.hincr("hash", "born", 1), Ok(942));
    assert_eq!(db.hexists("hash", "nothing"), Ok(false));
    assert_eq!(db.hdel("hash", &["born", "nothing"]), Ok(1));
    assert_eq!(db.hkeys("hash"), Ok(vec!["name".to_owned()]));
    let error = db.lpush::<_, _, i64>("hash", 1).expect_err("a hash is no list");
    assert_eq!(error.code(), Some("WRONGTYPE"));
}

fn lists(_: &Pair, db: &mut Connection) {
    let words = |words: &[&str]| Ok(words.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(db.rpush("list", &["a", "b", "c"]), Ok(3));
    assert_eq!(db.lpush("list", "z"), Ok(4));
    assert_eq!(db.lrange("list", 0, -1), words(&["z", "a", "b", "c"]));
    assert_eq!(db.linsert_before("list", "b", "ab"), Ok(5));
    assert_eq!(db.lpos("list", "b", redis::LposOptions::default()), Ok(Some(3)));
    assert_eq!(db.lrem("list", 0, "ab"), Ok(1));
    assert_eq!(db.lpop("list", None), Ok("z".to_owned()));
    assert_eq!(db.rpop("list", std::num::NonZeroUsize::new(2)), words(&["c", "b"]));
    assert_eq!(db.lmove("list", "other", redis::Direction::Left, redis::Direction::Right), Ok("a".to_owned()));
    let popped = db.lmpop(2, &["list", "other"], redis::Direction::Left, 1);
    assert_eq!(popped, Ok(Some(("other".to_owned(), vec!["a".to_owned()]))));
}

fn sets(_: &Pair, db: &mut Connection) {
    let words = |words: &[&str]| Ok(words.iter().map(ToString::to_string).collect::<BTreeSet<_>>());
    assert_eq!(db.sadd("set", &["a", "b", "c"]), Ok(3));
    assert_eq!(db.sadd("other", &["b", "c", "d"]), Ok(3));
    assert_eq!(db.smembers("set"), words(&["a", "b", "c"]));
    assert_eq!(db.sismember("set", "a"), Ok(true));
    assert_eq!(db.smismember("set", &["a", "x"]), Ok((true, false)));
    assert_eq!(db.sinter(&["set", "other"]), words(&["b", "c"]));
    assert_eq!(db.sunionstore("all", &["set", "other"]), Ok(4));
    assert_eq!(db.smove("set", "other", "a"), Ok(true));

    assert_eq!(db.zadd_multiple("zset", &[(1.0, "a"), (2.5, "b"), (3.0, "c")]), Ok(3));
    assert_eq!(db.zincr("zset", "a", 1.5), Ok(2.5));
    assert_eq!(db.zscore("zset", "nothing"), Ok(None::<f64>));
    assert_eq!(db.zrank("zset", "c"), Ok(Some(2)));
    let scored = |members: &[(&str, f64)]| Ok(members.iter().map(|(m, s)| ((*m).to_owned(), *s)).collect::<Vec<_>>());
    assert_eq!(db.zrange_withscores("zset", 0, 1), scored(&[("a", 2.5), ("b", 2.5)]));
    assert_eq!(db.zrangebyscore("zset", "(2.5", "+inf"), Ok(vec!["c".to_owned()]));
    assert_eq!(db.zcount("zset", "-inf", 2.5), Ok(2));
    assert_eq!(db.zpopmax("zset", 1), scored(&[("c", 3.0)]));
    assert_eq!(db.zrembyscore("zset", "-inf", "+inf"), Ok(2));
}

fn pipelines(_: &Pair, db: &mut Connection) {
    let mut pipe = redis::pipe();
    for n in 0..MANY {
        pipe.set(format!("pipe:{n}"), n).ignore();
    }
    for n in 0..MANY {
        pipe.get(format!("pipe:{n}"));
    }
    assert_eq!(pipe.query(db), Ok((0..MANY).collect::<Vec<_>>()));
    let mut transaction = redis::pipe();
    transaction.atomic().set("n", 1).ignore().incr("n", 1).hset("h", "f", "v").hgetall("h");
    let all = BTreeMap::from([("f".to_owned(), "v".to_owned())]);
    assert_eq!(transaction.query(db), Ok((2, 1, all)));
    let error = redis::pipe().atomic().set("n", "x").cmd("NONSENSE").exec(db).expect_err("it is discarded");
    assert!(error.to_string().contains("unknown command"), "{error}");
    assert_eq!(db.get("n"), Ok(2));
    let error = redis::pipe().set("n", "x").incr("n", 1).set("m", 1).exec(db).expect_err("x is no number");
    assert!(error.to_string().contains("not an integer"), "{error}");
    assert_eq!(db.get("m"), Ok(1), "the rest of a pipeline is executed");
}

fn watched_keys(clients: &Pair, db: &mut Connection) {
    let mut other = connect(&clients.primary);
    let watch = |db: &mut Connection| redis::cmd("WATCH").arg("balance").exec(db).expect("it watches");
    let add = |db: &mut Connection| redis::pipe().atomic().incr("balance", 1).query::<Option<(i64,)>>(db);
    db.set::<_, _, ()>("balance", 10).expect("it is set");
    watch(db);
    assert_eq!(add(db), Ok(Some((11,))));
    watch(db);
    other.set::<_, _, ()>("balance", 99).expect("it is set");
    assert_eq!(add(db), Ok(None), "the conflict");
    // The crate's own loop around WATCH: two threads, no increment lost.
    std::thread::scope(|scope| {
        for mut each in [connect(&clients.primary), other] {
            scope.spawn(move || {
                for _ in 0..50 {
                    let (sum,) = redis::transaction(&mut each, &["balance"], |each, pipe| {
                        let balance: i64 = each.get("balance")?;
                        pipe.set("balance", balance + 1).ignore().get("balance").query::<Option<(i64,)>>(each)
                    })
                    .expect("it succeeds in the end");
                    assert!(sum > 99);
                }
            });
        }
    });
    assert_eq!(db.get("balance"), Ok(199));
}

/// Executes `call` on a connection of its own, `act` when that blocks, and returns the reply.
fn while_blocked<T: Send>(
    clients: &Pair,
    db: &mut Connection,
    call: impl FnOnce(&mut Connection) -> T + Send,
    act: impl FnOnce(&mut Connection, u64),
) -> T {
    let mut other = connect(&clients.primary);
    let id: u64 = redis::cmd("CLIENT").arg("ID").query(&mut other).expect("a number");
    std::thread::scope(|scope| {
        let reply = scope.spawn(|| call(&mut other));
        wait_until("the client blocks", || {
            let list: String = redis::cmd("CLIENT").arg("LIST").query(db).expect("a list");
            let line = list.lines().find(|line| line.contains(&format!("id={id} ")))?;
            line.contains(" flags=b").then_some(())
        });
        act(db, id);
        reply.join().expect("the call does not panic")
    })
}

fn blocking_pops(clients: &Pair, db: &mut Connection) {
    let text = |text: &str| text.to_owned();
    let push = |key: &'static str| move |db: &mut Connection, _| drop(db.rpush::<_, _, i64>(key, &[1, 2, 3]));
    let reply = while_blocked(clients, db, |db| db.blpop(&["l1", "l2"], 0.0), push("l2"));
    assert_eq!(reply, Ok(Some((text("l2"), 1))));
    let reply = while_blocked(clients, db, |db| db.brpop("l1", 30.0), push("l1"));
    assert_eq!(reply, Ok(Some((text("l1"), 3))));
    let (left, right) = (redis::Direction::Left, redis::Direction::Right);
    let reply = while_blocked(clients, db, |db| db.blmove("l3", "l4", left, right, 0.0), push("l3"));
    assert_eq!(reply, Ok(1));
    let left = redis::Direction::Left;
    let reply = while_blocked(clients, db, |db| db.blmpop(0.0, 2, &["l5", "l6"], left, 2), push("l6"));
    assert_eq!(reply, Ok(Some((text("l6"), vec![1, 2]))));
    let add = |db: &mut Connection, _| drop(db.zadd::<_, _, _, i64>("z1", "a", 1.5));
    let reply = while_blocked(clients, db, |db| db.bzpopmin("z1", 0.0), add);
    assert_eq!(reply, Ok(Some((text("z1"), text("a"), 1.5))));

    assert_eq!(db.blpop("nothing", 0.1), Ok(None::<(String, String)>));
    assert_eq!(db.bzpopmax("nothing", 0.1), Ok(None::<(String, String, f64)>));
    for (how, expected) in [("TIMEOUT", Ok(None)), ("ERROR", Err(Some(text("UNBLOCKED"))))] {
        let pop = |db: &mut Connection| db.blpop::<_, Option<(String, String)>>("nothing", 0.0);
        let reply = while_blocked(clients, db, pop, |db, id| {
            assert_eq!(redis::cmd("CLIENT").arg("UNBLOCK").arg(id).arg(how).query(db), Ok(1));
        });
        assert_eq!(reply.map_err(|error| error.code().map(str::to_owned)), expected);
    }
}

fn scans(_: &Pair, db: &mut Connection) {
    let mut pipe = redis::pipe();
    for n in 0..MANY {
        pipe.set(format!("scan:{n}"), n).hset("scan-hash", format!("f{n}"), n).sadd("scan-set", n);
        pipe.zadd("scan-zset", format!("m{n}"), n);
    }
    pipe.exec(db).expect("all is written");
    let keys: RedisResult<BTreeSet<String>> = db.scan_match("scan:*").expect("it scans").collect();
    assert_eq!(keys, Ok((0..MANY).map(|n| format!("scan:{n}")).collect()));
    let named = |letter: &'static str| Ok((0..MANY).map(|n| (format!("{letter}{n}"), n)).collect::<BTreeMap<_, _>>());
    let fields: RedisResult<BTreeMap<String, usize>> = db.hscan("scan-hash").expect("it scans").collect();
    assert_eq!(fields, named("f"));
    let members: RedisResult<BTreeSet<usize>> = db.sscan("scan-set").expect("it scans").collect();
    assert_eq!(members, Ok((0..MANY).collect()));
    let scores: RedisResult<BTreeMap<String, usize>> = db.zscan("scan-zset").expect("it scans").collect();
    assert_eq!(scores, named("m"));
}

fn expiry(_: &Pair, db: &mut Connection) {
    db.pset_ex::<_, _, ()>("short", 1, 50).expect("it is set");
    db.set_ex::<_, _, ()>("long", 1, 1000).expect("it is set");
    let left: i64 = db.ttl("long").expect("a number");
    assert!((900..=1000).contains(&left), "{left}");
    assert_eq!(redis::cmd("EXPIRE").arg("long").arg(2000).arg(ExpireOption::GT).query(db), Ok(1));
    assert_eq!(db.persist("long"), Ok(true));
    assert_eq!(db.ttl("nothing"), Ok(-2));
    wait_until("the key expires", || (db.exists("short") == Ok(false)).then_some(()));
}

/// What the crate needs today: a connection stays on the old primary, which refuses everything and names the new one. A command that
/// was blocked there has ended with an error, and its connection with it.
fn switchover(clients: &Pair, db: &mut Connection) {
    db.set::<_, _, ()>("before", "kept").expect("it is set");
    let pop = |db: &mut Connection| db.blpop::<_, Value>("list", 0.0);
    while_blocked(clients, db, pop, |db, _| {
        redis::cmd("WATCH").arg("before").exec(db).expect("it is watched");
        redis::cmd("TANIST").arg("SWITCHOVER").exec(db).expect("the standby becomes primary");
        let mut changes = redis::pipe();
        let changed: Value = changes.atomic().set("before", "changed").query(db).expect("a reply");
        assert_eq!(changed, Value::Nil, "nobody knows whether it was written");
        assert_eq!(db.get("before"), Ok("kept".to_owned()));
        assert_eq!(db.incr("after", 1), Ok(1));
        assert_eq!(db.rpush("list", "element"), Ok(1));
    })
    .expect("the element that was pushed at the new primary");
    assert_eq!(connect(&clients.standby).incr("after", 1), Ok(2));
}
