//! The client library's typed commands: on Debian's `redis-server` in both protocols and on a running pair they return the same.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Value};
use tanist_client::commands::*;
use tanist_client::{Client, Error};

use crate::harness::{Cluster, PATIENCE};
use crate::kill::client_options;
use crate::redis::Redis;

#[test]
fn typed_commands_return_the_same_from_redis() {
    let redis = Redis::start();
    in_runtime(async {
        for protocol in ["resp2", "resp3"] {
            let client = redis::Client::open(format!("redis://127.0.0.1:{}/?protocol={protocol}", redis.port));
            let connection = client.expect("an address").get_multiplexed_async_connection().await.expect("it accepts");
            let db = Neighbour(connection);
            call::<()>(&db, "FLUSHALL").await.expect("it is executed");
            check(&db).await.unwrap_or_else(|error| panic!("{protocol}: {error}"));
        }
    });
}

#[test]
fn typed_commands_return_the_same_from_a_pair() {
    let cluster = Cluster::start();
    in_runtime(async {
        let client = Client::connect(client_options(&cluster)).await.expect("a primary");
        check(&client).await.unwrap_or_else(|error| panic!("{error}"));
        newer(&client).await.unwrap_or_else(|error| panic!("{error}"));
    });
}

/// The wait goes on at the new primary, and that of a caller who has given up is over.
#[test]
fn a_blocked_pop_survives_a_switchover() {
    let cluster = Cluster::start();
    in_runtime(async {
        let client = Client::connect(client_options(&cluster)).await.expect("a primary");
        let pop = |key: &'static str| {
            let client = client.clone();
            tokio::spawn(async move { client.blpop::<String, String>(key, None).await })
        };
        let (pop_a, pop_b) = (pop("a"), pop("b"));
        wait_for_blocked(&client, 2).await;
        let told: String = call(&client, "TANIST").arg("SWITCHOVER").await.expect("the standby becomes primary");
        println!("{told}");
        wait_for_blocked(&client, 2).await;
        pop_b.abort();
        wait_for_blocked(&client, 1).await;
        client.rpush("b", "kept").await.expect("it is executed");
        client.rpush("a", "taken").await.expect("it is executed");
        let popped = pop_a.await.expect("it was not aborted").expect("its outcome is known");
        assert_eq!(popped, Some(("a".to_owned(), "taken".to_owned())));
        assert_eq!(client.lrange::<String>("b", 0, -1).await.expect("it is executed"), ["kept"]);
    });
}

async fn wait_for_blocked(client: &Client, count: usize) {
    let blocked = async {
        loop {
            let list: String = call(client, "CLIENT").arg("LIST").await.expect("it is executed");
            if list.lines().filter(|line| line.contains(" flags=b")).count() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, blocked).await.expect("clients block");
}

fn in_runtime(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work);
}

/// A `redis-server`, through the `redis` crate.
struct Neighbour(MultiplexedConnection);

impl Execute for Neighbour {
    fn execute(&self, command: Cmd) -> Pin<Box<dyn Future<Output = Result<Value, Error>> + Send + '_>> {
        let mut connection = self.0.clone();
        Box::pin(
            async move { connection.req_packed_command(&command).await.map_err(|e| Error::Unknown(e.to_string())) },
        )
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn some(value: &str) -> Option<String> {
    Some(text(value))
}

fn set(members: &[&str]) -> HashSet<String> {
    members.iter().map(|member| text(member)).collect()
}

fn scored(members: &[(&str, f64)]) -> Vec<(String, f64)> {
    members.iter().map(|(member, score)| (text(member), *score)).collect()
}

/// Every typed command that Redis 7.0 has, on an empty database.
async fn check(db: &impl Execute) -> Result<(), Error> {
    strings(db).await?;
    bits(db).await?;
    hyperloglogs(db).await?;
    keys(db).await?;
    hashes(db).await?;
    lists(db).await?;
    sets(db).await?;
    sorted_sets(db).await?;
    sorted_set_ranges(db).await?;
    sorted_set_algebra(db).await?;
    places(db).await?;
    streams(db).await?;
    stream_groups(db).await?;
    sorting(db).await?;
    dumps(db).await?;
    blocking(db).await?;
    scans(db).await
}

async fn strings(db: &impl Execute) -> Result<(), Error> {
    db.set("s", "grün").await?;
    assert_eq!(db.get("s").await?, some("grün"));
    assert_eq!(db.get::<Vec<u8>>("s").await?, Some("grün".as_bytes().to_vec()));
    assert_eq!(db.get::<String>("nothing").await?, None);
    assert!(!db.set_with("s", "x", SetOptions::default().only_if_missing()).await?);
    assert!(db.set_with("s", "y", SetOptions::default().only_if_there().expire_after(PATIENCE)).await?);
    assert!(matches!(db.ttl("s").await?, TimeToLive::Left(left) if left <= PATIENCE));
    assert!(db.set_with("s", "z", SetOptions::default().keep_ttl()).await?);
    assert!(matches!(db.ttl("s").await?, TimeToLive::Left(_)));
    let later = SystemTime::now() + PATIENCE;
    assert_eq!(db.set_get("s", "hello", SetOptions::default().expire_at(later)).await?, some("z"));
    assert_eq!(db.getex("s", Expiry::Never).await?, some("hello"));
    assert_eq!(db.ttl("s").await?, TimeToLive::Forever);
    assert_eq!(db.getex("s", Expiry::After(PATIENCE)).await?, some("hello"));
    assert_eq!(db.getex("s", Expiry::At(later)).await?, some("hello"));
    assert_eq!(db.append("s", " you").await?, 9);
    assert_eq!(db.strlen("s").await?, 9);
    assert_eq!(db.getrange::<String>("s", -3, -1).await?, "you");
    assert_eq!(db.setrange("s", 6, "all").await?, 9);
    assert_eq!(db.getdel("s").await?, some("hello all"));
    db.mset(&[("a", "1"), ("b", "2")]).await?;
    assert_eq!(db.mget(&["a", "nothing", "b"]).await?, [Some(1), None, Some(2)]);
    assert!(!db.msetnx(&[("b", "3"), ("c", "3")]).await? && db.msetnx(&[("c", "3")]).await?);
    assert_eq!((db.incrby("a", 41).await?, db.decrby("a", 2).await?), (42, 40));
    assert_eq!(db.incrbyfloat("a", 0.5).await?, 40.5);
    Ok(())
}

async fn bits(db: &impl Execute) -> Result<(), Error> {
    assert!(!db.setbit("bits", 9, true).await? && db.setbit("bits", 9, true).await?);
    assert!(db.getbit("bits", 9).await? && !db.getbit("bits", 900).await?);
    assert_eq!(db.bitcount("bits", None).await?, 1);
    assert_eq!(db.bitcount("bits", Some(BitRange::Bits(0, 8))).await?, 0);
    assert_eq!(db.bitpos("bits", true, None).await?, BitPosition(Some(9)));
    assert_eq!(db.bitpos("bits", true, Some(BitRange::Bytes(0, 0))).await?, BitPosition(None));
    assert_eq!(db.bitop(BitOperation::Not, "other", "bits").await?, 2);
    assert_eq!(db.bitop(BitOperation::Xor, "other", &["other", "bits"]).await?, 2);
    assert_eq!(db.get::<Vec<u8>>("other").await?, Some(vec![0xff; 2]));
    let fields = BitFields::default().set("u8", 8, 300).overflow(BitOverflow::Fail).incrby("u8", 8, 250).get("i4", 8);
    assert_eq!(db.bitfield("other", &fields).await?, [Some(255), None, Some(2)]);
    assert_eq!(db.bitfield_ro("other", &BitFields::default().get("u8", 0)).await?, [Some(255)]);
    db.mset(&[("one", "ohmytext"), ("two", "mynewtext")]).await?;
    assert_eq!(db.lcs::<String>("one", "two").await?, "mytext");
    assert_eq!(db.lcs_len("one", "two").await?, 6);
    db.del(&["bits", "other", "one", "two"]).await?;
    Ok(())
}

async fn hyperloglogs(db: &impl Execute) -> Result<(), Error> {
    assert!(db.pfadd("one", &["a", "b", "c"]).await? && !db.pfadd("one", "a").await?);
    assert!(db.pfadd("two", "d").await?);
    assert_eq!((db.pfcount("one").await?, db.pfcount(&["one", "two"]).await?), (3, 4));
    db.pfmerge("both", &["one", "two"]).await?;
    assert_eq!(db.pfcount("both").await?, 4);
    db.del(&["one", "two", "both"]).await?;
    Ok(())
}

async fn keys(db: &impl Execute) -> Result<(), Error> {
    assert_eq!(db.exists(&["a", "a", "nothing"]).await?, 2);
    assert_eq!(db.touch(&["a", "nothing"]).await?, 1);
    assert_eq!((db.del(&["c", "nothing"]).await?, db.dbsize().await?), (1, 2));
    db.rename("a", "d").await?;
    assert!(!db.renamenx("d", "b").await? && db.renamenx("d", "a").await?);
    assert!(!db.copy("a", "b", false).await? && db.copy("a", "b", true).await?);
    assert_eq!(db.ttl("nothing").await?, TimeToLive::Missing);
    assert!(db.expire("b", Duration::from_secs(50)).await?);
    assert!(!db.expire_if("b", Duration::from_secs(40), ExpireIf::Longer).await?);
    assert!(db.expire_if("b", Duration::from_secs(40), ExpireIf::Shorter).await?);
    assert!(!db.expire_if("b", Duration::from_secs(40), ExpireIf::HasNone).await?);
    assert!(db.expire_if("b", Duration::from_secs(40), ExpireIf::HasOne).await?);
    assert!(db.persist("b").await? && !db.persist("b").await?);
    assert!(db.expire_at("b", SystemTime::UNIX_EPOCH + Duration::from_secs(1)).await?);
    assert_eq!(db.randomkey().await?, some("a"));
    assert_eq!(db.keys::<String>("*").await?, ["a"]);
    assert_eq!(db.object_encoding("a").await?, some("embstr"));
    assert_eq!((db.key_type("a").await?, db.key_type("nothing").await?), (KeyKind::String, KeyKind::Missing));
    assert_eq!(db.unlink("a").await?, 1);
    Ok(())
}

async fn hashes(db: &impl Execute) -> Result<(), Error> {
    assert_eq!(db.hset("h", &[("name", "Brian"), ("born", "941")]).await?, 2);
    assert_eq!(db.hset("h", ("name", "Brian")).await?, 0);
    assert_eq!(db.hset("h", BTreeMap::from([("x", 1.5)])).await?, 1);
    assert!(!db.hsetnx("h", "x", 2).await? && db.hsetnx("h", "y", 2).await?);
    assert_eq!(db.hget("h", "name").await?, some("Brian"));
    assert_eq!(db.hget::<u16>("h", "nothing").await?, None);
    assert_eq!(db.hmget("h", &["born", "nothing"]).await?, [Some(941), None]);
    assert_eq!(db.hincrby("h", "born", 1).await?, 942);
    assert_eq!(db.hincrbyfloat("h", "x", 0.25).await?, 1.75);
    assert_eq!((db.hdel("h", &["x", "nothing"]).await?, db.hdel("h", "y").await?), (1, 1));
    let all = HashMap::from([(text("name"), text("Brian")), (text("born"), text("942"))]);
    assert_eq!(db.hgetall("h").await?, all);
    assert_eq!(db.hgetall::<String, String>("nothing").await?, HashMap::new());
    assert_eq!(db.hkeys("h").await?.into_iter().collect::<HashSet<String>>(), set(&["name", "born"]));
    assert_eq!(db.hvals("h").await?.into_iter().collect::<HashSet<String>>(), set(&["Brian", "942"]));
    assert_eq!((db.hlen("h").await?, db.hstrlen("h", "name").await?), (2, 5));
    assert!(db.hexists("h", "name").await? && !db.hexists("h", "nothing").await?);
    assert_eq!(db.hrandfield::<String>("h", -5).await?.len(), 5);
    let pairs = db.hrandfield_with_values("h", 2).await?;
    assert_eq!(pairs.into_iter().collect::<HashMap<String, String>>(), all);
    assert_eq!(db.hrandfield_with_values::<String, String>("h", 1).await?.len(), 1);
    assert_eq!(db.key_type("h").await?, KeyKind::Hash);
    Ok(())
}

async fn lists(db: &impl Execute) -> Result<(), Error> {
    assert_eq!((db.rpush("l", &["a", "b", "c"]).await?, db.lpush("l", "z").await?), (3, 4));
    assert_eq!((db.lpushx("nothing", "x").await?, db.rpushx("l", &["d", "e"]).await?), (0, 6));
    assert_eq!(db.lrange::<String>("l", 0, 1).await?, ["z", "a"]);
    assert_eq!((db.lindex("l", -1).await?, db.lindex::<String>("l", 9).await?), (some("e"), None));
    db.lset("l", 0, "y").await?;
    assert_eq!(db.linsert("l", Place::Before, "b", "ab").await?, 7);
    assert_eq!(
        (db.linsert("l", Place::After, "?", "x").await?, db.linsert("nothing", Place::After, "b", "x").await?),
        (-1, 0)
    );
    assert_eq!((db.lpos("l", "b").await?, db.lpos("l", "?").await?), (Some(3), None));
    assert_eq!(db.lpos_many("l", "b", 0).await?, [3]);
    assert_eq!((db.lrem("l", 0, "ab").await?, db.llen("l").await?), (1, 6));
    db.ltrim("l", 0, 4).await?;
    assert_eq!((db.lpop("l").await?, db.rpop("l").await?), (some("y"), some("d")));
    assert_eq!(db.rpop_many::<String>("l", 2).await?, ["c", "b"]);
    assert_eq!(db.lmove("l", "l2", End::Left, End::Right).await?, some("a"));
    assert_eq!(
        (db.lpop::<String>("l").await?, db.lmove::<String>("l", "l2", End::Left, End::Left).await?),
        (None, None)
    );
    assert_eq!(db.lpop_many::<String>("l", 2).await?, [""; 0]);
    assert_eq!(db.lmpop(&["l", "l2"], End::Right, 5).await?, Some((text("l2"), vec![text("a")])));
    assert_eq!(db.lmpop::<String, String>(&["l", "l2"], End::Right, 5).await?, None);
    Ok(())
}

async fn sets(db: &impl Execute) -> Result<(), Error> {
    assert_eq!((db.sadd("a", &["1", "2", "3"]).await?, db.sadd("b", &["2", "3", "4"]).await?), (3, 3));
    assert_eq!(db.smembers("a").await?, set(&["1", "2", "3"]));
    assert!(db.sismember("a", "1").await? && !db.sismember("a", "x").await?);
    assert_eq!(db.smismember("a", &["1", "x"]).await?, [true, false]);
    assert_eq!((db.sinter(&["a", "b"]).await?, db.sdiff(&["a", "b"]).await?), (set(&["2", "3"]), set(&["1"])));
    assert_eq!(db.sunion(&["a", "b"]).await?, set(&["1", "2", "3", "4"]));
    assert_eq!((db.sintercard(&["a", "b"], None).await?, db.sintercard(&["a", "b"], Some(1)).await?), (2, 1));
    assert_eq!((db.sinterstore("i", &["a", "b"]).await?, db.sdiffstore("d", &["a", "b"]).await?), (2, 1));
    assert_eq!((db.sunionstore("u", &["a", "b"]).await?, db.scard("u").await?), (4, 4));
    assert!(db.smove("a", "b", "1").await? && !db.smove("a", "b", "1").await?);
    assert_eq!((db.srem("a", &["2", "x"]).await?, db.spop("a").await?), (1, some("3")));
    assert_eq!((db.spop::<String>("a").await?, db.spop_many("i", 9).await?), (None, set(&["2", "3"])));
    assert_eq!(
        (db.srandmember::<String>("d", 5).await?, db.srandmember::<u8>("u", -9).await?.len()),
        (vec![text("1")], 9)
    );
    Ok(())
}

async fn sorted_sets(db: &impl Execute) -> Result<(), Error> {
    assert_eq!((db.zadd("z", &[(1.0, "a"), (2.5, "b")]).await?, db.zadd("z", (3, "c")).await?), (2, 1));
    let options = ZaddOptions::default;
    assert_eq!(db.zadd_with("z", options().only_new(), (9, "a")).await?, 0);
    assert_eq!(db.zadd_with("z", options().only_if_greater().count_changed(), &[(2.0, "a"), (1.0, "b")]).await?, 1);
    assert_eq!(db.zadd_with("z", options().only_existing().only_if_less(), &[(0.5, "c"), (7.0, "x")]).await?, 0);
    assert_eq!((db.zincrby("z", 0.5, "a").await?, db.zscore("z", "c").await?), (2.5, Some(0.5)));
    assert_eq!(db.zincrby_with("z", options().only_existing(), 2.5, "c").await?, Some(3.0));
    assert_eq!(db.zincrby_with("z", options().only_new(), 1.0, "c").await?, None);
    assert_eq!((db.zscore("z", "x").await?, db.zmscore("z", &["a", "x"]).await?), (None, vec![Some(2.5), None]));
    assert_eq!((db.zcard("z").await?, db.zcount("z", 2.5..3.0).await?, db.zcount("z", ..).await?), (3, 2, 3));
    assert_eq!(
        (db.zrank("z", "c").await?, db.zrevrank("z", "c").await?, db.zrank("z", "x").await?),
        (Some(2), Some(0), None)
    );
    assert_eq!(
        (db.zpopmin("z", 1).await?, db.zpopmax("z", 9).await?),
        (scored(&[("a", 2.5)]), scored(&[("c", 3.0), ("b", 2.5)]))
    );
    assert_eq!(db.zpopmin::<String>("z", 1).await?, []);
    db.zadd("z", &[(f64::INFINITY, "top"), (-1.5, "low")]).await?;
    assert_eq!(
        db.zmpop(&["nothing", "z"], Extreme::Highest, 1).await?,
        Some((text("z"), scored(&[("top", f64::INFINITY)])))
    );
    assert_eq!(db.zmpop::<String, String>(&["nothing"], Extreme::Lowest, 1).await?, None);
    assert_eq!((db.zrandmember::<String>("z", 3).await?, db.zrem("z", &["low", "x"]).await?), (vec![text("low")], 1));
    Ok(())
}

async fn sorted_set_ranges(db: &impl Execute) -> Result<(), Error> {
    db.zadd("z", &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]).await?;
    db.zadd("names", &[(0, "ann"), (0, "bob"), (0, "cid"), (0, "dan")]).await?;
    let names = async |range| db.zrange::<String>("names", range).await;
    assert_eq!(names(ZRange::ranks(1, -2)).await?, ["bob", "cid"]);
    assert_eq!(names(ZRange::ranks(0, 0).reversed()).await?, ["dan"]);
    assert_eq!(names(ZRange::members("b".."cid")).await?, ["bob"]);
    assert_eq!(names(ZRange::members("b"..="cid").reversed()).await?, ["cid", "bob"]);
    assert_eq!(names(ZRange::members::<&str>(..).limit(1, 2)).await?, ["bob", "cid"]);
    let scores = async |range| db.zrange_with_scores::<String>("z", range).await;
    assert_eq!(scores(ZRange::scores(2.0..4.0)).await?, scored(&[("b", 2.0), ("c", 3.0)]));
    assert_eq!(scores(ZRange::scores(..).reversed().limit(0, 1)).await?, scored(&[("d", 4.0)]));
    assert_eq!(scores(ZRange::scores(3.5..)).await?, scored(&[("d", 4.0)]));
    let (above, below) = (std::ops::Bound::Excluded(2.0), std::ops::Bound::Unbounded);
    assert_eq!(scores(ZRange::scores((above, below)).limit(0, 1)).await?, scored(&[("c", 3.0)]));
    assert_eq!(
        (db.zrangestore("to", "z", ZRange::scores(..=2.0)).await?, db.zlexcount("names", "b".."d").await?),
        (2, 2)
    );
    assert_eq!((db.zremrangebyrank("z", 0, 0).await?, db.zremrangebyscore("z", 4.0..).await?), (1, 1));
    assert_eq!(
        (db.zremrangebylex("names", "c"..).await?, names(ZRange::ranks(0, -1)).await?),
        (2, vec![text("ann"), text("bob")])
    );
    Ok(())
}

async fn sorted_set_algebra(db: &impl Execute) -> Result<(), Error> {
    db.del(&["z", "y", "s"]).await?;
    db.zadd("z", &[(1, "a"), (2, "b")]).await?;
    db.zadd("y", &[(5, "b"), (6, "c")]).await?;
    let both = || ZCombine::of(&["z", "y"]);
    assert_eq!(db.zunion(both()).await?, scored(&[("a", 1.0), ("c", 6.0), ("b", 7.0)]));
    assert_eq!(db.zinter(both().aggregate(ScoreAggregate::Max)).await?, scored(&[("b", 5.0)]));
    assert_eq!(db.zinter(both().aggregate(ScoreAggregate::Min).weights([10.0, 1.0])).await?, scored(&[("b", 5.0)]));
    assert_eq!(db.zinter(both().aggregate(ScoreAggregate::Sum).weights([10.0, 1.0])).await?, scored(&[("b", 25.0)]));
    assert_eq!(db.zdiff(both()).await?, scored(&[("a", 1.0)]));
    assert_eq!((db.zintercard(&["z", "y"], None).await?, db.zintercard(&["z", "z"], Some(1)).await?), (1, 1));
    assert_eq!((db.zunionstore("to", both()).await?, db.zinterstore("to", both()).await?), (3, 1));
    assert_eq!((db.zdiffstore("to", both()).await?, db.key_type("to").await?), (1, KeyKind::SortedSet));
    Ok(())
}

/// Ids with fields.
type Entries = Vec<(String, Vec<(String, u64)>)>;

async fn streams(db: &impl Execute) -> Result<(), Error> {
    let chosen = db.xadd("stream", &[("a", 1)]).await?;
    assert_eq!((db.xlen("stream").await?, db.xdel("stream", &[chosen, text("1-1")]).await?), (1, 1));
    assert_eq!(db.key_type("stream").await?, KeyKind::Stream);
    db.del("stream").await?;
    let options = XaddOptions::default();
    for ms in 1..4 {
        let id = db.xadd_with("stream", &options, format!("{ms}-*"), &[("a", ms)]).await?;
        assert_eq!(id, Some(format!("{ms}-0")));
    }
    assert_eq!(db.xadd_with("nothing", &options.only_if_present(), "*", &[("a", 1)]).await?, None);
    let entry = |ms: u64| (format!("{ms}-0"), vec![(text("a"), ms)]);
    assert_eq!(db.xrange::<Entries>("stream", "-", "(3-0", None).await?, [entry(1), entry(2)]);
    assert_eq!(db.xrevrange::<Entries>("stream", "+", "-", Some(2)).await?, [entry(3), entry(2)]);
    let read = |options| db.xread::<Vec<(String, Entries)>>("stream", "1", options);
    assert_eq!(read(StreamReadOptions::default().count(1)).await?, Some(vec![(text("stream"), vec![entry(2)])]));
    let wait = StreamReadOptions::default().block(Some(Duration::from_millis(20)));
    assert_eq!(db.xread::<Vec<(String, Entries)>>("stream", "$", wait).await?, None);
    let trimmed =
        db.xadd_with("stream", &XaddOptions::default().trim(StreamTrim::max_len(3)), "4-0", &[("a", 4)]).await?;
    assert_eq!((trimmed, db.xlen("stream").await?), (Some(text("4-0")), 3));
    assert_eq!(db.xtrim("stream", &StreamTrim::min_id("3").about()).await?, 0);
    assert_eq!(db.xtrim("stream", &StreamTrim::min_id("3")).await?, 1);
    db.xsetid("stream", "9-0").await?;
    let info: HashMap<String, Value> = db.xinfo_stream("stream").await?;
    assert_eq!(info["length"], Value::Int(2));
    Ok(())
}

async fn stream_groups(db: &impl Execute) -> Result<(), Error> {
    db.xgroup_create("shared", "g", "0").await?;
    assert!(db.xgroup_create("shared", "g", "0").await.is_err());
    for ms in 1..4 {
        db.xadd_with("shared", &XaddOptions::default(), format!("{ms}-0"), &[("a", ms)]).await?;
    }
    let entry = |ms: u64| (format!("{ms}-0"), vec![(text("a"), ms)]);
    let read = |consumer: &'static str, id: &'static str, options| {
        db.xreadgroup::<Vec<(String, Entries)>>(("g", consumer), "shared", id, options)
    };
    let two = StreamReadOptions::default().count(2);
    assert_eq!(read("ann", ">", two).await?, Some(vec![(text("shared"), vec![entry(1), entry(2)])]));
    assert_eq!(read("bob", ">", two.no_ack()).await?, Some(vec![(text("shared"), vec![entry(3)])]));
    let wait = StreamReadOptions::default().block(Some(Duration::from_millis(20)));
    assert_eq!(read("bob", ">", wait).await?, None);
    assert_eq!(read("ann", "1", StreamReadOptions::default()).await?, Some(vec![(text("shared"), vec![entry(2)])]));
    let pending: (u64, String, String, Vec<(String, u64)>) = db.xpending("shared", "g").await?;
    assert_eq!(pending, (2, text("1-0"), text("2-0"), vec![(text("ann"), 2)]));
    let claimed: Entries = db.xclaim("shared", ("g", "bob"), Duration::ZERO, "1").await?;
    assert_eq!(claimed, [entry(1)]);
    let all = db.xpending_range("shared", "g", "-", "+", 10).await?;
    let owners: Vec<(&str, &str)> = all.iter().map(|(id, name, ..)| (id.as_str(), name.as_str())).collect();
    assert_eq!(owners, [("1-0", "bob"), ("2-0", "ann")]);
    let (next, claimed, gone) = db.xautoclaim::<Entries>("shared", ("g", "ann"), Duration::ZERO, "-", 1).await?;
    assert_eq!((next, claimed, gone), (text("2-0"), vec![entry(1)], Vec::new()));
    assert_eq!(
        (db.xack("shared", "g", &["1", "9"]).await?, db.xgroup_delconsumer("shared", "g", "ann").await?),
        (1, 1)
    );
    assert!(db.xgroup_createconsumer("shared", "g", "ann").await?);
    db.xgroup_setid("shared", "g", "$").await?;
    let groups: Vec<HashMap<String, Value>> = db.xinfo_groups("shared").await?;
    let consumers: Vec<HashMap<String, Value>> = db.xinfo_consumers("shared", "g").await?;
    assert_eq!((groups.len(), consumers.len()), (1, 2));
    assert!(db.xgroup_destroy("shared", "g").await?);
    assert!(!db.xgroup_destroy("shared", "g").await?);
    Ok(())
}

async fn sorting(db: &impl Execute) -> Result<(), Error> {
    db.del("l").await?;
    db.rpush("l", &["3", "1", "2", "10"]).await?;
    db.mset(&[("w1", "7"), ("w2", "-1.5"), ("w3", "8")]).await?;
    db.hset("o1", &[("name", "one")]).await?;
    let by_weight = || SortOptions::default().by("w*");
    assert_eq!(db.sort::<u8>("l", SortOptions::default()).await?, [1, 2, 3, 10]);
    assert_eq!(db.sort_ro::<u8>("l", by_weight()).await?, [2, 10, 1, 3]);
    assert_eq!(db.sort::<u8>("l", SortOptions::default().alphabetically().descending()).await?, [3, 2, 10, 1]);
    assert_eq!(db.sort::<u8>("l", SortOptions::default().unsorted().descending().limit(1, 2)).await?, [2, 1]);
    let named = SortOptions::default().limit(0, 2).get("#").get("o*->name");
    assert_eq!(db.sort_ro::<(u8, Option<String>)>("l", named.clone()).await?, [(1, some("one")), (2, None)]);
    assert_eq!(db.sort_store("l", named, "l2").await?, 4);
    assert_eq!(db.lrange::<String>("l2", 0, -1).await?, ["1", "one", "2", ""]);
    assert_eq!(db.sort_store("nothing", SortOptions::default(), "l2").await?, 0);
    assert!(db.sort::<u8>("o1", SortOptions::default()).await.is_err());
    Ok(())
}

async fn dumps(db: &impl Execute) -> Result<(), Error> {
    let dumped = db.dump("l").await?.expect("it is there");
    assert_eq!(db.dump("nothing").await?, None);
    db.restore("l2", &dumped, RestoreOptions::default()).await?;
    assert_eq!(db.lrange::<u8>("l2", 0, -1).await?, [3, 1, 2, 10]);
    assert_eq!(db.ttl("l2").await?, TimeToLive::Forever);
    assert!(db.restore("l2", &dumped, RestoreOptions::default()).await.is_err());
    db.restore("l2", &dumped, RestoreOptions::default().replace().expire_after(PATIENCE)).await?;
    assert!(matches!(db.ttl("l2").await?, TimeToLive::Left(left) if left <= PATIENCE));
    let later = SystemTime::now() + PATIENCE;
    db.restore("l2", &dumped, RestoreOptions::default().replace().expire_at(later)).await?;
    assert!(matches!(db.ttl("l2").await?, TimeToLive::Left(left) if left <= PATIENCE));
    assert!(db.restore("l3", "damaged", RestoreOptions::default()).await.is_err());
    Ok(())
}

async fn blocking(db: &impl Execute) -> Result<(), Error> {
    db.del(&["l", "l2", "z"]).await?;
    db.rpush("l", &["1", "2", "3", "4", "5"]).await?;
    db.zadd("z", &[(1.5, "a"), (2.0, "b"), (3.0, "c")]).await?;
    let long = Some(PATIENCE);
    assert_eq!(db.blpop(&["nothing", "l"], long).await?, Some((text("l"), 1)));
    assert_eq!(db.brpop("l", None).await?, Some((text("l"), 5)));
    assert_eq!(db.blmove("l", "l2", End::Left, End::Left, long).await?, Some(2));
    assert_eq!(db.blmpop(&["nothing", "l"], End::Left, 9, None).await?, Some((text("l"), vec![3, 4])));
    assert_eq!(db.bzpopmin(&["nothing", "z"], long).await?, Some((text("z"), text("a"), 1.5)));
    assert_eq!(db.bzpopmax("z", long).await?, Some((text("z"), text("c"), 3.0)));
    assert_eq!(db.bzmpop("z", Extreme::Lowest, 9, long).await?, Some((text("z"), scored(&[("b", 2.0)]))));
    let short = Some(Duration::from_millis(10));
    assert_eq!(db.blpop::<String, String>("nothing", short).await?, None);
    assert_eq!(db.blmove::<String>("nothing", "l", End::Left, End::Right, short).await?, None);
    assert_eq!(db.blmpop::<String, String>("nothing", End::Left, 1, short).await?, None);
    assert_eq!(db.bzpopmin::<String, String>("nothing", short).await?, None);
    assert_eq!(db.bzmpop::<String, String>("nothing", Extreme::Highest, 1, Some(Duration::ZERO)).await?, None);
    Ok(())
}

async fn scans(db: &impl Execute) -> Result<(), Error> {
    let many = 0..2000_u32;
    let pairs: Vec<(String, u32)> = many.clone().map(|n| (format!("f{n}"), n)).collect();
    let scores: Vec<(u32, String)> = many.clone().map(|n| (n, format!("f{n}"))).collect();
    db.mset(many.clone().map(|n| (format!("scan:{n}"), n)).collect::<Vec<_>>()).await?;
    db.hset("hash", &pairs).await?;
    db.sadd("set", many.clone().collect::<Vec<_>>()).await?;
    db.zadd("zset", &scores).await?;
    let keys: BTreeSet<String> = db.scan().matching("scan:*").count(100).all().await?.into_iter().collect();
    assert_eq!(keys, many.clone().map(|n| format!("scan:{n}")).collect());
    assert_eq!(db.scan::<String>().of_type(&KeyKind::Hash).matching("ha*").count(1000).all().await?, ["hash"]);
    let fields: BTreeMap<String, u32> = db.hscan("hash").count(100).all().await?.into_iter().collect();
    assert_eq!(fields, pairs.iter().cloned().collect());
    let members: BTreeSet<u32> = db.sscan("set").count(100).all().await?.into_iter().collect();
    assert_eq!(members, many.collect());
    let mut scan = db.zscan::<String>("zset").matching("f1*").count(100);
    let mut found = BTreeMap::new();
    while let Some((member, score)) = scan.next().await? {
        found.insert(member, score as u32);
    }
    assert_eq!(found, pairs.iter().filter(|(member, _)| member.starts_with("f1")).cloned().collect());
    let streamed: Vec<Result<u32, Error>> = futures_util::StreamExt::collect(db.sscan("set").stream()).await;
    assert!(streamed.len() >= 2000 && streamed.iter().all(Result::is_ok));
    let error = db.sscan::<u32>("hash").all().await.expect_err("a hash is no set");
    assert!(error.to_string().contains("WRONGTYPE") || matches!(error, Error::Server(_)), "{error}");
    Ok(())
}

async fn places(db: &impl Execute) -> Result<(), Error> {
    use GeoUnit::{Kilometres, Metres};
    let sicily = &[(13.361389, 38.115556, "Palermo"), (15.087269, 37.502669, "Catania")];
    assert_eq!(db.geoadd("Sicily", sicily).await?, 2);
    assert_eq!(db.geoadd("Sicily", (13.583333, 37.316667, "Agrigento")).await?, 1);
    assert_eq!(db.geodist("Sicily", "Palermo", "Catania", Kilometres).await?, Some(166.2742));
    assert_eq!(db.geodist("Sicily", "Palermo", "Rome", Metres).await?, None);
    assert_eq!(db.geohash("Sicily", &["Palermo", "Rome"]).await?, [Some(text("sqc8b49rny0")), None]);
    let found = db.geopos("Sicily", &["Rome", "Catania"]).await?;
    assert!(matches!(found[..], [None, Some((longitude, _))] if (longitude - 15.087269).abs() < 1e-5), "{found:?}");
    let near = |kilometres| GeoSearch::around(15.0, 37.0).within(Kilometres, kilometres);
    assert_eq!(db.geosearch::<String>("Sicily", near(200.0).ascending()).await?, ["Catania", "Agrigento", "Palermo"]);
    assert_eq!(db.geosearch::<String>("Sicily", near(200.0).nearest(1)).await?, ["Catania"]);
    assert_eq!(db.geosearch::<String>("Sicily", near(200.0).any(2)).await?.len(), 2);
    let of_member = GeoSearch::around_member("Agrigento").within_box(Kilometres, 200.0, 250.0).descending();
    let boxed: Vec<GeoPlace<String>> = db.geosearch_places("Sicily", of_member).await?;
    let shown: Vec<_> = boxed.iter().map(|place| (&*place.member, place.distance)).collect();
    assert_eq!(shown, [("Palermo", 90.9778), ("Agrigento", 0.0)]);
    assert!((boxed[0].latitude - 38.115556).abs() < 1e-5);
    assert_eq!(db.geosearchstore("near", "Sicily", near(100.0)).await?, 1);
    assert_eq!(db.geosearchstore_distances("far", "Sicily", near(200.0)).await?, 3);
    let nearest: Vec<(String, f64)> = db.zrange_with_scores("far", ZRange::ranks(0, 0)).await?;
    assert!(matches!(&nearest[..], [(member, distance)] if member == "Catania" && (distance - 56.4413).abs() < 1e-4));
    Ok(())
}

/// What Redis 7.0 lacks.
async fn newer(db: &impl Execute) -> Result<(), Error> {
    db.zadd("newer", &[(1.5, "a"), (2.0, "b")]).await?;
    assert_eq!(db.zrank_with_score("newer", "b").await?, Some((1, 2.0)));
    assert_eq!(db.zrevrank_with_score("newer", "a").await?, Some((1, 1.5)));
    assert_eq!(db.zrank_with_score("newer", "x").await?, None);
    let fields: BTreeSet<String> = db.hscan_fields("hash").count(100).all().await?.into_iter().collect();
    assert_eq!(fields, (0..2000).map(|n| format!("f{n}")).collect());
    field_expiry(db).await?;
    newer_strings(db).await
}

async fn newer_strings(db: &impl Execute) -> Result<(), Error> {
    let options = SetOptions::default;
    db.set("s", "a").await?;
    assert!(db.set_with("s", "b", options().only_if(ValueIf::equals("a"))).await?);
    assert!(!db.set_with("s", "c", options().only_if(ValueIf::differs("b"))).await?);
    let digest = db.digest("s").await?.expect("the key is there");
    assert!(db.set_with("s", "c", options().only_if(ValueIf::has_digest(&digest)).expire_after(PATIENCE)).await?);
    assert!(!db.delex("s", ValueIf::has_digest(&digest)).await?);
    assert!(!db.delifeq("s", "b").await? && db.delifeq("s", "c").await?);
    assert_eq!(db.digest("s").await?, None);
    assert!(db.msetex(&[("m1", "1"), ("m2", "2")], options().only_if_missing().expire_after(PATIENCE)).await?);
    assert!(!db.msetex(&[("m2", "1"), ("m3", "2")], options().only_if_missing()).await?);
    assert!(db.delex("m1", ValueIf::lacks_digest(&digest)).await?);
    let limit = || IncrexOptions::default().at_most(3).expiry_if_none(Expiry::After(PATIENCE));
    assert_eq!(db.increx("n", 2, limit()).await?, (2, 2));
    assert_eq!(db.increx("n", 2, limit()).await?, (2, 0));
    assert_eq!(db.increx("n", 2, limit().saturate()).await?, (3, 1));
    assert!(matches!(db.ttl("n").await?, TimeToLive::Left(_)));
    let options = IncrexOptions::default().at_least(-1.5).expiry(Expiry::Never);
    assert_eq!(db.increx_float("n", -0.5, options).await?, (2.5, -0.5));
    assert_eq!(db.ttl("n").await?, TimeToLive::Forever);
    Ok(())
}

async fn field_expiry(db: &impl Execute) -> Result<(), Error> {
    use FieldChange::{Changed, Deleted, Missing, Unchanged};
    db.del("h").await?;
    assert!(db.hsetex("h", &[("a", "1"), ("b", "2")], SetOptions::default().expire_after(PATIENCE)).await?);
    assert!(!db.hsetex("h", ("a", "9"), SetOptions::default().only_if_missing()).await?);
    assert!(db.hsetex("h", ("a", "3"), SetOptions::default().only_if_there().keep_ttl()).await?);
    assert!(db.hsetex("h", ("c", "4"), SetOptions::default()).await?);
    assert_eq!(db.hget("h", "a").await?, Some(3));
    let left = db.httl("h", &["a", "c", "x"]).await?;
    assert!(matches!(left[..], [TimeToLive::Left(left), TimeToLive::Forever, TimeToLive::Missing] if left <= PATIENCE));
    let second = Duration::from_secs(1);
    let later = SystemTime::UNIX_EPOCH + Duration::from_millis(9_999_999_999_123);
    assert_eq!(db.hexpire_at("h", &["a", "x"], later).await?, [Changed, Missing]);
    assert_eq!(
        db.hexpiretime("h", &["a", "c", "x"]).await?,
        [FieldExpiry::At(later), FieldExpiry::Never, FieldExpiry::Missing]
    );
    assert_eq!(db.hexpire_at_if("h", "a", later - second, ExpireIf::Longer).await?, [Unchanged]);
    assert_eq!(db.hexpire_if("h", &["a", "c"], PATIENCE, ExpireIf::HasNone).await?, [Unchanged, Changed]);
    assert_eq!(db.hexpire("h", "b", PATIENCE).await?, [Changed]);
    assert_eq!(db.hpersist("h", &["a", "a", "x"]).await?, [Changed, Unchanged, Missing]);
    assert_eq!(db.hexpire_at("h", "b", SystemTime::UNIX_EPOCH + second).await?, [Deleted]);
    assert_eq!(db.hgetex("h", &["a", "b"], Expiry::At(later)).await?, [some("3"), None]);
    assert_eq!(db.hexpiretime("h", "a").await?, [FieldExpiry::At(later)]);
    assert_eq!(db.hgetex("h", "a", Expiry::Never).await?, [Some(3)]);
    assert_eq!(db.httl("h", "a").await?, [TimeToLive::Forever]);
    assert_eq!(db.hgetdel("h", &["a", "b", "c"]).await?, [Some(3), None, Some(4)]);
    assert_eq!(db.key_type("h").await?, KeyKind::Missing);
    assert_eq!(db.httl("h", "a").await?, [TimeToLive::Missing]);
    Ok(())
}
