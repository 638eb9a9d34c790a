//! Blocking commands: who is served, in which order and in which record, and that nothing is lost or handed out twice.

use super::*;
use crate::effect::{Effect, Effects};
use crate::engine::call::Protocol;
use crate::limits::{SERVED_AT_ONCE_MAX, WATCHED_BYTES_MAX};
use crate::redo::batch::RedoBatch;

/// The reply to a call in words; empty if it has blocked.
fn ask(client: &mut Client, words: &str) -> String {
    let (reply, executed) = client.executed(words);
    assert_eq!(reply.is_empty(), matches!(executed, Executed::Blocked(_)), "{words}: {reply}");
    reply
}

fn take(client: &mut Client, keys: &str) -> String {
    ask(client, &format!("debug bgetdel {keys} 0"))
}

fn clients<const N: usize>(engine: &Arc<Engine>) -> [Client; N] {
    std::array::from_fn(|_| Client::new(engine))
}

/// What another command has served it with; empty if none has.
fn served(client: &mut Client) -> (String, Lsn) {
    let mut reply = Reply::new(client.session.protocol());
    let is_served = client.session.is_served();
    let replied = client.session.take_served(&mut reply);
    assert_eq!(replied.is_some(), is_served);
    (String::from_utf8_lossy(reply.as_bytes()).replace("\r\n", "|"), replied.map_or(Lsn::ZERO, |replied| replied.lsn))
}

/// Which of them have been called.
fn called(clients: &[Client]) -> Vec<bool> {
    clients.iter().map(|client| client.session.is_called()).collect()
}

#[test]
fn elements_go_to_those_who_wait_in_the_order_in_which_they_came() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let mut waiting: [Client; 3] = clients(&engine);
    waiting.iter_mut().for_each(|client| assert_eq!(ask(client, "blpop k other 0"), ""));
    let (reply, pushed) = writer.replied("rpush k a b");
    assert_eq!(reply, ":2|", "the reply says what was there when the elements were added");
    for (client, element) in waiting.iter_mut().zip(["a", "b"]) {
        assert_eq!(served(client), (format!("*2|$1|k|$1|{element}|"), pushed.lsn), "all in the record of the push");
    }
    assert_eq!(engine.last(), pushed.lsn);
    assert_eq!(served(&mut waiting[2]).0, "");
    assert_eq!(writer.run("exists k"), ":0|");
    writer.run("lpush other c");
    assert_eq!(served(&mut waiting[2]).0, "*2|$5|other|$1|c|");
    writer.run("lpush k d");
    assert_eq!(writer.run("llen k"), ":1|", "whoever was served has left all lines");
}

/// A place is a member of a sorted set as any other, also for those who wait for one.
#[test]
fn places_go_to_those_who_wait_for_members() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let [mut one, mut other]: [Client; 2] = clients(&engine);
    assert_eq!((ask(&mut one, "bzpopmax k 0"), ask(&mut other, "bzpopmin near 0")), (String::new(), String::new()));
    assert_eq!(writer.run("geoadd k 10 10 a 20 20 b 20.1 20 c"), ":3|");
    assert_eq!(served(&mut one).0, "*3|$1|k|$1|c|$16|3412618286036734|");
    assert_eq!(writer.run("geosearchstore near k frommember a byradius 1 km storedist"), ":1|");
    assert_eq!(served(&mut other).0, "*3|$4|near|$1|a|$1|0|");
}

#[test]
fn nobody_else_sees_an_element_that_is_handed_over() {
    let engine = primary();
    let [mut writer, mut waiting, mut late] = clients(&engine);
    assert_eq!(ask(&mut waiting, "brpop k 0"), "");
    writer.run("rpush k a b");
    assert_eq!(ask(&mut late, "lpop k"), "$1|a|");
    assert_eq!(ask(&mut late, "blpop k 0"), "", "the other one is taken");
    assert_eq!(served(&mut waiting).0, "*2|$1|k|$1|b|");
    let keys = |record: &[u8]| {
        let effects = Effects::new(record, engine.hasher);
        effects.map(|effect| matches!(effect.unwrap(), Effect::Key(key, _) if key.bytes == b"k")).collect::<Vec<_>>()
    };
    let bytes = engine.redo().take(usize::MAX).unwrap().to_bytes();
    let view = RedoBatch::open(&bytes).unwrap();
    let push = view.records().find(|(_, record)| keys(record).len() > 1);
    assert!(push.is_some(), "the push and the pop are in one record");
}

#[test]
fn a_served_command_that_is_executed_again_only_has_its_reply() {
    let engine = primary();
    let [mut writer, mut client] = clients(&engine);
    assert_eq!(take(&mut client, "k"), "");
    writer.run("set k 1");
    let last = engine.last();
    assert_eq!(take(&mut client, "k"), "*2|$1|k|$1|1|", "its time was over when it was served");
    assert_eq!(engine.last(), last);
    assert_eq!(take(&mut client, "k"), "", "a command of its own");
}

/// Either it is served, or it has left: the token goes to one of both.
#[test]
fn who_has_given_up_is_not_served_and_who_is_served_cannot_give_up() {
    let engine = primary();
    let [mut writer, mut first, mut second] = clients(&engine);
    assert_eq!((take(&mut first, "k"), take(&mut second, "k")), (String::new(), String::new()));
    assert!(first.session.give_up());
    writer.run("set k 1");
    assert_eq!(served(&mut first).0, "");
    assert!(!second.session.give_up());
    assert_eq!(served(&mut second).0, "*2|$1|k|$1|1|");
    drop((first, second));
    writer.run("set k 2");
    assert_eq!(writer.run("exists k"), ":1|");
}

#[test]
fn an_element_comes_in_many_ways() {
    for comes in [
        "rpush k a",
        "lmove from k left left",
        "rename from k",
        "copy from k",
        "rpoplpush from k",
        "move k 0",
        "multi|rpush k x a|lpop k|exec",
        "linsert from before a b|rename from k",
        "set k 1|del k|rpush k a",
    ] {
        let engine = primary();
        let [mut writer, mut client] = clients(&engine);
        writer.run("rpush from a");
        assert_eq!(ask(&mut client, "blpop k 0"), "");
        if comes == "move k 0" {
            writer.session.select(2);
            writer.run("rpush k a");
        }
        comes.split('|').for_each(|words| drop(writer.run(words)));
        assert!(["*2|$1|k|$1|a|", "*2|$1|k|$1|b|"].contains(&&*served(&mut client).0), "{comes}");
    }
}

/// Members of sorted sets too.
#[test]
fn a_member_comes_in_many_ways() {
    for comes in ["zadd k 1 a", "zincrby k 1 a", "zunionstore k 1 from", "zrangestore k from 0 -1", "rename from k"] {
        let engine = primary();
        let [mut writer, mut client] = clients(&engine);
        writer.run("zadd from 1 a");
        client.session.set_protocol(Protocol::Resp3);
        assert_eq!(ask(&mut client, "bzmpop 0 2 no k max"), "");
        comes.split('|').for_each(|words| drop(writer.run(words)));
        assert_eq!(served(&mut client).0, "*2|$1|k|*1|*2|$1|a|,1|", "{comes}: in the protocol of whoever waits");
    }
}

/// An element passes through a chain of lists, whose shards are locked together, in the record of the push.
#[test]
fn a_moved_element_goes_on_to_who_waits_for_its_new_list() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let names: Vec<String> = (0..20).map(|number| format!("list:{number}")).collect();
    let mut waiting: Vec<Client> = names.iter().map(|_| Client::new(&engine)).collect();
    for (client, pair) in waiting.iter_mut().zip(names.windows(2)) {
        assert_eq!(ask(client, &format!("blmove {} {} left right 0", pair[0], pair[1])), "");
    }
    assert_eq!(ask(waiting.last_mut().unwrap(), &format!("blpop {} 0", names[19])), "");
    let (_, pushed) = writer.replied("rpush list:0 x");
    for client in &mut waiting[..19] {
        assert_eq!(served(client), ("$1|x|".into(), pushed.lsn));
    }
    assert_eq!(served(&mut waiting[19]), ("*2|$7|list:19|$1|x|".into(), pushed.lsn));
    assert_eq!(writer.run("dbsize"), ":0|");
}

/// Two who move an element back and forth end when each has what it waited for.
#[test]
fn a_circle_of_moves_ends() {
    let engine = primary();
    let [mut writer, mut first, mut second] = clients(&engine);
    assert_eq!(ask(&mut first, "blmove a b left right 0"), "");
    assert_eq!(ask(&mut second, "blmove b a left right 0"), "");
    writer.run("rpush a x");
    assert_eq!((served(&mut first).0, served(&mut second).0), ("$1|x|".into(), "$1|x|".into()));
    assert_eq!(writer.run("lrange a 0 -1"), "*1|$1|x|");
}

#[test]
fn a_key_of_another_type_is_waited_past_and_refused_at_first() {
    let engine = primary();
    let [mut writer, mut client, mut moving] = clients(&engine);
    assert_eq!(ask(&mut client, "blpop k 0"), "");
    writer.run("set k text");
    assert!(!client.session.is_served() && !client.session.is_called(), "it goes on waiting");
    assert_eq!(ask(&mut moving, "blpop k 0"), "-WRONGTYPE Operation against a key holding the wrong kind of value|");
    assert_eq!(ask(&mut moving, "blmove l k left left 0"), "");
    writer.run("rpush l x");
    assert_eq!(served(&mut moving).0, "-WRONGTYPE Operation against a key holding the wrong kind of value|");
    assert_eq!(writer.run("llen l"), ":1|", "it stays where it was");
    writer.run("del k");
    writer.run("rpush k a");
    assert_eq!(served(&mut client).0, "*2|$1|k|$1|a|");
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
    assert_eq!(served(&mut client).0, "", "it waits for the key of another database");
    writer.run("swapdb 5 3");
    assert!(!client.session.is_called(), "nothing came");
    writer.run("swapdb 0 3");
    assert!(client.session.is_called(), "what comes by no command on the key is taken by one of its own");
    assert_eq!(take(&mut client, "k"), "*2|$1|k|$1|1|");
    assert_eq!(take(&mut client, "k"), "");
    writer.run("set k 2");
    writer.run("move k 3");
    assert_eq!(served(&mut client).0, "*2|$1|k|$1|2|");
}

/// A record serves a bounded number; what is left goes to whoever is left, in order.
#[test]
fn who_is_not_served_at_once_is_called() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let mut waiting: Vec<Client> = (0..SERVED_AT_ONCE_MAX + 3).map(|_| Client::new(&engine)).collect();
    waiting.iter_mut().for_each(|client| assert_eq!(ask(client, "blpop k 0"), ""));
    let elements: Vec<String> = (0..waiting.len()).map(|number| number.to_string()).collect();
    writer.run(&format!("rpush k {}", elements.join(" ")));
    for (at, client) in waiting.iter_mut().enumerate() {
        let expected = format!("*2|$1|k|${}|{at}|", at.to_string().len());
        if at == SERVED_AT_ONCE_MAX {
            assert!(
                client.session.is_called(),
                "it takes its element by a command of its own, which serves the others"
            );
            assert_eq!(ask(client, "blpop k 0"), expected);
        } else {
            assert_eq!(served(client).0, expected);
        }
    }
    assert_eq!(writer.run("exists k"), ":0|");
}

#[test]
fn who_leaves_passes_its_call_on() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let [mut first, mut second, mut third] = clients(&engine);
    for client in [&mut first, &mut second, &mut third] {
        client.session.select(1);
        assert_eq!(take(client, "k other"), "");
    }
    writer.run("set k 1");
    writer.run("swapdb 0 1");
    assert!(first.session.is_called());
    let [mut late] = clients(&engine);
    late.session.select(1);
    assert_eq!(take(&mut late, "k"), "", "it lines up behind who is called");
    {
        let _long = Shards::all(&engine.cells);
        drop(first);
        assert!(second.session.is_called(), "also while a long command holds the shard");
        second.session.unblock();
    }
    assert_eq!(take(&mut third, "k other"), "*2|$1|k|$1|1|");
    assert!(!late.session.is_called());
}

#[test]
fn a_call_in_vain_leaves_the_seat_where_it_is() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let mut waiting: [Client; 2] = clients(&engine);
    waiting.iter_mut().for_each(|client| {
        client.session.select(1);
        assert_eq!(take(client, "k"), "");
    });
    writer.run("set k 1");
    writer.run("swapdb 0 1");
    writer.session.select(1);
    writer.run("del k");
    assert_eq!(called(&waiting), [true, false]);
    assert_eq!(take(&mut waiting[0], "k"), "");
    assert_eq!(called(&waiting), [false; 2], "the key is gone, so the second is not called");
    writer.run("set k 2");
    assert_eq!(served(&mut waiting[0]).0, "*2|$1|k|$1|2|", "the first is still the first");
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
fn an_engine_that_stops_writing_has_served_whoever_it_has_served() {
    let engine = primary();
    let [mut writer, mut first, mut second] = clients(&engine);
    assert_eq!((take(&mut first, "k"), take(&mut second, "k")), (String::new(), String::new()));
    writer.run("set k 1");
    engine.end_epoch(Epoch(u64::MAX));
    assert_eq!(take(&mut first, "k"), "*2|$1|k|$1|1|");
    assert_eq!(second.refused("debug bgetdel k 0"), (String::new(), Some(Refused::NotWriting)));
    engine.begin_epoch(Epoch(2)).unwrap();
    writer.run("set k 2");
    assert_eq!(take(&mut second, "k"), "*2|$1|k|$1|2|");
}

/// Whoever waits costs memory, but a command that adds nothing to its keys costs it nothing.
#[test]
fn who_waits_for_another_key_is_not_looked_at() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let mut waiting: Vec<Client> = (0..1000).map(|_| Client::new(&engine)).collect();
    waiting.iter_mut().for_each(|client| assert_eq!(ask(client, "blpop k 0"), ""));
    writer.run("rpush other x");
    writer.run("set k text");
    writer.run("del k");
    assert!(waiting.iter().all(|client| !client.session.is_served() && !client.session.is_called()));
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

/// Writers and takers on threads, some of whom give up: each value is taken once, and no taker sleeps while something is there for it.
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
                if client.engine.last().0.is_multiple_of(3) && client.session.give_up() {
                    client.session.unblock();
                    continue;
                }
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
