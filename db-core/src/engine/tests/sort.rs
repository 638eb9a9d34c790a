//! SORT: which locks it takes, whom it wakes, and what it may hold.

use super::*;
use crate::engine::call::Protocol;

/// A client of an engine of four shards with a list, and weights and hashes that lie in all of them.
fn filled() -> Client {
    let mut client = Client::alone();
    client.run("rpush list 3 1 2 20 10");
    for (element, weight) in [("1", "5"), ("2", "-1"), ("3", "2.5"), ("10", "1e3"), ("20", "-inf")] {
        client.run(&format!("set w{element} {weight}"));
        client.run(&format!("hset h{element} f of-{element} g {weight}"));
    }
    client
}

#[test]
fn weights_and_results_come_from_any_shard() {
    let mut client = filled();
    let array = |members: &[&str]| {
        let members: String = members.iter().map(|member| format!("${}|{member}|", member.len())).collect();
        format!("*5|{members}")
    };
    assert_eq!(client.run("sort list"), array(&["1", "2", "3", "10", "20"]));
    assert_eq!(client.run("sort list by w*"), array(&["20", "2", "3", "1", "10"]));
    assert_eq!(client.run("sort_ro list by h*->g desc"), array(&["10", "1", "3", "2", "20"]));
    assert_eq!(client.run("sort list get h*->f"), array(&["of-1", "of-2", "of-3", "of-10", "of-20"]));
    assert_eq!(client.run("sort list get missing* limit 1 1"), "*1|$-1|");
    client.run("multi");
    client.run("sort list by w* get h*->f limit 0 1");
    client.run("del h20");
    client.run("sort list by w* get h*->f limit 0 1 store stored");
    client.run("lrange stored 0 -1");
    assert_eq!(client.run("exec"), "*4|*1|$5|of-20|:1|:1|*1|$0||");
}

#[test]
fn keys_of_another_database_are_not_looked_up() {
    let mut client = filled();
    client.run("copy list list db 1");
    client.session.select(1);
    client.run("set w1 3");
    client.run("set w2 -3");
    assert_eq!(client.run("sort list by w* get # limit 0 1"), "*1|$1|2|");
    assert_eq!(client.run("sort list get h*->f limit 0 1"), "*1|$-1|");
}

#[test]
fn a_reply_waits_for_what_wrote_the_weights() {
    let mut client = filled();
    let before = client.engine.last();
    let (_, replied) = client.replied("set w7 1");
    let (_, sorted) = client.replied("sort list by w*7 get w*");
    assert!(!sorted.wrote && sorted.lsn <= before);
    client.run("rpush list 7");
    let (_, pushed) = client.replied("sort list by w* get w*");
    assert!(pushed.lsn > replied.lsn);
    let (_, changed) = client.replied("set w7 2");
    assert_eq!(client.replied("sort list by w*").1.lsn, changed.lsn);
}

#[test]
fn only_patterns_need_shards_beside_those_of_the_keys() {
    let mut client = filled();
    let engine = Arc::clone(&client.engine);
    let own = engine.key(b"list").unwrap().hash;
    let other = (0..).map(|n: u32| format!("k{n}")).map(|key| engine.key(key.as_bytes()).unwrap().hash);
    let other =
        other.into_iter().find(|hash| shard::shard_of(&engine.cells, *hash) != shard::shard_of(&engine.cells, own));
    let (hold, held) = std::sync::mpsc::sync_channel::<()>(0);
    let (resume, resumed) = std::sync::mpsc::sync_channel::<()>(0);
    let holder = Arc::clone(&engine);
    let thread = std::thread::spawn(move || {
        let _shard = Shards::one(&holder.cells, other.unwrap());
        hold.send(()).unwrap();
        resumed.recv().unwrap_err();
    });
    held.recv().unwrap();
    for free in ["sort list", "sort_ro list by nosort get # get constant", "sort list alpha store list"] {
        assert!(client.executed(free).1.replied().is_some(), "{free}");
    }
    for busy in ["sort list by w*", "sort_ro list get h*->f"] {
        assert!(matches!(client.executed(busy).1.refused(), Some(Refused::Busy(_))), "{busy}");
    }
    drop(resume);
    thread.join().unwrap();
}

#[test]
fn what_is_stored_serves_who_waits_for_it() {
    let mut client = filled();
    let mut waiter = Client::new(&client.engine);
    assert!(matches!(waiter.executed("blpop stored 0").1, Executed::Blocked(_)));
    let last = client.engine.last();
    assert_eq!(client.run("sort list by w* get h*->f store stored"), ":5|");
    assert!(waiter.session.is_served());
    assert_eq!(client.engine.last(), last.next(), "in the same record");
    let mut reply = Reply::new(Protocol::Resp2);
    waiter.session.take_served(&mut reply).unwrap();
    assert_eq!(reply.as_bytes(), b"*2\r\n$6\r\nstored\r\n$5\r\nof-20\r\n");
    assert_eq!(client.run("llen stored"), ":4|");
}

#[test]
fn results_are_bounded() {
    let mut client = Client::alone();
    let elements = vec!["1"; 40_000].join(" ");
    client.run(&format!("rpush list {elements}"));
    let last = client.engine.last();
    let refused = "-ERR the elements, weights and results of one SORT exceed 1 GiB|";
    let gets = " get #".repeat(1_000);
    assert_eq!(client.run(&format!("sort list{gets}")), refused);
    assert_eq!(client.run(&format!("sort list{gets} store list")), refused);
    assert_eq!(client.engine.last(), last);
    let sorted = client.run(&format!("sort list limit 0 1{gets}"));
    assert!(sorted.starts_with("*1000|$1|1|"), "{sorted}");
}
