//! The drill's own clients: some use the client library, some a plain Redis connection. Each sends one command at a time and
//! records the reply.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use tanist_client::{Client, Error, Options};
use tanist_db_core::clock::{Clock, Monotonic};
use tokio::time::sleep;

use super::ledger::{Account, Fate, Ledger};
use super::witness::Witness;
use crate::cli::ask;
use crate::config::Password;
use crate::exit::Failure;
use crate::front::NOT_EXECUTED;
use crate::shutdown::Shutdown;

/// How long a plain client waits for a reply before it takes its connection for broken; many Redis clients wait about as long.
const PLAIN_REPLY_WAIT: Duration = Duration::from_secs(1);
/// Pause after an error, so that a client that is refused at once does not do nothing but ask.
const ERROR_PAUSE: Duration = Duration::from_millis(5);
/// Keys that are read or removed at once: together not more than a few hundred kilobytes.
const KEYS_AT_ONCE: usize = 100;
/// Codes of error replies that say that the command was not executed.
const REFUSALS: [&str; 5] = ["READONLY", "NOTPRIMARY", "LOADING", "OOM", "NOAUTH"];

/// Where the cluster is, and how to get in.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) client: Options,
    pub(super) resp: Vec<String>,
    pub(super) password: Password,
    pub(super) clock: Arc<dyn Clock>,
}

/// How much is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    /// Clients of each kind.
    pub(super) clients: u32,
    /// Pause of a client between two writes.
    pub(super) pause: Duration,
}

/// The two ways to talk to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Library,
    Plain,
}

impl Kind {
    pub(super) const BOTH: [Kind; 2] = [Kind::Library, Kind::Plain];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Library => "client library",
            Kind::Plain => "plain RESP",
        }
    }
}

/// Clients that are writing. Dropped, they stop at once.
pub(super) struct Load {
    stop: Shutdown,
    clock: Arc<dyn Clock>,
    begun: Monotonic,
    clients: Vec<Running>,
    witnesses: [Rc<RefCell<Witness>>; 2],
}

struct Running {
    kind: Kind,
    task: JoinHandle<Ledger>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What clients of one kind wrote and saw.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    pub(super) witness: Witness,
    pub(super) ledgers: Vec<Ledger>,
}

impl Load {
    /// Starts the clients; their keys begin with `prefix`.
    ///
    /// # Errors
    /// The client library finds no primary.
    pub(super) async fn start(access: &Access, weight: Weight, prefix: &str) -> Result<Load, Failure> {
        let mut links = Vec::new();
        for _ in 0..weight.clients {
            links.push(Client::connect(access.client.clone()).await.map_err(|e| Failure::Runtime(e.to_string()))?);
        }
        let (stop, clock) = (Shutdown::new(), Arc::clone(&access.clock));
        let begun = clock.monotonic();
        let mut load = Load { stop, clock, begun, clients: Vec::new(), witnesses: Default::default() };
        for (number, client) in links.into_iter().enumerate() {
            load.spawn(Kind::Library, client, format!("{prefix}:l{number}"), weight.pause);
        }
        for number in 0..weight.clients {
            let plain = Plain { access: access.clone(), turn: 0, open: None };
            load.spawn(Kind::Plain, plain, format!("{prefix}:p{number}"), weight.pause);
        }
        Ok(load)
    }

    /// Time since the clients were started.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.monotonic().since(self.begun)
    }

    /// `at` as a time since the clients were started.
    pub(super) fn since_begun(&self, at: Monotonic) -> Duration {
        at.since(self.begun)
    }

    /// Kinds of which no client has had a write confirmed so far.
    pub(super) fn silent(&self) -> impl Iterator<Item = Kind> {
        let witnesses = Kind::BOTH.into_iter().zip(&self.witnesses);
        witnesses.filter(|(_, witness)| witness.borrow().confirmed == 0).map(|(kind, _)| kind)
    }

    /// Waits until each client has finished its current command.
    pub(super) async fn finish(self) -> Result<[Seen; 2], Failure> {
        self.stop.ask();
        for witness in &self.witnesses {
            witness.borrow_mut().end(self.clock.monotonic().since(self.begun));
        }
        let mut seen = Kind::BOTH.map(|kind| Seen { kind, witness: Witness::default(), ledgers: Vec::new() });
        for mut client in self.clients {
            let ledger = (&mut client.task).await;
            let ledger = ledger.map_err(|e| Failure::Runtime(format!("a client of the drill has failed: {e}")))?;
            seen[client.kind as usize].ledgers.push(ledger);
        }
        for (seen, witness) in seen.iter_mut().zip(&self.witnesses) {
            seen.witness = witness.take();
        }
        Ok(seen)
    }

    fn spawn(&mut self, kind: Kind, link: impl WriteLink + 'static, prefix: String, pause: Duration) {
        let writer = Writer {
            ledger: Ledger::new(prefix),
            witness: Rc::clone(&self.witnesses[kind as usize]),
            clock: Arc::clone(&self.clock),
            begun: self.begun,
            pause,
        };
        let task = actix_rt::spawn(writer.write_until(self.stop.clone(), link));
        self.clients.push(Running { kind, task });
    }
}

/// One client.
struct Writer {
    ledger: Ledger,
    witness: Rc<RefCell<Witness>>,
    clock: Arc<dyn Clock>,
    begun: Monotonic,
    pause: Duration,
}

impl Writer {
    async fn write_until(mut self, stop: Shutdown, mut link: impl WriteLink) -> Ledger {
        while !stop.is_asked() {
            let (write, words) = self.ledger.next();
            let outcome = link.send(&words).await;
            let now = self.clock.monotonic().since(self.begun);
            // What ends after the watch has ended is accounted for, but no longer timed.
            let mut witness = (!stop.is_asked()).then(|| self.witness.borrow_mut());
            let pause = match outcome {
                Ok(reply) => {
                    if let Some(witness) = &mut witness {
                        witness.confirmed(now);
                    }
                    self.ledger.told(write, Fate::Confirmed, reply);
                    self.pause
                }
                Err(trouble) => {
                    if let Some(witness) = &mut witness {
                        witness.error(now, &trouble.kind);
                    }
                    self.ledger.told(write, trouble.fate, 0);
                    self.pause.max(ERROR_PAUSE)
                }
            };
            drop(witness);
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
        self.ledger
    }
}

/// Why a write was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    fate: Fate,
    /// In few words, to count by.
    kind: String,
}

impl Trouble {
    fn new(fate: Fate, kind: &str) -> Trouble {
        Trouble { fate, kind: kind.to_owned() }
    }

    /// An error reply, by its first word and the rest.
    fn of_reply(code: &str, rest: Option<&str>) -> Trouble {
        // That a command has waited in vain is one code, whether it was executed or not.
        let refused = REFUSALS.contains(&code) || rest.is_some_and(|rest| rest.ends_with(NOT_EXECUTED));
        Trouble::new(if refused { Fate::Refused } else { Fate::Unknown }, code)
    }
}

/// One way to send a write and to get the number in its reply.
trait WriteLink {
    fn send(&mut self, words: &[String]) -> impl Future<Output = Result<u64, Trouble>>;
}

impl WriteLink for Client {
    async fn send(&mut self, words: &[String]) -> Result<u64, Trouble> {
        match self.command(words).await {
            Ok(redis::Value::Int(reply)) => Ok(u64::try_from(reply).unwrap_or(0)),
            Ok(_) => Err(Trouble::new(Fate::Unknown, "another reply than a number")),
            Err(Error::Server(error)) => Err(Trouble::of_reply(error.code(), error.details())),
            Err(Error::Unknown(_)) => Err(Trouble::new(Fate::Unknown, "outcome unknown")),
            Err(_) => Err(Trouble::new(Fate::Refused, "not executed in time")),
        }
    }
}

/// A client as simple as they come: one connection, to the next node whenever something goes wrong.
struct Plain {
    access: Access,
    turn: usize,
    open: Option<MultiplexedConnection>,
}

impl Plain {
    async fn connection(&mut self) -> Result<&mut MultiplexedConnection, Trouble> {
        if self.open.is_none() {
            let address = &self.access.resp[self.turn % self.access.resp.len()];
            let connection = ask::connect(address, &self.access.password, PLAIN_REPLY_WAIT).await;
            self.open = Some(connection.map_err(|_| Trouble::new(Fate::Refused, "no connection"))?);
        }
        self.open.as_mut().ok_or_else(|| Trouble::new(Fate::Refused, "no connection"))
    }
}

impl WriteLink for Plain {
    async fn send(&mut self, words: &[String]) -> Result<u64, Trouble> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        let outcome = match self.connection().await {
            Ok(connection) => command.query_async(connection).await.map_err(|e| plain_trouble(&e)),
            Err(trouble) => Err(trouble),
        };
        if outcome.is_err() {
            self.open = None;
            self.turn += 1;
        }
        outcome
    }
}

fn plain_trouble(error: &RedisError) -> Trouble {
    match error.code() {
        Some(code) => Trouble::of_reply(code, error.detail()),
        None if error.is_timeout() => Trouble::new(Fate::Unknown, "no reply in time"),
        None => Trouble::new(Fate::Unknown, "connection lost"),
    }
}

/// Reads back what the clients wrote, and compares.
///
/// # Errors
/// The primary does not answer; then nothing is known.
pub(super) async fn compare(access: &Access, seen: &[Seen; 2]) -> Result<[Account; 2], Failure> {
    let cannot = |e: RedisError| Failure::Runtime(format!("cannot read back what was written: {e}"));
    let mut client = Client::connect(access.client.clone()).await.map_err(|e| cannot(e.into()))?;
    let mut accounts = [Account::default(); 2];
    for (seen, account) in seen.iter().zip(&mut accounts) {
        for ledger in &seen.ledgers {
            let mut found = HashMap::new();
            for keys in ledger.keys().chunks(KEYS_AT_ONCE) {
                let values: RedisResult<Vec<Option<String>>> =
                    redis::cmd("MGET").arg(keys).query_async(&mut client).await;
                let values = values.map_err(cannot)?;
                found.extend(keys.iter().cloned().zip(values).filter_map(|(key, value)| Some((key, value?))));
            }
            *account += ledger.compare(&found);
        }
    }
    Ok(accounts)
}

/// Removes every key that the clients may have written.
///
/// # Errors
/// A sentence: some of them may still be there.
pub(super) async fn remove(access: &Access, prefix: &str, seen: &[Seen; 2]) -> Result<(), Failure> {
    let cannot = |e: RedisError| {
        Failure::Runtime(format!(
            "the drill's own keys, {prefix}:*, could not all be removed ({e}): remove them by hand"
        ))
    };
    let mut client = Client::connect(access.client.clone()).await.map_err(|e| cannot(e.into()))?;
    for ledger in seen.iter().flat_map(|seen| &seen.ledgers) {
        for keys in ledger.keys().chunks(KEYS_AT_ONCE) {
            let removed: RedisResult<u64> = redis::cmd("DEL").arg(keys).query_async(&mut client).await;
            removed.map_err(cannot)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_says_that_nothing_happened() {
        let fate = |code, rest| Trouble::of_reply(code, Some(rest)).fate;
        assert_eq!(fate("READONLY", "You can't write"), Fate::Refused);
        assert_eq!(
            fate("NOTDURABLE", "it may or may not survive"),
            Fate::Unknown,
            "executed, and not known to be kept"
        );
        assert_eq!(fate("NOTDURABLE", "waited for 3000 ms (not executed)"), Fate::Refused);
        assert_eq!(fate("ERR", ""), Fate::Unknown);
    }
}
