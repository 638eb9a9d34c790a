//! MULTI, EXEC and WATCH.

use super::*;
use crate::limits::WATCHED_BYTES_MAX;

#[test]
fn a_transaction_is_one_record_and_its_failures_undo_nothing() {
    let mut client = Client::alone();
    client.run("set text x");
    client.run("multi");
    for command in ["set a 1", "incr text", "incr a", "get a", "mget a text none", "del none"] {
        assert_eq!(client.run(command), "+QUEUED|");
    }
    let (reply, executed) = client.replied("exec");
    assert_eq!(reply, "*6|+OK|-ERR value is not an integer or out of range|:2|$1|2|*3|$1|2|$1|x|$-1|:0|");
    assert_eq!((executed.lsn, executed.wrote), (Lsn(3), true));
    assert_eq!(client.engine.last(), Lsn(3));
}

#[test]
fn what_is_refused_while_queueing_spoils_the_whole() {
    let mut client = Client::alone();
    for refused in ["nosuch", "get", "tanist status"] {
        client.run("multi");
        client.run("set a 1");
        assert!(client.run(refused).starts_with("-ERR"), "{refused}");
        assert_eq!(client.run("exec"), "-EXECABORT Transaction discarded because of previous errors.|");
    }
    client.run("multi");
    client.run("set a 1");
    client.session.refuse(&[b"nosuch"]);
    assert!(client.run("exec").starts_with("-EXECABORT"), "the caller may refuse a command too");
    assert_eq!(client.run("exists a"), ":0|");
}

#[test]
fn an_exec_that_is_refused_ends_the_transaction() {
    let mut client = Client::alone();
    let mut other = Client::new(&client.engine);
    client.run("watch k");
    other.run("set k 1");
    client.run("multi");
    client.run("set a 1");
    let refused = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command|";
    assert_eq!(client.run("exec x"), refused);
    assert_eq!(client.run("exec"), "-ERR EXEC without MULTI|");
    assert_eq!(client.run("exists a"), ":0|");
    client.run("multi");
    client.run("set a 1");
    assert_eq!(client.run("exec"), "*1|+OK|", "nothing is watched any more");
    client.run("multi");
    client.session.refuse(&[b"EXEC", b"x"]);
    assert_eq!(client.run("exec"), "-ERR EXEC without MULTI|", "the caller may refuse it too");
}

#[test]
fn whole_keyspace_commands_run_inside() {
    let mut client = Client::alone();
    client.run("mset a 1 b 2");
    client.run("multi");
    ["flushall", "dbsize", "set c 3", "keys *", "scan 0", "randomkey"].iter().for_each(|c| drop(client.run(c)));
    assert_eq!(client.run("exec"), "*6|+OK|:0|+OK|*1|$1|c|*2|$1|0|*1|$1|c|$1|c|");
}

#[test]
fn a_watch_is_exact_to_the_key() {
    let mut client = Client::alone();
    let mut other = Client::new(&client.engine);
    let mut exec_after = |disturb: &[&str]| {
        client.run("del k l none");
        client.run("set k 1 px 1000");
        client.run("watch k none");
        client.run("watch k");
        disturb.iter().for_each(|command| drop(other.run(command)));
        client.run("multi");
        client.run("get k");
        client.run("exec")
    };
    let unharmed = "*1|$1|1|";
    assert_eq!(exec_after(&[]), unharmed);
    assert_eq!(exec_after(&["set other 1", "del other", "get k", "touch k", "set k x nx"]), unharmed);
    for disturb in [
        "set k 1",
        "append k 1",
        "setrange k 0 1",
        "expire k 5",
        "persist k",
        "del k",
        "rename k l",
        "set none 1",
        "copy k none",
        "flushall",
        "getex k px 77",
    ] {
        assert_eq!(exec_after(&[disturb]), "*-1|", "{disturb}");
    }
}

#[test]
fn time_alone_changes_a_watched_key() {
    let mut client = Client::alone();
    client.run("set k 1 px 100");
    client.run("watch k");
    client.now += 100;
    client.run("multi");
    client.run("ping");
    assert_eq!(client.run("exec"), "*-1|", "it expired since");
    client.run("watch k");
    client.engine.expire_due(UnixMillis(client.now), 10);
    client.run("multi");
    client.run("ping");
    assert_eq!(client.run("exec"), "*1|+PONG|", "it had expired before, and its deletion changes nothing");
    client.run("set k 1 px 100");
    client.now += 100;
    client.run("watch k");
    client.run("set k 2");
    client.run("multi");
    assert_eq!(client.run("exec"), "*-1|", "it was written since");
}

#[test]
fn a_watch_ends_with_exec_discard_unwatch_reset_and_the_session() {
    let mut client = Client::alone();
    let watched =
        |engine: &Engine| engine.cells.iter().filter(|cell| !cell.lock().watched.databases.is_empty()).count();
    for end in ["unwatch", "reset"] {
        client.run("watch a b c d e f g h");
        assert!(watched(&client.engine) > 0);
        client.run(end);
        assert_eq!(watched(&client.engine), 0, "{end}");
    }
    for end in ["exec", "discard"] {
        client.run("watch a");
        client.run("multi");
        client.run(end);
        assert_eq!(watched(&client.engine), 0, "{end}");
    }
    client.run("watch a");
    let engine = Arc::clone(&client.engine);
    drop(client);
    assert_eq!(watched(&engine), 0);
}

#[test]
fn an_own_write_before_multi_counts_as_any_other() {
    let mut client = Client::alone();
    client.run("watch a");
    client.run("set a 1");
    client.run("multi");
    assert_eq!(client.run("exec"), "*-1|");
}

#[test]
fn watched_keys_are_bounded() {
    let mut client = Client::alone();
    let key = vec![b'k'; KEY_BYTES_MAX - 8];
    let last = (0..1 << 20).map(|n: u64| {
        let key = [&key[..], &n.to_le_bytes()].concat();
        client.call(&[b"watch", &key]).0
    });
    let (position, reply) = last.enumerate().find(|(_, reply)| reply != "+OK|").unwrap();
    assert!(
        position <= WATCHED_BYTES_MAX / KEY_BYTES_MAX && reply.starts_with("-ERR too many watched keys"),
        "{reply}"
    );
}

#[test]
fn transfers_between_threads_conserve_the_sum() {
    let engine = primary();
    let accounts = 8;
    let mut client = Client::new(&engine);
    (0..accounts).for_each(|n| drop(client.run(&format!("set account:{n} 100"))));
    let transfer = |seed: u64| {
        let mut client = Client::new(&engine);
        let mut random = Random(seed);
        for _ in 0..2000 {
            let (from, to) = (random.below(accounts), random.below(accounts));
            client.run("multi");
            client.run(&format!("decrby account:{from} 7"));
            client.run(&format!("incrby account:{to} 7"));
            client.run("exec");
        }
    };
    let watch = || {
        let mut client = Client::new(&engine);
        for _ in 0..500 {
            let all: Vec<String> = (0..accounts).map(|n| format!("account:{n}")).collect();
            let reply = client.run(&format!("mget {}", all.join(" ")));
            let sum: i64 = reply.split('|').skip(2).step_by(2).filter_map(|text| text.parse::<i64>().ok()).sum();
            assert_eq!(sum, 100 * accounts as i64, "{reply}");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| transfer(1));
        scope.spawn(|| transfer(2));
        scope.spawn(watch);
    });
}

#[test]
fn a_watch_is_of_the_database_that_was_selected() {
    let engine = primary();
    let (mut client, mut other) = (Client::new(&engine), Client::new(&engine));
    let mut watches = |client: &mut Client, change: &mut dyn FnMut(&mut Client)| {
        client.run("flushall");
        client.run("set here 1");
        client.run("watch here away");
        other.session.select(1);
        change(&mut other);
        other.session.select(0);
        client.run("multi");
        client.run("echo x");
        client.run("exec") == "*-1|"
    };
    assert!(!watches(&mut client, &mut |other| drop(other.run("set here 2"))), "of another database");
    assert!(!watches(&mut client, &mut |other| drop(other.run("flushdb"))));
    assert!(!watches(&mut client, &mut |other| drop(other.run("swapdb 2 1"))));
    assert!(watches(&mut client, &mut |other| drop(other.run("swapdb 0 1"))), "it is not there any more");
    assert!(!watches(&mut client, &mut |other| drop(other.run("swapdb 1 3"))));
    assert!(watches(&mut client, &mut |other| {
        other.run("set away 1");
        other.run("move away 0");
    }));
    assert!(watches(&mut client, &mut |other| {
        other.session.select(0);
        other.run("move here 3");
    }));
    client.run("swapdb 0 5");
    for (database, changed) in [(5, false), (0, true)] {
        client.run("watch away");
        other.session.select(database);
        other.run("set away 1");
        client.run("multi");
        assert_eq!(client.run("exec") == "*-1|", changed, "after a swap, in {database}");
    }
}

#[test]
fn what_a_transaction_selects_is_selected_for_what_follows() {
    let mut client = Client::alone();
    for line in ["set k zero", "multi", "swapdb 0 1", "get k", "swapdb 0 1", "get k", "dbsize"] {
        client.run(line);
    }
    assert_eq!(client.run("exec"), "*5|+OK|$-1|+OK|$4|zero|:1|");
    client.session.select(1);
    assert_eq!(
        (client.run("get k"), client.run("dbsize"), client.run("keys *")),
        ("$-1|".into(), ":0|".into(), "*0|".into())
    );
    client.run("set k one");
    let counts: Vec<_> = client.engine.databases().map(|counts| (counts.logical, counts.keys)).collect();
    assert_eq!(counts, [(0, 1), (1, 1)]);
    client.session.select(0);
    client.run("swapdb 1 7");
    let counts: Vec<_> = client.engine.databases().map(|counts| (counts.logical, counts.keys)).collect();
    assert_eq!(counts, [(0, 1), (7, 1)]);
    assert_eq!(client.run("copy k k"), "-ERR source and destination objects are the same|");
    assert_eq!(client.run("copy k k db 7"), ":0|");
    assert_eq!(client.run("copy k k db 7 replace"), ":1|");
    client.session.select(7);
    assert_eq!(client.run("get k"), "$4|zero|");
    assert_eq!(client.run("flushdb"), "+OK|");
    assert_eq!(client.engine.keys(), 1);
}
