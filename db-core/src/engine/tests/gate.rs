//! Which log position a reply waits for, and who may write.

use super::*;

#[test]
fn a_write_waits_for_its_own_record() {
    let mut client = Client::alone();
    let (_, executed) = client.replied("set a 1");
    assert_eq!(executed, Replied { lsn: Lsn(2), wrote: true, wakes: false });
    let (_, executed) = client.replied("mset a 1 b 2 c 3");
    assert_eq!((executed.lsn, executed.wrote), (Lsn(3), true), "one command is one record");
}

#[test]
fn a_read_waits_for_the_newest_record_that_wrote_what_it_saw() {
    let mut client = Client::alone();
    client.run("set a 1");
    client.run("set b 1");
    client.run("del b");
    for (command, lsn) in [
        ("get a", 2),
        ("get b", 4),
        ("get never", 0),
        ("mget a never", 2),
        ("mget a b", 4),
        ("exists b", 4),
        ("set a x nx", 2),
        ("set b x xx", 4),
        ("incr a nosuch", 0),
        ("keys nothing*", 4),
        ("dbsize", 4),
        ("randomkey", 4),
        ("scan 0 count 100", 4),
        ("ping", 0),
        ("command count", 0),
    ] {
        let (reply, executed) = client.replied(command);
        assert_eq!((executed.lsn, executed.wrote), (Lsn(lsn), false), "{command}: {reply}");
    }
    client.run("flushall");
    assert_eq!(client.replied("get never").1.lsn, Lsn(5), "it may have been there before");
}

#[test]
fn an_error_may_tell_of_a_write_and_waits_too() {
    let mut client = Client::alone();
    client.run("set a x");
    let (reply, executed) = client.replied("incr a");
    assert!(reply.starts_with("-ERR value is not an integer"));
    assert_eq!((executed.lsn, executed.wrote), (Lsn(2), false));
}

#[test]
fn an_exec_waits_for_all_that_it_saw() {
    let mut client = Client::alone();
    client.run("set a 1");
    for (queued, lsn) in [("get a", 2), ("ping", 0)] {
        client.run("multi");
        client.run(queued);
        assert_eq!(client.replied("exec").1.lsn, Lsn(lsn));
    }
    let mut other = Client::new(&client.engine);
    client.run("watch a");
    other.run("set a 2");
    client.run("multi");
    client.run("ping");
    let (reply, executed) = client.replied("exec");
    assert_eq!((reply.as_str(), executed.lsn), ("*-1|", Lsn(3)), "that it failed tells of the write");
}

#[test]
fn whoever_does_not_write_refuses_writes_without_a_trace() {
    let engine = Arc::new(follower());
    let mut client = Client::new(&engine);
    let refused = (String::new(), Some(Refused::NotWriting));
    assert_eq!(client.refused("set a 1"), refused);
    engine.begin_epoch(Epoch(1)).unwrap();
    assert_eq!(client.run("set a 1"), "+OK|");
    client.run("watch a");
    client.run("multi");
    client.run("incr a");
    assert!(client.session.exec_writes());
    assert_eq!(engine.end_epoch(Epoch(u64::MAX)), Lsn(2));
    assert_eq!(client.refused("exec"), refused);
    assert_eq!(Client::new(&engine).refused("flushall"), refused);
    assert!(client.session.in_multi(), "a refused EXEC may be tried again");
    engine.begin_epoch(Epoch(2)).unwrap();
    assert_eq!(client.run("exec"), "*1|:2|");
    assert_eq!(engine.last(), Lsn(4));
}

#[test]
fn figures_are_known_without_locks() {
    let mut client = Client::alone();
    client.run("mset a 1 b 2 c 3");
    client.run("expire a 100");
    let _all = Shards::all(&client.engine.cells);
    assert_eq!((client.engine.keys(), client.engine.expiring(), client.engine.last()), (3, 1, Lsn(3)));
    assert!(client.engine.memory_bytes() > 0);
}

#[test]
fn the_shipper_is_woken_when_it_has_nothing() {
    use std::sync::atomic::AtomicUsize;
    let engine = primary();
    let mut client = Client::new(&engine);
    while engine.redo().take(usize::MAX).is_some() {}
    let woken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&woken);
    engine.redo().on_append(Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    let wakes = ["get a", "set a 1", "set a 2"].map(|line| client.replied(line).1.wakes);
    assert_eq!((wakes, woken.load(Ordering::Relaxed)), ([false, true, false], 0), "a session wakes by waiting");
    assert_eq!(engine.redo().take(usize::MAX).unwrap().ends.len(), 2);
    engine.freeze();
    assert_eq!(woken.load(Ordering::Relaxed), 1, "nobody waits for a cut");
}
