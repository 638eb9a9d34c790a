//! The same random commands to this engine and to a server of the machine, replies compared byte by byte: `redis-server`, and for what
//! came after Redis 7.0 `valkey-server`. [`MODULES`] says what is compared with which.
//!
//! Left out where there is no such server on the PATH; `TANIST_REDIS_SERVER` and `TANIST_VALKEY_SERVER` name one elsewhere. Prints its
//! seed; `TANIST_SEED` replays one.
//! Not compared: replies that depend on chance or on the order of keys (compared as sets), on the representation of values,
//! and on the moment (times to live are compared with a tolerance).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, its helpers included")]

mod bits;
mod dice;
mod dumps;
mod geo;
mod hashes;
mod hyperloglog;
mod lists;
mod newer;
mod server;
mod sets;
mod sorted_sets;
mod sorts;
mod streams;
mod strings;

use tanist_db_core::clock::{Clock, SystemClock, UnixMillis};
use tanist_db_core::command::{Call, CommandTable, Group, Outcome, Protocol, Reply, database, front_command};
use tanist_db_core::engine::{Engine, EngineOptions, Front, Refused, Session, sizes};
use tanist_db_core::ids::Epoch;
use tanist_test_support::skip;

use dice::{Dice, KEYS, PREFIXES};
use geo::PLACES;
use server::{Connection, Process, System};

/// Commands that are compared unless `TANIST_COMMANDS` says otherwise.
const COMMANDS: usize = 60_000;

/// A random command of a module.
type Module = fn(&mut Dice) -> Vec<String>;

/// Each module, and the servers that it is compared with. Modules of one server are mixed, as their keys are: each meets the others'.
const MODULES: [(Module, &[System]); 12] = [
    (Dice::string_command, &[System::Redis]),
    (Dice::set_command, &[System::Redis]),
    (Dice::list_command, &[System::Redis]),
    (Dice::stream_command, &[System::Redis]),
    (Dice::sorted_set_command, &[System::Redis, System::Valkey]),
    (Dice::hash_command, &[System::Redis, System::Valkey]),
    (Dice::dump_command, &[System::Redis, System::Valkey]),
    (Dice::sort_command, &[System::Redis]),
    (Dice::geo_command, &[System::Redis]),
    (Dice::bit_command, &[System::Redis]),
    (Dice::hyperloglog_command, &[System::Redis, System::Valkey]),
    // What Redis 7.0 does not have.
    (Dice::newer_command, &[System::Valkey]),
];

/// A front that knows SELECT.
struct SelectingFront;

impl Front for SelectingFront {
    fn commands(&self) -> &'static CommandTable {
        static COMMANDS: CommandTable = CommandTable::with(&[&[front_command(
            "select",
            2,
            &[],
            Group::Connection,
            "1.0.0",
            |front, call, session, reply| select(front, call, session, reply).map(Into::into),
        )]]);
        &COMMANDS
    }
}

fn select(_: &mut dyn Front, call: &Call<'_>, session: &mut Session, reply: &mut Reply) -> Outcome {
    session.select(database(call.arg(1))?);
    reply.ok();
    Ok(())
}

struct Ours {
    engine: Engine,
    session: Session,
    clock: SystemClock,
    calls: u64,
    frozen_reads: u64,
    copies: u64,
}

impl Ours {
    fn call(&mut self, args: &[Vec<u8>]) -> Vec<u8> {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let mut reply = Reply::new(Protocol::Resp2);
        let now = self.clock.unix();
        // Every second read is refused as if its reply were large, and executed on a frozen version.
        self.calls += 1;
        self.session.set_large_bytes(if self.calls.is_multiple_of(2) { 0 } else { usize::MAX });
        let executed = self.engine.execute(&mut self.session, &mut SelectingFront, &args, now, &mut reply);
        if executed.refused() == Some(Refused::Large) {
            assert!(reply.is_empty(), "nothing is left of a reply that is given up");
            return self.read_frozen(&args, now);
        }
        if executed.refused() == Some(Refused::InPieces) {
            self.engine.copy_in_pieces(&mut self.session, now).unwrap();
            self.copies += 1;
            return self.call_again(&args, now);
        }
        assert!(executed.replied().is_some());
        while self.engine.redo().take(1 << 20).is_some() {}
        reply.take()
    }
}

impl Ours {
    /// What has been copied in pieces takes its place.
    fn call_again(&mut self, args: &[&[u8]], now: UnixMillis) -> Vec<u8> {
        let mut reply = Reply::new(Protocol::Resp2);
        let executed = self.engine.execute(&mut self.session, &mut SelectingFront, args, now, &mut reply);
        assert!(executed.replied().is_some());
        reply.take()
    }

    /// The reply in pieces, from a frozen version.
    fn read_frozen(&mut self, args: &[&[u8]], now: UnixMillis) -> Vec<u8> {
        let frozen = self.engine.try_pin().unwrap().reader();
        // All pieces of a reply of these tests fit.
        let (send, pieces) = std::sync::mpsc::sync_channel(1_000);
        let mut session = self.session.for_one_read();
        let mut reply = Reply::in_pieces(session.protocol(), Box::new(move |piece| send.send(piece).is_ok()));
        let executed = frozen.execute(&mut session, &mut SelectingFront, args, now, &mut reply);
        assert!(executed.replied().is_some() && reply.finish());
        self.frozen_reads += 1;
        pieces.into_iter().flatten().collect()
    }
}

/// Whether Valkey answers a command of a module that is compared with both otherwise than Redis 7.0, as which Tanist does.
fn is_otherwise_in_valkey(words: &[String]) -> bool {
    // Refused there: numbers in hexadecimal, and as bounds of scores blanks before digits, and no digits, which is 0.
    let name = words[0].to_lowercase();
    let has_bounds = name == "zcount" || name.contains("range");
    let number = words.iter().any(|word| {
        let digits = word.trim_start_matches('(');
        word.contains("0x1f") || has_bounds && (digits.is_empty() || digits.starts_with(' '))
    });
    // There an offset below 0 is 0, and not behind the end.
    let offset = words.windows(2).any(|pair| pair[0].eq_ignore_ascii_case("limit") && pair[1].starts_with('-'));
    number || offset
}

fn command(dice: &mut Dice, system: System) -> Vec<String> {
    let modules: Vec<Module> =
        MODULES.into_iter().filter(|(_, with)| with.contains(&system)).map(|(module, _)| module).collect();
    let mut words = loop {
        let words = modules[dice.below(modules.len() as u64) as usize](dice);
        if system == System::Redis || !is_otherwise_in_valkey(&words) {
            break words;
        }
    };
    words[0] = dice.cased(&words[0]);
    // Without a count these choose by chance.
    let chooses =
        ["spop", "srandmember", "hrandfield", "zrandmember"].iter().any(|name| words[0].eq_ignore_ascii_case(name));
    if words.len() > 1 && !chooses && dice.below(60) == 0 {
        words.pop();
    }
    words
}

/// The name by which a SORT is compared whose reply is in no order.
const BY_CHANCE: &str = "sort by chance";

/// Commands whose replies are in no order that is promised.
const UNORDERED: [&str; 17] = [
    BY_CHANCE,
    "keys",
    "exec",
    "smembers",
    "sinter",
    "sunion",
    "sdiff",
    "spop",
    "srandmember",
    "sscan",
    "hkeys",
    "hvals",
    "hgetall",
    "hrandfield",
    "hscan",
    "zscan",
    "zrandmember",
];

/// Numbers of a reply to TTL and PTTL agree if they are close; what is in no order as sets of lines; else all bytes do.
fn agree(name: &str, theirs: &[u8], ours: &[u8]) -> bool {
    let number = |reply: &[u8]| String::from_utf8_lossy(&reply[1..]).trim_end().parse::<i64>().ok();
    let times = ["httl", "hpttl", "hexpiretime", "hpexpiretime"].contains(&name);
    theirs == ours
        || match name {
            _ if times => each_close(theirs, ours),
            "ttl" | "pttl" | "expiretime" | "pexpiretime" => {
                number(theirs).zip(number(ours)).is_some_and(|(a, b)| a.abs_diff(b) < 2000 && (a < 0) == (b < 0))
            }
            // The bytes differ: what they mean is compared when the other server has restored them.
            "xinfo" | "xpending" => streams::agree(theirs, ours),
            "dump" => dumps::payload(theirs).is_some() && dumps::payload(ours).is_some(),
            name => lines(name, theirs) == lines(name, ours),
        }
}

/// Whether the numbers of two arrays are close, one by one.
fn each_close(theirs: &[u8], ours: &[u8]) -> bool {
    let numbers = |reply: &[u8]| -> Option<Vec<i64>> {
        let text = std::str::from_utf8(reply).ok()?.strip_prefix('*')?;
        text.split("\r\n")
            .skip(1)
            .filter(|line| !line.is_empty())
            .map(|line| line.strip_prefix(':')?.parse().ok())
            .collect()
    };
    let close = |(a, b): (&i64, &i64)| a.abs_diff(*b) < 2000 && (*a < 0) == (*b < 0);
    let (theirs, ours) = (numbers(theirs), numbers(ours));
    theirs.zip(ours).is_some_and(|(a, b)| a.len() == b.len() && a.iter().zip(&b).all(close))
}

/// The lines of a reply, in order if that is promised.
fn lines(name: &str, reply: &[u8]) -> Vec<Vec<u8>> {
    let has_scores = name.starts_with('z') || name == "exec";
    let lines = reply.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    // Redis 7.0 writes 17 digits of a score, later versions as many as it takes; and lengths follow from what they are of.
    let lines = lines.filter(|line| !(has_scores && line.starts_with(b"$")));
    let mut lines: Vec<Vec<u8>> = lines
        .map(|line| {
            let number =
                std::str::from_utf8(line).ok().and_then(|line| line.trim_start_matches(',').parse::<f64>().ok());
            // Redis has -0 in large sorted sets and nowhere else; here there is none.
            number
                .filter(|_| has_scores)
                .map_or_else(|| line.to_vec(), |number| format!("{:e}", number + 0.0).into_bytes())
        })
        .collect();
    if UNORDERED.contains(&name) {
        lines.sort();
    }
    lines
}

#[test]
fn random_commands_are_answered_as_redis_answers_them() {
    compare(System::Redis, Protocol::Resp2);
}

#[test]
fn and_so_they_are_in_resp3() {
    compare(System::Redis, Protocol::Resp3);
}

#[test]
fn newer_commands_are_answered_as_valkey_answers_them() {
    compare(System::Valkey, Protocol::Resp2);
}

#[test]
fn and_so_are_they_in_resp3() {
    compare(System::Valkey, Protocol::Resp3);
}

fn compare(system: System, protocol: Protocol) {
    let Some((_process, mut theirs)) = Process::start(system) else {
        return skip(&format!("the comparison with {system:?}"), system.needs());
    };
    let clock = SystemClock::new();
    let seed = std::env::var("TANIST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(clock.unix().0);
    println!("TANIST_SEED={seed}");
    let engine = Engine::new(EngineOptions { shards: 4, hash_seed: seed, ..EngineOptions::default() });
    engine.begin_epoch(Epoch(1)).expect("a newer epoch");
    let mut ours = Ours { engine, session: Session::new(seed), clock, calls: 0, frozen_reads: 0, copies: 0 };
    if protocol == Protocol::Resp3 {
        theirs.call(&[b"hello".to_vec(), b"3".to_vec()]);
        ours.session.set_protocol(protocol);
    }
    // Streams of a few entries have several nodes.
    let (parameter, entries) = ("stream-node-max-entries", 3 + seed % 5);
    let words = ["config", "set", parameter, &entries.to_string()].map(|word| word.as_bytes().to_vec());
    assert_eq!(theirs.call(&words), b"+OK\r\n");
    ours.engine.change_settings(&[(sizes::STREAM_NODE_ENTRIES.id, Some(entries))], || Ok(())).unwrap();
    let mut dice = Dice(seed);
    let mut history: Vec<Vec<String>> = Vec::new();
    let commands = std::env::var("TANIST_COMMANDS").ok().and_then(|count| count.parse().ok()).unwrap_or(COMMANDS);
    for _ in 0..commands {
        let words = command(&mut dice, system);
        if words[0].to_lowercase().starts_with("sort") {
            // Redis 7.0 fails a SORT because of a number that an earlier command has found out of range, until a score was read.
            let words = ["zunion", "1", "missing", "weights", "1"].map(str::to_owned);
            let args: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
            history.push(words.to_vec());
            same_replies((&mut theirs, &args), (&mut ours, &args), &history, seed);
        }
        let args: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
        let dumps = words[0].eq_ignore_ascii_case("dump");
        history.push(words);
        let replies = same_replies((&mut theirs, &args), (&mut ours, &args), &history, seed);
        let payloads = [&replies.0, &replies.1].map(|reply| dumps::payload(reply).filter(|_| dumps));
        if let [Some(of_redis), Some(of_ours)] = payloads {
            // Each server restores what the other one has dumped.
            let words = dice.restore_command();
            let [args_of_redis, args_of_ours] = dumps::exchanged(&words, of_redis, of_ours);
            history.push(words);
            same_replies((&mut theirs, &args_of_redis), (&mut ours, &args_of_ours), &history, seed);
        }
    }
    println!("{} reads of frozen versions, {} copies in pieces", ours.frozen_reads, ours.copies);
    assert!(ours.frozen_reads * 40 > ours.calls, "many replies are read from frozen versions");
    same_content(&mut theirs, &mut ours);
}

/// Calls both servers, whose replies must agree; returns that of Redis and ours.
fn same_replies(
    (theirs, their_args): (&mut Connection, &[Vec<u8>]),
    (ours, our_args): (&mut Ours, &[Vec<u8>]),
    history: &[Vec<String>],
    seed: u64,
) -> (Vec<u8>, Vec<u8>) {
    let name = history.last().map_or_else(String::new, |words| match words {
        words if sorts::is_unordered(words) => BY_CHANCE.to_owned(),
        words => words[0].to_lowercase(),
    });
    let (expected, found) = (theirs.call(their_args), ours.call(our_args));
    let in_exec = name == "exec" && differs(history);
    if !agree(&name, &expected, &found) && !in_exec {
        // What came before, and what was done with the same keys.
        let key = our_args.get(1).map(|key| String::from_utf8_lossy(key).into_owned()).filter(|key| key.contains(':'));
        let names = |words: &Vec<String>| key.as_ref().is_some_and(|key| words[1..].contains(key));
        let last = history.len().saturating_sub(12);
        let of_key: Vec<_> = history[..last].iter().rev().filter(|words| names(words)).take(12).collect();
        let shown: Vec<_> = of_key.into_iter().rev().chain(&history[last..]).map(|words| shorten(words)).collect();
        panic!(
            "{shown:#?}\nredis: {:?}\nours:  {:?}\nTANIST_SEED={seed}",
            String::from_utf8_lossy(&expected[..expected.len().min(300)]),
            String::from_utf8_lossy(&found[..found.len().min(300)])
        );
    }
    (expected, found)
}

/// Whether the transaction that ends here asked for what differs: times, by moments, and dumps.
fn differs(history: &[Vec<String>]) -> bool {
    let queued = history.iter().rev().skip(1).take_while(|words| !words[0].eq_ignore_ascii_case("multi"));
    queued.into_iter().any(|words| {
        ["ttl", "expiretime", "dump", "xinfo", "xpending"].iter().any(|name| words[0].to_lowercase().contains(name))
    })
}

fn shorten(words: &[String]) -> String {
    words.iter().take(20).map(|word| word.chars().take(40).collect::<String>()).collect::<Vec<_>>().join(" ")
}

fn same_content(theirs: &mut Connection, ours: &mut Ours) {
    let command = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    for reset in ["discard", "unwatch"] {
        theirs.call(&command(&[reset]));
        ours.call(&command(&[reset]));
    }
    for prefix in PREFIXES.into_iter().chain([PLACES]) {
        for key in (0..KEYS).map(|n| format!("{prefix}:{n}")) {
            for name in ["get", "smembers", "hgetall", "pexpiretime", "llen"] {
                let words = command(&[name, &key]);
                let (expected, found) = (theirs.call(&words), ours.call(&words));
                assert!(agree(name, &expected, &found), "{name} {key}");
            }
            let words = command(&["lrange", &key, "0", "-1"]);
            assert_eq!(theirs.call(&words), ours.call(&words), "{key}");
            let words = command(&["zrange", &key, "0", "-1", "withscores"]);
            assert!(agree("zrange", &theirs.call(&words), &ours.call(&words)), "{key}");
            for words in [vec!["xrange", &key, "-", "+"], vec!["xrevrange", &key, "+", "-"]] {
                assert_eq!(theirs.call(&command(&words)), ours.call(&command(&words)), "{key}");
            }
            let words = command(&["xinfo", "stream", &key, "full", "count", "0"]);
            assert!(agree("xinfo", &theirs.call(&words), &ours.call(&words)), "{key}");
        }
    }
    let mut shown = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = String::from_utf8(ours.call(&command(&["scan", &cursor, "count", "3"]))).unwrap();
        let bulks: Vec<&str> =
            reply.split("\r\n").filter(|line| !line.starts_with(['*', '$']) && !line.is_empty()).collect();
        shown.extend(bulks[1..].iter().map(|key| (*key).to_owned()));
        cursor = bulks[0].to_owned();
        if cursor == "0" {
            break;
        }
    }
    // An option behind fewer pairs than MSETEX says is a key.
    shown.retain(|key| key.contains(':'));
    shown.sort();
    let listed = theirs.call(&command(&["keys", "*"]));
    let mut listed: Vec<_> =
        String::from_utf8(listed).unwrap().split("\r\n").filter(|line| line.contains(':')).map(str::to_owned).collect();
    listed.sort();
    assert_eq!(shown, listed, "SCAN shows every key once while nothing changes");
}
