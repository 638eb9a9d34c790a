//! Blocking commands: who is woken, in which order, and that no wake-up is lost.

use super::*;
use crate::limits::WATCHED_BYTES_MAX;

/// The reply; empty if the command has blocked.
fn take(client: &mut Client, keys: &str) -> String {
    let (reply, executed) = client.executed(&format!("debug bgetdel {keys} 0"));
    assert_eq!(reply.is_empty(), matches!(executed, Executed::Blocked(_)), "{reply}");
    reply
}

fn clients<const N: usize>(engine: &Arc<Engine>) -> [Client; N] {
    std::array::from_fn(|_| Client::new(engine))
}

/// Which of them have been called.
fn called(clients: &[Client]) -> Vec<bool> {
    clients.iter().map(|client| client.session.is_called()).collect()
}

#[test]
fn the_first_who_waits_is_served_first_and_nobody_is_woken_in_vain() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let mut waiting: [Client; 3] = clients(&engine);
    waiting.iter_mut().for_each(|client| assert_eq!(take(client, "k"), ""));
    for at in 0..3 {
        writer.run(&format!("set k {at}"));
        assert_eq!(called(&waiting), [0, 1, 2].map(|other| other == at));
        let last = engine.last();
        let (reply, executed) = waiting[at].replied("debug bgetdel k 0");
        assert_eq!(reply, format!("*2|$1|k|$1|{at}|"));
        assert_eq!((executed.lsn, executed.wrote), (last.next(), true), "taking is a write of its own");
    }
    assert_eq!(called(&waiting), [false; 3]);
    assert_eq!(writer.run("exists k"), ":0|");
}

#[test]
fn who_comes_while_somebody_is_called_lines_up_behind() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let [mut first, mut second] = clients(&engine);
    assert_eq!(take(&mut first, "k"), "");
    writer.run("set k 1");
    assert_eq!(take(&mut second, "k"), "", "the first has been called and not tried yet");
    assert_eq!(take(&mut first, "k"), "*2|$1|k|$1|1|");
    assert!(!second.session.is_called());
    writer.run("set k 2");
    assert_eq!(take(&mut second, "k"), "*2|$1|k|$1|2|");
    writer.run("set k 3");
    assert_eq!(take(&mut first, "k"), "*2|$1|k|$1|3|", "nobody waits: it is served at once");
}

#[test]
fn who_lines_up_for_one_key_is_called_for_another_that_is_there() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let [mut first, mut second] = clients(&engine);
    assert_eq!(take(&mut first, "a"), "");
    writer.run("set a 1");
    writer.run("set b 2");
    assert_eq!(take(&mut second, "a b"), "");
    assert!(second.session.is_called(), "nobody else would come by for the second key");
    assert_eq!(take(&mut first, "a"), "*2|$1|a|$1|1|");
    assert_eq!(take(&mut second, "a b"), "*2|$1|b|$1|2|");
}

#[test]
fn who_leaves_passes_its_call_on() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let [mut first, mut second, mut third] = clients(&engine);
    for client in [&mut first, &mut second, &mut third] {
        assert_eq!(take(client, "k other"), "");
    }
    writer.run("set k 1");
    {
        let _long = Shards::all(&engine.cells);
        drop(first);
        assert!(second.session.is_called(), "also while a long command holds the shard");
        second.session.unblock();
    }
    assert_eq!(take(&mut third, "k other"), "*2|$1|k|$1|1|");
    writer.run("set other 2");
    assert_eq!(called(&[second, third]), [false; 2], "they have left the lines of all their keys");
}

#[test]
fn a_call_in_vain_leaves_the_seat_where_it_is() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let mut waiting: [Client; 2] = clients(&engine);
    waiting.iter_mut().for_each(|client| drop(take(client, "k")));
    writer.run("multi");
    writer.run("set k 1");
    writer.run("del k");
    writer.run("exec");
    assert_eq!(called(&waiting), [true, false]);
    assert_eq!(take(&mut waiting[0], "k"), "");
    assert_eq!(called(&waiting), [false; 2], "the key is gone, so the second is not called");
    writer.run("set k 2");
    assert_eq!(called(&waiting), [true, false]);
}

#[test]
fn a_key_comes_in_many_ways() {
    for (before, comes) in [
        ("set other 1", "rename other k"),
        ("set other 1", "copy other k"),
        ("get k", "append k 1"),
        ("get k", "msetnx k 1 l 2"),
    ] {
        let engine = primary();
        let [mut writer, mut client] = clients(&engine);
        writer.run(before);
        assert_eq!(take(&mut client, "k"), "");
        writer.run(comes);
        assert!(client.session.is_called(), "{comes}");
        assert_eq!(take(&mut client, "k"), "*2|$1|k|$1|1|", "{comes}");
    }
}

#[test]
fn a_line_is_of_a_logical_database() {
    let engine = primary();
    let [mut writer, mut client] = clients(&engine);
    client.session.select(3);
    assert_eq!(take(&mut client, "k"), "");
    writer.run("set k 1");
    writer.run("flushall");
    writer.run("set k 1");
    assert!(!client.session.is_called(), "it waits for the key of another database");
    writer.run("swapdb 5 3");
    assert!(!client.session.is_called(), "nothing came");
    writer.run("swapdb 0 3");
    assert!(client.session.is_called());
    assert_eq!(take(&mut client, "k"), "*2|$1|k|$1|1|");
    assert_eq!(take(&mut client, "k"), "");
    writer.run("set k 2");
    writer.run("move k 3");
    assert_eq!(take(&mut client, "k"), "*2|$1|k|$1|2|");
}

#[test]
fn within_exec_nothing_blocks_and_nobody_else_pays_for_who_has_left() {
    let engine = primary();
    let [mut writer, mut client] = clients(&engine);
    client.run("multi");
    client.run("debug bgetdel k 0");
    client.run("debug bgetdel k x");
    client.run("set k 1");
    client.run("debug bgetdel k 0");
    let expected = "*4|*-1|-ERR timeout is not a float or out of range|+OK|*2|$1|k|$1|1|";
    assert_eq!(client.run("exec"), expected);
    assert_eq!(take(&mut client, "k"), "");
    client.session.unblock();
    writer.run("set k 1");
    assert!(Shards::all(&engine.cells).iter().all(|shard| !shard.watched.any.get()));
}

#[test]
fn an_engine_that_stops_writing_serves_nobody_and_loses_nobody() {
    let engine = primary();
    let [mut writer, mut client] = clients(&engine);
    assert_eq!(take(&mut client, "k"), "");
    writer.run("set k 1");
    engine.end_epoch(Epoch(u64::MAX));
    assert_eq!(client.refused("debug bgetdel k 0"), (String::new(), Some(Refused::NotWriting)));
    assert!(client.session.is_called());
    engine.begin_epoch(Epoch(2)).unwrap();
    assert_eq!(take(&mut client, "k"), "*2|$1|k|$1|1|");
}

#[test]
fn arguments_are_refused_in_the_words_of_redis() {
    let mut client = Client::alone();
    assert_eq!(client.run("debug bgetdel k x"), "-ERR timeout is not a float or out of range|");
    assert_eq!(client.run("debug bgetdel k -1"), "-ERR timeout is negative|");
    assert_eq!(client.run("debug bgetdel k 1e30"), "-ERR timeout is out of range|");
    let timeout = |words: &str| match Client::alone().executed(words).1 {
        Executed::Blocked(blocked) => blocked.timeout,
        executed => panic!("{executed:?}"),
    };
    assert_eq!(timeout("debug bgetdel k 0"), None);
    assert_eq!(timeout("debug bgetdel k 1.5"), Some(std::time::Duration::from_millis(1500)));
    assert_eq!(timeout("debug bgetdel k 0.00001"), Some(std::time::Duration::from_millis(1)));
    let key = vec![b'k'; KEY_BYTES_MAX];
    let keys = vec![&key[..]; WATCHED_BYTES_MAX / KEY_BYTES_MAX + 1];
    let (reply, _) = client.call(&[&[&b"debug"[..], b"bgetdel"], &keys[..], &[b"0"]].concat());
    assert!(reply.starts_with("-ERR too many keys to wait for"), "{reply}");
}

/// Writers and takers on threads: each value is taken once, and no taker sleeps while something is there for it.
#[test]
fn on_many_threads_each_value_is_taken_once() {
    use std::sync::mpsc::sync_channel;
    const VALUES: usize = 2_000;
    let engine = primary();
    let (taken, all) = sync_channel(VALUES);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (engine, taken) = (Arc::clone(&engine), taken.clone());
            scope.spawn(move || {
                let mut client = Client::new(&engine);
                loop {
                    let reply = wait_for(&mut client);
                    if reply.contains("|end|") {
                        return;
                    }
                    taken.send(reply).unwrap();
                }
            });
        }
        let mut writer = Client::new(&engine);
        let values = (0..VALUES).map(|value| value.to_string()).chain(["end", "end", "end"].map(str::to_owned));
        for value in values {
            while writer.run(&format!("set k {value} nx")) != "+OK|" {
                std::thread::yield_now();
                while engine.redo().take(usize::MAX).is_some() {}
            }
        }
    });
    drop(taken);
    let mut values: Vec<String> = all.iter().collect();
    values.sort();
    values.dedup();
    assert_eq!(values.len(), VALUES);
}

/// Takes a value as a session does: sleeps until it is called.
fn wait_for(client: &mut Client) -> String {
    use std::task::{Context, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match client.executed("debug bgetdel k 0") {
            (_, Executed::Blocked(_)) => {
                let mut naps = 0..600;
                while client.session.poll_called(&mut Context::from_waker(&waker)).is_pending() {
                    assert!(naps.next().is_some(), "a call was lost");
                    std::thread::park_timeout(std::time::Duration::from_millis(100));
                }
            }
            (_, Executed::Refused(_)) => std::thread::yield_now(),
            (reply, _) => return reply,
        }
    }
}

/// The reply to a call in words; empty if it has blocked.
fn ask(client: &mut Client, words: &str) -> String {
    let (reply, executed) = client.executed(words);
    assert_eq!(reply.is_empty(), matches!(executed, Executed::Blocked(_)), "{words}: {reply}");
    reply
}

#[test]
fn elements_go_to_those_who_wait_in_the_order_in_which_they_came() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let mut waiting: [Client; 3] = clients(&engine);
    waiting.iter_mut().for_each(|client| assert_eq!(ask(client, "blpop k other 0"), ""));
    writer.run("rpush k a b");
    for (at, element) in ["a", "b"].into_iter().enumerate() {
        assert!(waiting[at].session.is_called(), "{element}");
        assert_eq!(ask(&mut waiting[at], "blpop k other 0"), format!("*2|$1|k|$1|{element}|"));
    }
    assert!(!waiting[2].session.is_called());
    assert_eq!(writer.run("exists k"), ":0|");
    writer.run("lpush other c");
    assert_eq!(ask(&mut waiting[2], "blpop k other 0"), "*2|$5|other|$1|c|");
}

#[test]
fn blocking_pops_reply_as_those_that_do_not_block() {
    let engine = primary();
    let mut client = Client::new(&engine);
    client.run("rpush l a b c d");
    client.run("zadd z 1 m 2 n 3 o");
    for (words, reply) in [
        ("brpop no l 0", "*2|$1|l|$1|d|"),
        ("blmpop 0 2 no l left count 2", "*2|$1|l|*2|$1|a|$1|b|"),
        ("blmove l to left right 0", "$1|c|"),
        ("brpoplpush to l 0", "$1|c|"),
        ("bzpopmin no z 0", "*3|$1|z|$1|m|$1|1|"),
        ("bzpopmax z 0", "*3|$1|z|$1|o|$1|3|"),
        ("bzmpop 0 1 z min", "*2|$1|z|*1|*2|$1|n|$1|2|"),
    ] {
        assert_eq!(ask(&mut client, words), reply, "{words}");
    }
    for words in ["blpop z l 0.5", "bzpopmin z 0", "blmove no l left left 0"] {
        client.run("multi");
        client.run(words);
        client.run("del l");
        assert!(client.run("exec").starts_with("*2|"), "{words} does not wait in a transaction");
    }
}

/// Each serves the next: an element passes through a chain of lists.
#[test]
fn a_moved_element_wakes_who_waits_for_its_new_list() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let [mut first, mut second, mut third] = clients(&engine);
    assert_eq!(ask(&mut third, "blpop c 0"), "");
    assert_eq!(ask(&mut second, "blmove b c left right 0"), "");
    assert_eq!(ask(&mut first, "blmove a b left right 0"), "");
    writer.run("rpush a x");
    assert_eq!(called(&[first, second, third]), [true, false, false]);
    let [mut first, mut second, mut third] = clients(&engine);
    assert_eq!(ask(&mut third, "blpop c 0"), "");
    assert_eq!(ask(&mut second, "blmove b c left right 0"), "");
    assert_eq!(ask(&mut first, "blmove a b left right 0"), "$1|x|");
    assert_eq!(ask(&mut second, "blmove b c left right 0"), "$1|x|");
    assert_eq!(ask(&mut third, "blpop c 0"), "*2|$1|c|$1|x|");
}

#[test]
fn a_key_of_another_type_is_waited_past_and_refused_at_first() {
    let engine = primary();
    let [mut writer, mut client] = clients(&engine);
    assert_eq!(ask(&mut client, "blpop k 0"), "");
    writer.run("set k text");
    assert_eq!(ask(&mut client, "blpop k 0"), "", "it goes on waiting");
    assert!(!client.session.is_called());
    let mut other = Client::new(&engine);
    assert!(ask(&mut other, "blpop k 0").starts_with("-WRONGTYPE"));
    writer.run("del k");
    writer.run("rpush k a");
    assert!(client.session.is_called());
    assert_eq!(ask(&mut client, "blpop k 0"), "*2|$1|k|$1|a|");
}

#[test]
fn an_element_comes_in_many_ways() {
    for comes in [
        "rpush k a",
        "lmove from k left left",
        "rename from k",
        "copy from k",
        "rpoplpush from k",
        "linsert from before a b|rename from k",
    ] {
        let engine = primary();
        let [mut writer, mut client] = clients(&engine);
        writer.run("rpush from a");
        assert_eq!(ask(&mut client, "blpop k 0"), "");
        comes.split('|').for_each(|words| drop(writer.run(words)));
        assert!(client.session.is_called(), "{comes}");
        assert!(ask(&mut client, "blpop k 0").starts_with("*2|$1|k|"), "{comes}");
    }
}
