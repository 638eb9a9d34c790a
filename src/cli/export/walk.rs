//! The keys of a pinned version, one after the other.
//!
//! Requests are sent ahead of their replies, so that the primary always has some; their bytes are bounded, so that they fit into the
//! buffers of the connection while the primary waits for its replies to be read.

use std::collections::VecDeque;
use std::io::Write;

use redis::{Cmd, FromRedisValue, RedisError, Value, from_redis_value};
use tanist_db_core::clock::UnixMillis;
use tanist_db_core::limits::DATABASES;
use tanist_db_core::rdb::RdbError;
use tanist_db_core::rdb::writer::RdbWriter;

use super::connection::Connection;
use crate::cli::ask::explain;
use crate::cli::status::Asker;
use crate::cli::transfer::{Gauge, LeftOut, Tally};
use crate::exit::Failure;

/// Bytes of requests that are ahead of their replies, but for the last one: less than the buffers of a connection take.
const AHEAD_BYTES: usize = 32 * 1024;
/// Keys that a step of SCAN looks at.
const SCAN_COUNT: usize = 512;

/// A connection that has pinned a version.
pub(super) struct Walk {
    connection: Connection,
    /// Where the version is in the log.
    position: u64,
    /// What the server says that it is compatible with.
    redis_version: String,
    /// Databases that have keys, and how many.
    databases: Vec<(u64, u64)>,
    /// What was asked for and has not come, in the order in which it comes, each with the bytes of its requests.
    asked: VecDeque<(Awaited, usize)>,
    /// The sum of these bytes.
    ahead: usize,
    /// Requests that are not yet sent.
    requests: Vec<u8>,
}

enum Awaited {
    /// A step of SCAN.
    Keys,
    /// Expiry and value of a key.
    Value(Vec<u8>),
}

/// Where a walk over a database is.
struct ScanState {
    database: u64,
    /// Keys that were found and not asked for.
    found: VecDeque<Vec<u8>>,
    /// Where SCAN goes on; `None` while its next step is under way, and after the last one.
    cursor: Option<String>,
}

impl Walk {
    /// Pins the present state of the primary at this address.
    pub(super) fn begin(asker: &Asker, address: &str) -> Result<Walk, Failure> {
        let connection = Connection::open(address, asker.password()).map_err(|why| {
            Failure::Runtime(format!("the primary at {address} cannot be asked: {why}; nothing was exported"))
        })?;
        let mut walk = Walk {
            connection,
            position: 0,
            redis_version: String::new(),
            databases: Vec::new(),
            asked: VecDeque::new(),
            ahead: 0,
            requests: Vec::new(),
        };
        walk.position = walk.ask(redis::cmd("TANIST").arg("PIN").arg("NEW"))?;
        let info: String = walk.ask(redis::cmd("INFO").arg("server"))?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        walk.redis_version = version.unwrap_or_default().trim().to_owned();
        for database in 0..DATABASES as u64 {
            walk.ask::<()>(redis::cmd("SELECT").arg(database))?;
            match walk.ask(&redis::cmd("DBSIZE"))? {
                0 => {}
                keys => walk.databases.push((database, keys)),
            }
        }
        Ok(walk)
    }

    /// What is noted in the file, beside the keys.
    pub(super) fn notes(&self, now: UnixMillis) -> Vec<(&'static str, String)> {
        vec![
            ("redis-ver", self.redis_version.clone()),
            ("redis-bits", "64".into()),
            ("ctime", (now.0 / 1000).to_string()),
            ("tanist-ver", env!("CARGO_PKG_VERSION").into()),
            ("tanist-position", self.position.to_string()),
        ]
    }

    /// The number of keys in all databases.
    pub(super) fn keys(&self) -> u64 {
        self.databases.iter().map(|(_, keys)| keys).sum()
    }

    /// Writes all keys; returns what became of them.
    pub(super) fn run(&mut self, writer: &mut RdbWriter<impl Write>, gauge: &Gauge) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        for (database, _) in std::mem::take(&mut self.databases) {
            self.ask::<()>(redis::cmd("SELECT").arg(database))?;
            let mut scan = ScanState { database, found: VecDeque::new(), cursor: Some("0".into()) };
            loop {
                if gauge.is_stopped() {
                    return Err(failed("stopped"));
                }
                self.ask_ahead(&mut scan)?;
                let Some((asked, bytes)) = self.asked.pop_front() else { break };
                self.ahead -= bytes;
                match asked {
                    Awaited::Keys => self.keys_come(&mut scan)?,
                    Awaited::Value(key) => {
                        self.value_comes(&scan, &key, writer, &mut tally)?;
                        gauge.add(1);
                    }
                }
            }
        }
        Ok(tally)
    }

    /// Sends requests until enough is ahead, once little is.
    fn ask_ahead(&mut self, scan: &mut ScanState) -> Result<(), Failure> {
        if self.ahead > AHEAD_BYTES / 2 {
            return Ok(());
        }
        while self.ahead < AHEAD_BYTES {
            // The next keys are looked for while there are some left.
            if scan.found.len() < SCAN_COUNT
                && let Some(cursor) = scan.cursor.take()
            {
                let start = self.requests.len();
                put(&mut self.requests, &[b"SCAN", cursor.as_bytes(), b"COUNT", SCAN_COUNT.to_string().as_bytes()]);
                self.note(Awaited::Keys, start);
            } else if let Some(key) = scan.found.pop_front() {
                let start = self.requests.len();
                put(&mut self.requests, &[b"PEXPIRETIME", &key]);
                put(&mut self.requests, &[b"DUMP", &key]);
                self.note(Awaited::Value(key), start);
            } else {
                break;
            }
        }
        if !self.requests.is_empty() {
            self.connection.send(&self.requests).map_err(|error| cut_short(&error))?;
            self.requests.clear();
        }
        Ok(())
    }

    fn note(&mut self, asked: Awaited, start: usize) {
        let bytes = self.requests.len() - start;
        self.ahead += bytes;
        self.asked.push_back((asked, bytes));
    }

    fn keys_come(&mut self, scan: &mut ScanState) -> Result<(), Failure> {
        let (cursor, keys): (String, Vec<Vec<u8>>) = self.receive()?;
        scan.found.extend(keys);
        scan.cursor = Some(cursor).filter(|cursor| cursor != "0");
        Ok(())
    }

    fn value_comes(
        &mut self,
        scan: &ScanState,
        key: &[u8],
        writer: &mut RdbWriter<impl Write>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let expire: i64 = self.receive()?;
        let expire = u64::try_from(expire).ok().map(UnixMillis);
        let Value::BulkString(payload) = self.receive()? else {
            // It had expired, but was not yet deleted.
            return Ok(());
        };
        let written = writer.key(scan.database, key, expire, &payload).map_err(|error| match error {
            RdbError::Io(error) => failed(&format!("the file cannot be written: {error}")),
            error => {
                failed(&format!("key '{}' cannot be exported: {error}", String::from_utf8_lossy(key).escape_debug()))
            }
        })?;
        tally.moved(written.kind, scan.database, expire.is_some());
        tally.left_out(LeftOut::ExpiriesOfFields, written.expiries_lost, Some(key));
        Ok(())
    }

    /// Sends one request and returns its reply.
    fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, Failure> {
        self.connection.send(&command.get_packed_command()).map_err(|error| cut_short(&error))?;
        self.receive()
    }

    fn receive<T: FromRedisValue>(&mut self) -> Result<T, Failure> {
        let reply = self.connection.receive();
        reply.and_then(|reply| Ok(from_redis_value(reply)?)).map_err(|error| cut_short(&error))
    }
}

/// Appends a request.
fn put(requests: &mut Vec<u8>, args: &[&[u8]]) {
    requests.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        requests.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        requests.extend_from_slice(arg);
        requests.extend_from_slice(b"\r\n");
    }
}

fn failed(why: &str) -> Failure {
    Failure::Runtime(format!("{why}; nothing was exported"))
}

/// The primary gave no reply, or an error.
fn cut_short(error: &RedisError) -> Failure {
    if error.code() == Some("UNPINNED") {
        let detail = error.detail().unwrap_or_default();
        let why = detail.split(';').next().unwrap_or_default();
        return failed(&format!(
            "the version that was exported is gone: {why}; raise this bound (CONFIG SET) and export again"
        ));
    }
    failed(&format!("the primary was lost on the way: {}", explain(error)))
}
