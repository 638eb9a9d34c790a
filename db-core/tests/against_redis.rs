//! The same random commands to this engine and to a `redis-server` of the machine, replies compared byte by byte.
//!
//! Left out where no `redis-server` is on the PATH. Prints its seed; `TANIST_SEED` replays one.
//! Not compared: replies that depend on chance or on the order of keys (compared as sets), on the representation of values,
//! and on the moment (times to live are compared with a tolerance).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, its helpers included")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use tanist_db_core::clock::{Clock, SystemClock};
use tanist_db_core::command::{Call, CommandTable, Group, Outcome, Protocol, Reply, database, front_command};
use tanist_db_core::engine::{Engine, EngineOptions, Front, Session};
use tanist_db_core::ids::Epoch;
use tanist_test_support::skip;

const COMMANDS: usize = 30_000;
const NEEDS: &str = "a redis-server on the PATH: Debian's redis-server";

struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    /// A server without persistence on a free port, and a connection to it; `None` where there is no such program.
    ///
    /// One at a time: a process that another thread is just starting holds this one's port open until it has become its
    /// program, and would take the connection with it.
    fn start() -> Option<(Redis, Connection)> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _starting = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?.local_addr().ok()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let redis = Redis { process, port };
        let connection = redis.connect();
        Some((redis, connection))
    }

    fn connect(&self) -> Connection {
        for _ in 0..2000 {
            if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
                stream.set_nodelay(true).unwrap();
                return Connection { reader: BufReader::new(stream) };
            }
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        panic!("redis-server does not answer");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn call(&mut self, args: &[Vec<u8>]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.reader.get_mut().write_all(&request).unwrap();
        let mut reply = Vec::new();
        self.read(&mut reply);
        reply
    }

    fn read(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        self.reader.read_until(b'\n', out).unwrap();
        let head = String::from_utf8_lossy(&out[start..]).trim_end().to_owned();
        let count = || head[1..].parse::<i64>().unwrap();
        match head.as_bytes()[0] {
            b'$' if count() >= 0 => {
                let at = out.len();
                out.resize(at + count() as usize + 2, 0);
                self.reader.read_exact(&mut out[at..]).unwrap();
            }
            b'*' | b'~' => (0..count()).for_each(|_| self.read(out)),
            b'%' => (0..2 * count()).for_each(|_| self.read(out)),
            _ => {}
        }
    }
}

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
}

impl Ours {
    fn call(&mut self, args: &[Vec<u8>]) -> Vec<u8> {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let mut reply = Reply::new(Protocol::Resp2);
        let executed =
            self.engine.execute(&mut self.session, &mut SelectingFront, &args, self.clock.unix(), &mut reply);
        assert!(executed.replied().is_some());
        while self.engine.redo().take(1 << 20).is_some() {}
        reply.take()
    }
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    fn key(&mut self) -> String {
        format!("key:{}", self.below(12))
    }

    fn integer(&mut self) -> String {
        let edges = [
            "0",
            "-1",
            "1",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "01",
            "+1",
            "x",
            "",
            " 1",
            "-0",
            "10",
            "-7",
        ];
        if self.below(3) == 0 { self.of(&edges).to_owned() } else { (self.below(2000) as i64 - 1000).to_string() }
    }

    fn float(&mut self) -> String {
        match self.below(6) {
            0 => self
                .of(&[
                    "1e3", "-1.5e-3", "inf", "-inf", "nan", "1e400", "0x1f", ".5", "5.", "1e", "", "abc", "1e-20",
                    "3.0e10",
                ])
                .to_owned(),
            1 => self.integer(),
            2 => format!("{}e{}", self.below(1 << 60), self.below(40) as i64 - 30),
            _ => format!("{}.{}", self.below(2_000_000) as i64 - 1_000_000, self.below(1 << 40)),
        }
    }

    fn value(&mut self) -> String {
        match self.below(8) {
            0 => self.float(),
            1 | 2 => self.integer(),
            3 => "long ".repeat(self.below(9000) as usize),
            4 => String::new(),
            _ => format!("value {}", self.below(100)),
        }
    }

    fn offset(&mut self) -> String {
        match self.below(5) {
            0 => self.integer(),
            _ => (self.below(60_000) as i64 - 10_000).to_string(),
        }
    }

    /// An absolute time in seconds: mostly far in the future, sometimes past or impossible.
    fn moment(&mut self) -> String {
        match self.below(8) {
            0 => self.integer(),
            1 => "1".to_owned(),
            2 => "9223372036854775".to_owned(),
            3 => "9223372036854776".to_owned(),
            _ => (4_000_000_000 + self.below(100)).to_string(),
        }
    }

    /// As [`Dice::moment`], but none in the past: when a key that is born expired is deleted, and DBSIZE no longer counts
    /// it, is not agreed.
    fn future(&mut self) -> String {
        match self.below(8) {
            0 => self.of(&["0", "-1", "x", "9223372036854776", "9223372036854775808"]).to_owned(),
            _ => (4_000_000_000 + self.below(100)).to_string(),
        }
    }

    /// A time to live in seconds that does not end during the test, or is refused.
    fn lifetime(&mut self) -> String {
        match self.below(6) {
            0 => {
                self.of(&["0", "-5", "x", "9223372036854775807", "-9223372036854775808", "9223372036854775"]).to_owned()
            }
            _ => (100_000 + self.below(1000) * 100).to_string(),
        }
    }

    fn cased(&mut self, name: &str) -> String {
        if self.below(4) == 0 { name.to_uppercase() } else { name.to_owned() }
    }

    fn set_options(&mut self) -> Vec<String> {
        let mut options = Vec::new();
        for _ in 0..self.below(4) {
            match self.below(9) {
                0 => options.push("NX".into()),
                1 => options.push("xx".into()),
                2 => options.push("GET".into()),
                3 => options.push("KEEPTTL".into()),
                4 => options.extend(["EX".into(), self.lifetime()]),
                5 => options.extend(["PX".into(), self.lifetime() + "000"]),
                6 => options.extend(["EXAT".into(), self.future()]),
                7 => options.extend(["PXAT".into(), self.future() + "000"]),
                _ => options.push(self.of(&["PERSIST", "foo", "EX", ""]).into()),
            }
        }
        options
    }

    fn expire_options(&mut self) -> Vec<String> {
        (0..self.below(3)).map(|_| self.of(&["NX", "XX", "GT", "LT", "lt", "zz"]).into()).collect()
    }

    fn command(&mut self) -> Vec<String> {
        let mut words: Vec<String> = match self.below(46) {
            0..=3 => {
                let mut words = vec!["set".into(), self.key(), self.value()];
                words.extend(self.set_options());
                words
            }
            4 | 5 => vec!["get".into(), self.key()],
            6 => vec![self.of(&["getset", "setnx", "append", "append", "append"]).into(), self.key(), self.value()],
            7 => vec![self.of(&["setex", "psetex"]).into(), self.key(), self.lifetime() + "000", self.value()],
            8 => {
                let mut words = vec!["getex".into(), self.key()];
                words.extend(self.set_options());
                words
            }
            9 => vec!["getdel".into(), self.key()],
            10 | 11 => {
                let mut words = vec![self.of(&["mset", "msetnx"]).into()];
                (0..self.below(4)).for_each(|_| words.extend([self.key(), self.value()]));
                words.extend((self.below(8) == 0).then(|| self.key()));
                words
            }
            12..=14 => {
                let mut words = vec![self.of(&["mget", "del", "unlink", "exists", "touch"]).into()];
                words.extend((0..self.below(4)).map(|_| self.key()));
                words
            }
            15 | 16 => vec![
                self.of(&["incr", "decr", "strlen", "type", "persist", "expiretime", "pexpiretime"]).into(),
                self.key(),
            ],
            17 | 18 => vec![self.of(&["incrby", "decrby"]).into(), self.key(), self.integer()],
            19..=21 => vec!["incrbyfloat".into(), self.key(), self.float()],
            22 | 23 => vec!["setrange".into(), self.key(), self.offset(), self.value()],
            24 | 25 => vec![self.of(&["getrange", "substr"]).into(), self.key(), self.offset(), self.offset()],
            26 | 27 => {
                let mut words = vec!["expireat".into(), self.key(), self.moment()];
                words.extend(self.expire_options());
                words
            }
            28 => {
                let mut words = vec!["pexpireat".into(), self.key(), self.moment() + "123"];
                words.extend(self.expire_options());
                words
            }
            29 => {
                let mut words = vec![self.of(&["expire", "pexpire"]).into(), self.key(), self.lifetime() + "000"];
                words.extend(self.expire_options());
                words
            }
            30 => vec![self.of(&["ttl", "pttl"]).into(), self.key()],
            31 | 32 => vec![self.of(&["rename", "renamenx"]).into(), self.key(), self.key()],
            33 => {
                let mut words = vec!["copy".into(), self.key(), self.key()];
                words.extend((0..self.below(3)).map(|_| self.of(&["REPLACE", "db", "0", "1", "x"]).into()));
                words
            }
            34 => vec!["keys".into(), self.of(&["*", "key:[1-3]", "*1*", "key:?", "[^k]*", "k\\ey:1"]).into()],
            35 => vec![self.of(&["ping", "echo", "dbsize", "nosuch", "object", "unwatch"]).into(), self.value()],
            36 => vec![
                self.of(&["multi", "multi", "exec", "exec", "exec", "discard", "dbsize", "ping", "unwatch"]).into(),
            ],
            37 => vec!["watch".into(), self.key()],
            38 => vec![self.of(&["exec", "dbsize"]).into()],
            39 => vec!["object".into(), self.of(&["refcount", "nosuch", "encoding"]).into(), "missing".into()],
            42 => vec!["move".into(), self.key(), self.of(&["0", "1", "2", "16", "-1", "x"]).into()],
            43 if self.below(4) == 0 => {
                let index = |dice: &mut Dice| dice.of(&["0", "1", "2", "2", "16", "x"]).to_owned();
                vec!["swapdb".into(), index(self), index(self)]
            }
            44 if self.below(4) == 0 => vec!["select".into(), self.of(&["0", "1", "2"]).into()],
            45 => {
                let mut words = vec!["copy".into(), self.key(), self.key(), "DB".into()];
                words.extend([self.of(&["0", "1", "2", "99"]).into(), self.of(&["REPLACE", "replace", "x"]).into()]);
                words
            }
            40 if self.below(40) == 0 => {
                vec![self.of(&["flushall", "flushdb"]).into(), self.of(&["async", "SYNC", "x"]).into()]
            }
            _ => vec![
                "command".into(),
                "getkeys".into(),
                self.of(&["mset", "get", "ping", "nosuch"]).into(),
                "a".into(),
                "b".into(),
            ],
        };
        words[0] = self.cased(&words[0]);
        if self.below(60) == 0 {
            words.pop();
        }
        if words.is_empty() { vec!["ping".into()] } else { words }
    }
}

/// Numbers of a reply to TTL and PTTL agree if they are close; KEYS agree as sets; else all bytes do.
fn agree(name: &str, theirs: &[u8], ours: &[u8]) -> bool {
    let number = |reply: &[u8]| String::from_utf8_lossy(&reply[1..]).trim_end().parse::<i64>().ok();
    let lines = |reply: &[u8]| {
        let mut lines: Vec<Vec<u8>> = reply.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    theirs == ours
        || match name {
            "ttl" | "pttl" | "expiretime" | "pexpiretime" => {
                number(theirs).zip(number(ours)).is_some_and(|(a, b)| a.abs_diff(b) < 2000 && (a < 0) == (b < 0))
            }
            "keys" | "exec" => lines(theirs) == lines(ours),
            _ => false,
        }
}

#[test]
fn random_commands_are_answered_as_redis_answers_them() {
    compare(Protocol::Resp2);
}

#[test]
fn and_so_they_are_in_resp3() {
    compare(Protocol::Resp3);
}

fn compare(protocol: Protocol) {
    let Some((_redis, mut theirs)) = Redis::start() else {
        return skip("the comparison with Redis", NEEDS);
    };
    let clock = SystemClock::new();
    let seed = std::env::var("TANIST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(clock.unix().0);
    println!("TANIST_SEED={seed}");
    let engine = Engine::new(EngineOptions { shards: 4, hash_seed: seed, ..EngineOptions::default() });
    engine.begin_epoch(Epoch(1)).expect("a newer epoch");
    let mut ours = Ours { engine, session: Session::new(seed), clock };
    if protocol == Protocol::Resp3 {
        theirs.call(&[b"hello".to_vec(), b"3".to_vec()]);
        ours.session.set_protocol(protocol);
    }
    let mut dice = Dice(seed);
    let mut history: Vec<Vec<String>> = Vec::new();
    for _ in 0..COMMANDS {
        let words = dice.command();
        let name = words[0].to_lowercase();
        let args: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
        history.push(words);
        let (expected, found) = (theirs.call(&args), ours.call(&args));
        let in_exec = name == "exec" && has_times(&history);
        if !agree(&name, &expected, &found) && !in_exec {
            let shown: Vec<_> = history.iter().rev().take(12).rev().map(|words| shorten(words)).collect();
            panic!(
                "{shown:#?}\nredis: {:?}\nours:  {:?}\nTANIST_SEED={seed}",
                String::from_utf8_lossy(&expected[..expected.len().min(300)]),
                String::from_utf8_lossy(&found[..found.len().min(300)])
            );
        }
    }
    same_content(&mut theirs, &mut ours);
}

/// Whether the transaction that ends here asked for times, which differ by moments.
fn has_times(history: &[Vec<String>]) -> bool {
    let queued = history.iter().rev().skip(1).take_while(|words| !words[0].eq_ignore_ascii_case("multi"));
    queued
        .into_iter()
        .any(|words| words[0].to_lowercase().contains("ttl") || words[0].to_lowercase().contains("expiretime"))
}

fn shorten(words: &[String]) -> String {
    words.iter().map(|word| word.chars().take(40).collect::<String>()).collect::<Vec<_>>().join(" ")
}

fn same_content(theirs: &mut Connection, ours: &mut Ours) {
    let command = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    for reset in ["discard", "unwatch"] {
        theirs.call(&command(&[reset]));
        ours.call(&command(&[reset]));
    }
    for key in (0..12).map(|n| format!("key:{n}")) {
        for words in [["get", &key], ["pexpiretime", &key]] {
            let (expected, found) = (theirs.call(&command(&words)), ours.call(&command(&words)));
            assert!(agree(words[0], &expected, &found), "{words:?}");
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
    shown.sort();
    let listed = theirs.call(&command(&["keys", "*"]));
    let mut listed: Vec<_> = String::from_utf8(listed)
        .unwrap()
        .split("\r\n")
        .filter(|line| line.starts_with('k'))
        .map(str::to_owned)
        .collect();
    listed.sort();
    assert_eq!(shown, listed, "SCAN shows every key once while nothing changes");
}
