//! How many pages a command writes, allocates and frees while it has its shards locked, whatever the data: counted, printed and
//! bounded.

use super::super::apply::apply;
use super::super::pieces::{begin, copy_piece};
use super::*;
use crate::arena::PAGE_BYTES;
use crate::effect::{CopyStep, Effect};
use crate::limits::RECLAIM_RECORD_STEPS_MAX;

/// Bytes of the large value: 2442 pages.
const LARGE: usize = 40_000_000;
/// Keys of the large database.
const KEYS: u64 = 50_000;

/// Pages that something has written, taken and freed.
#[derive(Debug, Clone, Copy)]
struct Work {
    written: u64,
    taken: u64,
    freed: u64,
}

/// Does `act` on an engine whose pages a frozen version has all, so that each page which is written is copied.
fn work(client: &mut Client, act: impl FnOnce(&mut Client)) -> Work {
    let version = client.engine.freeze();
    let pages = |client: &Client| -> Vec<u64> {
        client.engine.cells.iter().map(|cell| cell.lock().keyspace.page_bytes() / PAGE_BYTES as u64).collect()
    };
    let before = pages(client);
    act(client);
    let after = pages(client);
    // What was copied, and what was freed: it is kept for the version alone.
    let kept = client.engine.frozen_bytes() / PAGE_BYTES as u64;
    drop(version);
    let sum = |of: &dyn Fn(usize) -> u64| -> u64 { (0..before.len()).map(of).sum() };
    let taken = sum(&|at| after[at].saturating_sub(before[at]));
    let freed = sum(&|at| before[at].saturating_sub(after[at]));
    Work { written: kept.saturating_sub(freed), taken, freed }
}

/// A large value, a large database beside another one, and small ones.
fn filled() -> Client {
    let mut client = Client::alone();
    client.call(&[b"set", b"large", &vec![b'x'; LARGE]]);
    client.run("mset small v other v");
    client.session.select(2);
    for number in 0..KEYS {
        client.run(&format!("set key:{number} value px 1000000"));
    }
    client.session.select(0);
    client
}

#[test]
fn what_a_command_does_to_pages_is_bounded_whatever_was_there() {
    println!("{:32} {:>8} {:>8} {:>8}", "", "written", "taken", "freed");
    for command in [
        "del large",
        "unlink large",
        "set large v",
        "getdel large",
        "getset large v",
        "rename small large",
        "rename large renamed",
        "copy small large replace",
        "copy large other replace",
        "mset large v other w",
        "append large tail",
        "setrange large 1000000 middle",
        "pexpire large 1000",
        "pexpire large -1",
        "move large 1",
        "swapdb 0 2",
        "flushdb",
        "flushall",
    ] {
        let work = work(&mut filled(), |client| {
            client.session.select(if command == "flushdb" { 2 } else { 0 });
            let reply = client.run(command);
            assert!(!reply.starts_with('-') && reply != ":0|", "{command}: {reply}");
        });
        println!("{command:32} {:8} {:8} {:8}", work.written, work.taken, work.freed);
        // A copy, which RENAME into another shard is too, takes the time of the value's pages; FLUSHALL sets the page tables aside as
        // they are.
        let copies = ["rename large renamed", "copy large other replace"].contains(&command);
        let (taken_max, freed_max) = (if copies { 2450 } else { 8 }, if command == "flushall" { u64::MAX } else { 1 });
        assert!(work.written <= 16 && work.taken <= taken_max && work.freed <= freed_max, "{command}: {work:?}");
    }
    let mut client = filled();
    client.run("del large");
    client.session.select(2);
    client.run("flushdb");
    let mut most = Work { written: 0, taken: 0, freed: 0 };
    while client.engine.memory().reclaimable + client.engine.memory().reclaimable_keys > 0 {
        let one = work(&mut client, |client| assert!(client.engine.reclaim_due(1) > 0));
        most.freed = most.freed.max(one.freed);
        most.written = most.written.max(one.written);
    }
    println!("{:32} {:8} {:8} {:8}", "a step of reclaiming, at most", most.written, most.taken, most.freed);
    assert!(most.freed <= 66, "{most:?}");
}

/// Elements of a collection that is built one by one: beyond every change of its form but a directory of more than a page.
const ELEMENTS: u64 = 4_000;
/// Elements of one that is deleted.
const MANY: u64 = 40_000;

/// The commands that add the `number`th element to a collection of each kind; the last one is counted.
fn adding(kind: &str, number: u64) -> Vec<String> {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = "v".repeat(40);
    match kind {
        "hash" => vec![format!("hset large field:{number} {value}")],
        "expiring hash" => {
            let field = format!("field:{number}");
            vec![format!("hset large {field} {value}"), format!("hpexpire large 1000000 fields 1 {field}")]
        }
        "set" => vec![format!("sadd large member:{scattered:020}")],
        "set of integers" => vec![format!("sadd large {}", scattered >> 8)],
        "list" => vec![format!("rpush large {value}")],
        "sorted set" => vec![format!("zadd large {} member:{number:020}", scattered >> 40)],
        other => panic!("no {other}"),
    }
}

const KINDS: [&str; 6] = ["hash", "expiring hash", "set", "set of integers", "list", "sorted set"];

/// The most of two.
fn most(a: Work, b: Work) -> Work {
    Work { written: a.written.max(b.written), taken: a.taken.max(b.taken), freed: a.freed.max(b.freed) }
}

fn show(what: &str, work: &Work) {
    println!("{what:40} {:8} {:8} {:8}", work.written, work.taken, work.freed);
}

/// Whatever a collection becomes: from one piece to a table or a tree, from one size of it to the next.
#[test]
fn what_one_more_element_does_to_pages_is_bounded() {
    println!("{:40} {:>8} {:>8} {:>8}", "one more element, at most", "written", "taken", "freed");
    for kind in KINDS {
        let mut client = Client::alone();
        let mut most_of_all = Work { written: 0, taken: 0, freed: 0 };
        for number in 0..ELEMENTS {
            for command in adding(kind, number) {
                let one = work(&mut client, |client| {
                    let reply = client.run(&command);
                    assert!(!reply.starts_with('-') && reply != ":0|", "{command}: {reply}");
                });
                most_of_all = most(most_of_all, one);
            }
        }
        show(kind, &most_of_all);
        assert!(
            most_of_all.written <= 16 && most_of_all.taken <= 8 && most_of_all.freed <= 16,
            "{kind}: {most_of_all:?}"
        );
    }
}

/// What is unlinked at once, and what one step of reclaiming frees.
#[test]
fn what_a_deletion_does_to_pages_is_bounded() {
    println!("{:40} {:>8} {:>8} {:>8}", "deletion, and its steps at most", "written", "taken", "freed");
    for (kind, command) in KINDS.iter().flat_map(|kind| [(kind, "del large"), (kind, "unlink large")]) {
        let mut client = Client::alone();
        (0..MANY).flat_map(|number| adding(kind, number)).for_each(|command| {
            client.run(&command);
        });
        let at_once = work(&mut client, |client| assert_eq!(client.run(command), ":1|"));
        show(&format!("{command}: {kind}"), &at_once);
        assert!(at_once.written <= 8 && at_once.taken <= 2 && at_once.freed <= 2, "{kind}, {command}: {at_once:?}");
        let mut step = Work { written: 0, taken: 0, freed: 0 };
        while client.engine.memory().reclaimable > 0 {
            let steps = RECLAIM_RECORD_STEPS_MAX;
            step = most(step, work(&mut client, |client| assert!(client.engine.reclaim_due(steps) > 0)));
        }
        show("  a record of steps", &step);
        assert!(step.written <= 300 && step.freed <= RECLAIM_RECORD_STEPS_MAX as u64 + 66, "{kind}: {step:?}");
    }
}

/// COPY, and RENAME from shard to shard.
#[test]
fn what_a_step_of_a_copy_does_to_pages_is_bounded() {
    println!("{:40} {:>8} {:>8} {:>8}", "a copy's steps, at most", "written", "taken", "freed");
    for kind in KINDS.into_iter().chain(["string"]) {
        let mut client = Client::alone();
        if kind == "string" {
            client.run(&format!("set large {}", "x".repeat(4 << 20)));
        } else {
            (0..MANY).flat_map(|number| adding(kind, number)).for_each(|command| {
                client.run(&command);
            });
        }
        let engine = Arc::clone(&client.engine);
        let (from, to, made_in) = (engine.hasher.key(b"large"), engine.hasher.key(b"copy"), DatabaseId(31));
        let (mut cursor, mut pieces) = (None, 1);
        let mut step = work(&mut client, |_| {
            cursor = begin(&mut Shards::all(&engine.cells), &from, &to.of(made_in)).unwrap();
        });
        while let Some(at) = cursor {
            let piece = work(&mut client, |_| {
                cursor = copy_piece(&mut Shards::all(&engine.cells), &from, &to.of(made_in), at).unwrap();
            });
            step = most(step, piece);
            pieces += 1;
        }
        let end = Effect::CopyStep { from, to, made_in, step: CopyStep::End { renames: true } };
        let last = work(&mut client, |_| apply(&mut Shards::all(&engine.cells), &end).unwrap());
        show(&format!("{kind}, {pieces} pieces"), &most(step, last));
        assert!(pieces >= 10, "{kind}: {pieces} pieces");
        assert!(step.written <= 96 && step.taken <= 24 && step.freed <= 8, "{kind}: {step:?}");
        assert!(last.written <= 16 && last.taken <= 4 && last.freed <= 4, "{kind}: {last:?}");
    }
}
