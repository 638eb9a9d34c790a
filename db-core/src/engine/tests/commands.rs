//! What cannot be compared with Redis by replies alone: expiry, memory, limits, scans under change.

use std::collections::BTreeSet;

use super::*;
use crate::clock::Monotonic;
use crate::limits::VALUE_BYTES_MAX;

#[test]
fn an_expired_key_is_missing_to_every_command() {
    let mut client = Client::alone();
    for (command, reply) in [
        ("get k", "$-1|"),
        ("exists k", ":0|"),
        ("del k", ":0|"),
        ("ttl k", ":-2|"),
        ("type k", "+none|"),
        ("strlen k", ":0|"),
        ("persist k", ":0|"),
        ("expire k 10", ":0|"),
        ("getdel k", "$-1|"),
        ("rename k l", "-ERR no such key|"),
        ("copy k l", ":0|"),
        ("set k v xx", "$-1|"),
        ("keys *", "*0|"),
        ("scan 0", "*2|$1|0|*0|"),
        ("randomkey", "$-1|"),
        ("dbsize", ":1|"),
        ("incr k", ":1|"),
    ] {
        client.run("set k 41 px 100");
        client.now += 99;
        assert_eq!(client.run("get k"), "$2|41|");
        client.now += 1;
        assert_eq!(client.run(command), reply, "{command}");
        client.run("flushall");
    }
}

#[test]
fn writing_over_an_expired_key_does_not_revive_its_expiry() {
    for (command, value) in
        [("set k x keepttl", "x"), ("append k x", "x"), ("setrange k 0 x", "x"), ("incrby k 5", "5")]
    {
        let mut client = Client::alone();
        client.run("set k old px 100");
        client.now += 100;
        client.run(command);
        assert_eq!(client.run("get k"), format!("$1|{value}|"), "{command}");
        assert_eq!(client.run("pttl k"), ":-1|", "{command}");
    }
}

#[test]
fn a_key_may_be_born_expired() {
    let mut client = Client::alone();
    assert_eq!(client.run("set k v pxat 5"), "+OK|");
    assert_eq!(client.run("get k"), "$-1|");
    assert_eq!(client.engine.expiring(), 1);
    assert_eq!(client.engine.expire_due(UnixMillis(client.now), 10), 1);
    client.run("set k v");
    assert_eq!(client.run("getex k pxat 5"), "$1|v|");
    assert_eq!((client.run("exists k"), client.engine.keys()), (":0|".into(), 0));
}

#[test]
fn expired_keys_are_deleted_in_order_and_no_more_than_asked_for() {
    let mut client = Client::alone();
    for n in 0..1000 {
        client.run(&format!("set key:{n} v pxat {}", client.now + n));
    }
    client.run("set stays v");
    let engine = Arc::clone(&client.engine);
    let before = engine.last();
    assert_eq!(engine.expire_due(UnixMillis(client.now + 499), 300), 300);
    assert_eq!(engine.expire_due(UnixMillis(client.now + 499), 300), 200);
    assert_eq!(engine.expire_due(UnixMillis(client.now + 499), 300), 0);
    assert_eq!((engine.keys(), engine.expiring()), (501, 500));
    assert!(engine.last() > before);
    engine.end_epoch(Epoch(u64::MAX));
    assert_eq!(engine.expire_due(UnixMillis(u64::MAX), 300), 0, "only the one that writes deletes");
}

#[test]
fn above_the_memory_bound_only_commands_that_may_grow_fail() {
    let mut client = Client::alone();
    client.run("set k v");
    client.engine.set_memory_max(1);
    let refused = "-OOM command not allowed when used memory > 'maxmemory'.|";
    assert_eq!(client.run("set k w"), refused);
    assert_eq!(client.run("incr k"), refused);
    assert_eq!(client.run("get k"), "$1|v|");
    client.run("multi");
    assert_eq!(client.run("get k"), refused, "whatever is queued takes memory");
    assert_eq!(client.run("exec"), "-EXECABORT Transaction discarded because of previous errors.|");
    client.engine.set_memory_max(0);
    client.run("multi");
    client.run("set k w");
    client.engine.set_memory_max(1);
    assert_eq!(
        client.run("exec"),
        "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.|"
    );
    assert_eq!(client.run("del k"), ":1|");
}

/// Makes a string of 40 MB without gaps.
fn set_large(client: &mut Client, key: &str) {
    client.call(&[b"set", key.as_bytes(), &vec![b'x'; 40_000_003]]);
    // A queue of so many bytes would hold up what is to be freed.
    while client.engine.redo().take(1 << 20).is_some() {}
}

#[test]
fn a_large_value_is_given_up_at_once_and_freed_in_steps() {
    let mut client = Client::alone();
    let engine = Arc::clone(&client.engine);
    let empty = engine.memory_bytes();
    for give_up in
        ["del k", "unlink k", "set k v", "getdel k", "rename other k", "copy other k replace", "pexpire k -1"]
    {
        set_large(&mut client, "k");
        client.run("set other v");
        let large = engine.memory_bytes();
        assert!(large > 40_000_000 && engine.memory().reclaimable == 0);
        client.run(give_up);
        assert!(engine.memory().pages > 40_000_000, "{give_up} frees a part only");
        assert!(engine.memory().reclaimable > 39_000_000, "{give_up}");
        assert!((1000..1100).contains(&engine.reclaim_due(1000)), "{give_up}");
        assert!(engine.clean_up(UnixMillis(client.now)) || engine.memory().reclaimable == 0, "{give_up}");
        assert_eq!(engine.memory().reclaimable, 0, "{give_up}");
        client.run("del k other");
        assert!(engine.memory_bytes() < empty + (1 << 20), "{give_up}");
    }
}

/// FLUSHALL and FLUSHDB take no time for what there was: it is freed by steps, each under the lock of its shard for a moment.
#[test]
fn what_is_flushed_is_gone_at_once_and_freed_in_steps() {
    let mut client = Client::alone();
    let engine = Arc::clone(&client.engine);
    let fill = |client: &mut Client| {
        for number in 0..20_000 {
            client.run(&format!("set key:{number} value:{number}"));
        }
        set_large(client, "large");
    };
    let empty = engine.memory_bytes();
    fill(&mut client);
    assert_eq!(client.run("flushall"), "+OK|");
    let memory = engine.memory();
    assert!(memory.used <= empty && memory.pages <= empty, "{memory:?}");
    assert!(memory.cleared > 25_000_000 && memory.reclaimable + memory.reclaimable_keys == 0, "{memory:?}");
    engine.give_back(Monotonic(0));
    assert_eq!(engine.memory().cleared, 0);

    client.session.select(1);
    client.run("set stays v");
    client.session.select(0);
    fill(&mut client);
    client.run("pexpire key:7 100000");
    assert_eq!(client.run("flushdb"), "+OK|");
    assert_eq!(client.run("dbsize"), ":0|");
    assert_eq!(client.run("get key:7"), "$-1|");
    let memory = engine.memory();
    assert!(memory.used > 40_000_000 && memory.reclaimable_keys == 20_001 && engine.expiring() == 0, "{memory:?}");
    assert_eq!(client.run("set key:7 again"), "+OK|");
    while engine.clean_up(UnixMillis(client.now)) {}
    let memory = engine.memory();
    assert!(memory.used < empty + 200_000 && memory.reclaimable + memory.reclaimable_keys == 0, "{memory:?}");
    assert_eq!(client.run("get key:7"), "$5|again|");
    client.session.select(1);
    assert_eq!(client.run("get stays"), "$1|v|");
}

#[test]
fn what_can_be_freed_is_freed_before_a_command_is_refused() {
    let mut client = Client::alone();
    set_large(&mut client, "k");
    client.engine.set_memory_max(20_000_000);
    assert!(client.run("set l v").starts_with("-OOM"));
    client.run("del k");
    client.run("multi");
    assert_eq!(client.run("set l v"), "+QUEUED|");
    assert_eq!(client.run("exec"), "*1|+OK|");
    assert!(client.engine.memory_bytes() < 20_000_000);
}

#[test]
fn keys_and_values_have_limits() {
    let mut client = Client::alone();
    let key = vec![b'k'; KEY_BYTES_MAX];
    assert_eq!(client.call(&[b"set", &key, b"v"]).0, "+OK|");
    assert_eq!(client.call(&[b"get", &key]).0, "$1|v|");
    let longer = [&key[..], b"k"].concat();
    for args in [&[&b"get"[..], &longer][..], &[b"set", &longer, b"v"], &[b"mset", b"a", b"b", &longer, b"v"]] {
        assert_eq!(client.call(args).0, "-ERR key exceeds the maximum length of 8192 bytes|");
    }
    client.run("multi");
    client.call(&[b"get", &longer]);
    assert!(client.run("exec").starts_with("-EXECABORT"));
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)|";
    assert_eq!(client.run(&format!("setrange k {VALUE_BYTES_MAX} x")), too_long);
    assert_eq!(client.run("setrange k 9223372036854775807 x"), too_long);
    assert_eq!(client.run("exists a k"), ":0|", "what is refused leaves nothing");
}

/// One short command could take half a gigabyte, and the log with it.
#[test]
fn what_is_written_far_away_takes_what_is_written() {
    let mut client = Client::alone();
    client.run("set k v");
    let (before, queued) = (client.engine.memory_bytes(), client.engine.redo().queued_bytes());
    for command in ["setbit k 4294967295 1", "setrange k 300000000 x", "bitfield k set u8 #200000000 7 set u63 99 5"] {
        client.run(command);
    }
    assert!(client.engine.memory_bytes() - before < 200_000, "{}", client.engine.memory_bytes());
    assert!(client.engine.redo().queued_bytes() - queued < 200);
    assert_eq!(client.run("strlen k"), format!(":{VALUE_BYTES_MAX}|"));
    assert_eq!(client.run("getrange k 299999999 300000001"), "$3|\0x\0|");
    assert_eq!(client.run("bitpos k 1 300000001"), ":4294967295|");
    assert_eq!(client.run("memory usage k").len(), ":12345|".len() + 1);
    assert_eq!(client.run("rename k l"), "+OK|");
    assert_eq!(client.run("copy l k"), ":1|");
    assert!(client.engine.memory_bytes() - before < 400_000, "the copy has the same gaps");
    assert_eq!(client.run("bitcount k"), client.run("bitcount l"));
    client.run("del k l");
    while client.engine.clean_up(UnixMillis(client.now)) {}
    let memory = client.engine.memory();
    assert!(memory.used <= before && memory.reclaimable == 0, "{memory:?}");
}

#[test]
fn a_value_of_many_pages_is_served_in_parts() {
    let mut client = Client::alone();
    client.run("setrange k 1000000 end");
    assert_eq!(client.run("strlen k"), ":1000003|");
    assert_eq!(client.run("getrange k 999999 -1"), "$4|\0end|");
    client.run("append k !");
    assert_eq!(client.run("getrange k -4 -1"), "$4|end!|");
    assert_eq!(client.run("copy k l"), ":1|");
    let whole = client.run("get l");
    assert!(whole.starts_with("$1000004|\0\0") && whole.ends_with("\0end!|"));
    assert!(client.engine.redo().queued_bytes() < 200, "neither a gap nor a copy is in the log");
}

#[test]
fn a_scan_shows_what_is_there_all_the_time_whatever_else_changes() {
    let mut client = Client::alone();
    let mut random = Random(5);
    (0..500).for_each(|n| drop(client.run(&format!("set stays:{n} v"))));
    for count in [1, 7, 10_000] {
        let (mut cursor, mut seen) = ("0".to_owned(), BTreeSet::new());
        for calls in 0.. {
            assert!(calls < 100_000, "a scan ends");
            let reply = client.run(&format!("scan {cursor} match stays:* count {count}"));
            let mut words = reply.split('|').filter(|word| !word.starts_with(['*', '$']) && !word.is_empty());
            cursor = words.next().unwrap().to_owned();
            seen.extend(words.map(str::to_owned));
            if cursor == "0" {
                break;
            }
            for _ in 0..20 {
                let n = random.below(3000);
                client.run(&if random.below(3) == 0 { format!("del goes:{n}") } else { format!("set goes:{n} v") });
            }
        }
        assert_eq!(seen.len(), 500, "count {count}");
    }
}

#[test]
fn any_cursor_is_answered() {
    let mut client = Client::alone();
    (0..500).for_each(|n| drop(client.run(&format!("set k:{n} v"))));
    let mut random = Random(9);
    for _ in 0..2000 {
        let shift = random.below(64);
        assert!(client.run(&format!("scan {} count 100", random.below(u64::MAX) >> shift)).starts_with("*2|"));
    }
    assert_eq!(client.run("scan 18446744073709551616"), "-ERR invalid cursor|");
}

#[test]
fn randomkey_finds_the_last_key_that_lives_and_chooses_fairly() {
    let mut client = Client::alone();
    (0..400).for_each(|n| drop(client.run(&format!("set dead:{n} v px 1"))));
    client.now += 1;
    assert_eq!(client.run("randomkey"), "$-1|");
    client.run("set alive v");
    (0..50).for_each(|_| assert_eq!(client.run("randomkey"), "$5|alive|"));
    client.run("flushall");
    (0..10).for_each(|n| drop(client.run(&format!("set k{n} v"))));
    let seen: BTreeSet<_> = (0..500).map(|_| client.run("randomkey")).collect();
    assert_eq!(seen.len(), 10);
}

#[test]
fn commands_are_told_to_clients() {
    let mut client = Client::alone();
    assert_eq!(client.run("command count"), format!(":{}|", NamedFront.commands().all().count()));
    let info = client.run("command info get nosuch object|encoding");
    assert!(
        info.starts_with(
            "*3|*10|$3|get|:2|*2|+readonly|+fast|:1|:1|:1|*3|+@read|+@string|+@fast|*0|*1|*6|$5|flags|*2|+RO|+access|"
        ),
        "{info}"
    );
    assert!(info.contains("|$-1|*10|$15|object|encoding|:3|"), "{info}");
    assert!(client.run("command docs get").starts_with("*2|$3|get|*10|$7|summary|"));
    client.session.set_protocol(crate::command::Protocol::Resp3);
    assert!(client.run("command docs").starts_with(&format!("%{}|", NamedFront.commands().all().count())));
    assert_eq!(client.run("command list filterby pattern pset*"), "*1|$6|psetex|");
    assert!(client.run("command list filterby aclcat transaction").starts_with("*5|"));
    assert_eq!(client.run("command getkeys mset a 1 b 2"), "*2|$1|a|$1|b|");
    let flags = client.run("command getkeysandflags rename a b");
    assert_eq!(flags, "*2|*2|$1|a|~3|+RW|+access|+delete|*2|$1|b|~2|+OW|+update|");
    assert_eq!(client.run("command getkeys ping"), "-ERR The command has no key arguments|");
    assert_eq!(client.run("command getkeys object foo k"), "-ERR Invalid command specified|");
    assert_eq!(client.run("command getkeysandflags set a b"), "*1|*2|$1|a|~2|+OW|+update|");
    assert_eq!(client.run("command getkeysandflags set a b nx get"), "*1|*2|$1|a|~3|+RW|+access|+update|");
}

#[test]
fn the_callers_commands_are_handed_to_it() {
    let mut client = Client::alone();
    assert_eq!(client.run("name"), "+name|");
    assert_eq!(client.run("names one"), "+names|one|");
    assert_eq!(client.run("names nosuch"), "-ERR unknown subcommand 'nosuch'. Try NAMES HELP.|");
    assert_eq!(client.run("fails"), "-ERR it fails|");
    client.run("multi");
    client.run("set a b");
    client.run("name");
    client.run("fails");
    assert_eq!(client.run("exec"), "*3|+OK|+name|-ERR it fails|");
    client.run("multi");
    client.session.set_protocol(crate::command::Protocol::Resp3);
    assert_eq!(client.run("reset"), "+reset|");
    assert!(!client.session.in_multi());
    assert_eq!(client.run("get missing"), "$-1|", "RESP2 again");
}

#[test]
fn no_call_breaks_the_engine() {
    const WORDS: &[&[u8]] = &[
        b"",
        b"k",
        b"l",
        b"k1",
        b"0",
        b"-1",
        b"1",
        b"7",
        b"9223372036854775807",
        b"-9223372036854775808",
        b"536870912",
        b"1.5",
        b"inf",
        b"NX",
        b"XX",
        b"GT",
        b"LT",
        b"GET",
        b"KEEPTTL",
        b"EX",
        b"PXAT",
        b"PERSIST",
        b"MATCH",
        b"COUNT",
        b"TYPE",
        b"REPLACE",
        b"DB",
        b"*",
        b"[",
        b"\\",
        b"\xff\x00",
        b"get",
        b"mset",
        b"FILTERBY",
        b"ACLCAT",
        b"PATTERN",
        b"a value of some length that does not fit into a few bytes",
    ];
    // It would sleep for seconds.
    let sleeps = |spec: &CommandSpec| spec.name == "debug|sleep";
    let specs = NamedFront.commands().all().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands));
    let specs: Vec<_> = specs.filter(|spec| !sleeps(spec)).collect();
    for seed in 0..4 {
        let mut random = Random(seed);
        let mut client = Client::alone();
        for _ in 0..20_000 {
            let spec = specs[random.below(specs.len() as u64) as usize];
            let mut args: Vec<&[u8]> = spec.name.split('|').map(str::as_bytes).collect();
            args.extend((0..random.below(6)).map(|_| WORDS[random.below(WORDS.len() as u64) as usize]));
            let (reply, executed) = client.call(&args);
            let blocked = matches!(executed, Executed::Blocked(_));
            let replied = reply.ends_with('|') && executed.replied().is_some();
            assert!(replied || (blocked && reply.is_empty()), "seed {seed}: {args:?}: {reply}");
            client.session.unblock();
            client.now += random.below(100);
            while client.engine.redo().take(usize::MAX).is_some() {}
        }
    }
}

#[test]
fn a_session_does_not_keep_the_memory_of_one_large_command() {
    let mut client = Client::alone();
    let value = vec![b'v'; 200_000];
    client.call(&[b"set", b"k", &value]);
    client.run(&format!("mget {}", vec!["none"; 50_000].join(" ")));
    client.run("get k");
    client.run("set k v");
    let log = &mut client.session.scratch.log;
    let kept = log.record.bytes().capacity() + log.hashes.capacity() * size_of::<u64>();
    assert!(kept <= crate::limits::SCRATCH_BYTES_KEPT);
    assert!(client.session.keys.capacity() * size_of::<KeyArg>() <= crate::limits::SCRATCH_BYTES_KEPT);
}
