//! Runs one operation many times over the request parser and the engine: no sockets, threads, clock or dice, so that a run
//! executes the same instructions each time.
//!
//! `cargo run --release -p tanist-hot-path -- OPERATION|COLLECTION [times, default 20000]`
//!
//! `tanist-bench instructions` counts them. For each operation these are: parsing the request, finding its command, executing it,
//! clearing the reply and, for a write, its share of taking the redo queue.
//!
//! - `get`: a GET of a key that is there.
//! - `set`: a SET over a value of the same length, in place.
//! - `append`: an APPEND of 4 bytes to such a value.
//! - `incr`: an INCR of a counter of seven digits.
//! - `expire`: an EXPIRE of a key that has an expiry already.
//! - `del`: a DEL of a key that is there; at most 20,000 of them.
//! - `getbit`, `setbit`: a bit of such a value, which each SETBIT changes.
//! - `bitcount`: a BITCOUNT of a value of 1 MiB.
//! - `frozen-set`: a SET where a frozen version still needs the page, so that it is copied before it is written. Each round
//!   writes to one key of each page that has records, then lets the version go and freezes again; what the round costs is
//!   shared by its writes, about eighty.
//! - those of collections, each on many small ones and on one large one: see [`collections`].

mod collections;

use tanist::resp::{Parsed, RequestLimits, RequestParser};
use tanist_db_core::arena::PAGE_BYTES;
use tanist_db_core::clock::UnixMillis;
use tanist_db_core::command::{CommandTable, Protocol, Reply};
use tanist_db_core::engine::{Engine, EngineOptions, Executed, Front, Session};
use tanist_db_core::ids::Epoch;
use tanist_db_core::limits::LARGE_REPLY_BYTES;

/// What the database uses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: usize = 10_000;
const DELETED_MAX: usize = 20_000;
const VALUE_BYTES: usize = 100;
/// A bit of such a value that is 0.
const BIT: &[u8] = b"555";
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
/// Writes between two looks at the redo queue.
const WRITES_A_TAKE: usize = 64;
/// Without a common divisor with [`KEYS`], so that all keys come, in an order that is not that of their numbers.
const STRIDE: usize = 3_779;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let operation = arguments.next().unwrap_or_default();
    let times = arguments.next().map_or(20_000, |text| text.parse().expect("how many times: a number"));
    let mut node = Node::filled();
    match &operation[..] {
        "get" => node.run(&requests(|key| request(&[b"GET", key])), times),
        "set" => node.run(&set_requests(b'b'), times),
        "append" => node.run(&requests(|key| request(&[b"APPEND", key, b"tail"])), times),
        "incr" => {
            node.run(&requests(|key| request(&[b"SET", key, b"1000000"])), KEYS);
            node.run(&requests(|key| request(&[b"INCR", key])), times);
        }
        "expire" => {
            node.run(&requests(|key| request(&[b"EXPIRE", key, b"1000"])), KEYS);
            node.run(&requests(|key| request(&[b"EXPIRE", key, b"2000"])), times);
        }
        "del" => {
            assert!(times <= DELETED_MAX, "so many keys are there to be deleted: {DELETED_MAX}");
            let name = |number: usize| format!("del:{:012}", number * STRIDE % DELETED_MAX);
            let set = |number| request(&[b"SET", name(number).as_bytes(), &[b'a'; VALUE_BYTES]]);
            let delete = |number| request(&[b"DEL", name(number).as_bytes()]);
            node.run(&(0..DELETED_MAX).map(set).collect::<Vec<_>>(), DELETED_MAX);
            node.run(&(0..DELETED_MAX).map(delete).collect::<Vec<_>>(), times);
        }
        "getbit" => node.run(&requests(|key| request(&[b"GETBIT", key, BIT])), times),
        "setbit" => {
            let bits = [b"1", b"0"].map(|bit| requests(|key| request(&[b"SETBIT", key, BIT, bit])));
            node.run(&bits.concat(), times);
        }
        "bitcount" => {
            node.run(&[request(&[b"SET", b"bits", &vec![b'b'; LARGE_REPLY_BYTES]])], 1);
            node.run(&[request(&[b"BITCOUNT", b"bits"])], times);
        }
        "frozen-set" => node.run_frozen(&set_requests(b'b'), times),
        _ => match collections::find(&operation) {
            Some(load) => {
                node.run(&load.fill, load.fill.len());
                node.run(&load.requests, times);
            }
            None => {
                panic!("usage: get|set|append|incr|expire|del|getbit|setbit|bitcount|frozen-set|COLLECTION [times]")
            }
        },
    }
}

/// What stands between a connection's bytes and its replies.
struct Node {
    engine: Engine,
    session: Session,
    parser: RequestParser,
    reply: Reply,
    writes: usize,
}

impl Node {
    fn filled() -> Node {
        let mut node = Node {
            engine: Engine::new(EngineOptions::default()),
            session: Session::new(1),
            parser: RequestParser::new(RequestLimits::TRUSTED),
            reply: Reply::new(Protocol::Resp2),
            writes: 0,
        };
        // As sessions of the server have it.
        node.session.set_large_bytes(LARGE_REPLY_BYTES);
        node.engine.begin_epoch(Epoch(1)).expect("a newer epoch");
        node.run(&set_requests(b'a'), KEYS);
        assert_eq!(node.engine.keys(), KEYS as u64);
        node
    }

    fn run(&mut self, requests: &[Vec<u8>], times: usize) {
        requests.iter().cycle().take(times).for_each(|request| self.execute(request));
    }

    fn run_frozen(&mut self, requests: &[Vec<u8>], times: usize) {
        let requests = self.one_a_page(requests);
        let mut left = times;
        while left > 0 {
            let round = &requests[..left.min(requests.len())];
            let version = self.engine.freeze();
            round.iter().for_each(|request| self.execute(request));
            assert_eq!(self.pages_copied(), round.len(), "each SET copies one page");
            drop(version);
            left -= round.len();
        }
    }

    /// Those of `requests` that are the first to write to their page.
    fn one_a_page<'a>(&mut self, requests: &'a [Vec<u8>]) -> Vec<&'a Vec<u8>> {
        let _version = self.engine.freeze();
        let copies = |request: &&Vec<u8>| {
            let before = self.pages_copied();
            self.execute(request);
            self.pages_copied() > before
        };
        requests.iter().filter(copies).collect()
    }

    /// Pages kept for the frozen version alone, of which there is one at most.
    fn pages_copied(&self) -> usize {
        self.engine.frozen_bytes() as usize / PAGE_BYTES
    }

    fn execute(&mut self, request: &[u8]) {
        self.parser.forget();
        let Ok(Parsed::Command(parsed)) = self.parser.parse(request) else { panic!("a whole request") };
        let argument = |at| self.parser.argument(&parsed, request, at);
        let spec = COMMANDS.find(parsed.arguments(), argument).expect("a command");
        let args = self.parser.arguments(&parsed, request);
        let (session, reply) = (&mut self.session, &mut self.reply);
        let executed = self.engine.execute_resolved(spec, session, &mut Alone, &args, NOW, reply);
        let Executed::Replied(executed) = executed else { panic!("nobody holds a shard") };
        assert!(matches!(reply.as_bytes()[0], b'+' | b'$' | b':' | b'*'), "it succeeds");
        reply.clear();
        if executed.wrote {
            self.writes += 1;
            if self.writes.is_multiple_of(WRITES_A_TAKE) {
                while self.engine.redo().take(1 << 20).is_some() {}
            }
        }
    }
}

/// A caller that has no commands of its own.
struct Alone;

static COMMANDS: CommandTable = CommandTable::with(&[]);

impl Front for Alone {
    fn commands(&self) -> &'static CommandTable {
        &COMMANDS
    }
}

/// A request for each key.
fn requests(of: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Vec<u8>> {
    keys().map(|key| of(key.as_bytes())).collect()
}

fn set_requests(fill: u8) -> Vec<Vec<u8>> {
    requests(|key| request(&[b"SET", key, &[fill; VALUE_BYTES]]))
}

/// All keys, of 16 bytes.
fn keys() -> impl Iterator<Item = String> {
    (0..KEYS).map(|number| format!("key:{:012}", number * STRIDE % KEYS))
}

fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        request.extend(format!("${}\r\n", arg.len()).into_bytes());
        request.extend(*arg);
        request.extend(b"\r\n");
    }
    request
}
