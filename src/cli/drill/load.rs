//! The drill's own clients. Each sends one command at a time and records the reply.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use redis::{RedisError, RedisResult};
use tanist_client::{Client, Options};
use tanist_db_core::clock::{Clock, Monotonic};
use tokio::time::sleep;

use super::kind::Kind;
use super::ledger::{Account, Fate, Ledger};
use super::link::ClientLink;
use super::stock::Form;
use super::witness::Witness;
use crate::config::Password;
use crate::exit::Failure;
use crate::shutdown::Shutdown;

/// How long any client but the library waits for a reply before it takes its connection for broken; many Redis clients wait about
/// as long.
pub(super) const REPLY_WAIT: Duration = Duration::from_secs(1);
/// Pause after an error, so that a client that is refused at once does not do nothing but ask.
const ERROR_PAUSE: Duration = Duration::from_millis(5);
/// Keys that are read or removed at once: together not more than a few hundred kilobytes.
const KEYS_AT_ONCE: usize = 100;

/// Where the cluster is, and how to get in.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) client: Options,
    /// `host:port` of the primary and of the standby, as a round begins.
    pub(super) resp: Vec<String>,
    pub(super) password: Password,
    /// How stock clients find the primary.
    pub(super) form: Form,
    /// Whether the standby has the primary execute its clients' commands.
    pub(super) forwards: bool,
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

/// Clients that are writing. Dropped, they stop at once.
pub(super) struct Load {
    stop: Shutdown,
    clock: Arc<dyn Clock>,
    begun: Monotonic,
    clients: Vec<Running>,
    watched: Vec<Watched>,
}

/// The clients of one kind.
struct Watched {
    kind: Kind,
    witness: Rc<RefCell<Witness>>,
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
    /// Starts clients of these kinds, so many of each; their keys begin with `prefix`.
    ///
    /// # Errors
    /// The client library finds no primary, or a stock client cannot be started.
    pub(super) async fn start(access: &Access, kinds: &[Kind], weight: Weight, prefix: &str) -> Result<Load, Failure> {
        let mut links = Vec::new();
        for &kind in kinds {
            for number in 0..weight.clients {
                let link = ClientLink::open(kind, access).await.map_err(Failure::Runtime)?;
                links.push((kind, link, format!("{prefix}:{}:{number}", kind.name())));
            }
        }
        let (stop, clock) = (Shutdown::new(), Arc::clone(&access.clock));
        let begun = clock.monotonic();
        let watched = kinds.iter().map(|&kind| Watched { kind, witness: Rc::default() }).collect();
        let mut load = Load { stop, clock, begun, clients: Vec::new(), watched };
        for (kind, link, prefix) in links {
            load.spawn(kind, link, prefix, weight.pause);
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

    /// A kind of which no client has had a write confirmed so far, and the errors that they have seen.
    pub(super) fn silent(&self) -> Option<(Kind, String)> {
        let silent = self.watched.iter().find(|watched| watched.witness.borrow().confirmed == 0)?;
        let errors: Vec<String> = silent.witness.borrow().errors.keys().cloned().collect();
        Some((silent.kind, errors.join(", ")))
    }

    /// Waits until each client has finished its current command.
    pub(super) async fn finish(self) -> Result<Vec<Seen>, Failure> {
        self.stop.ask();
        let end = self.elapsed();
        let mut seen = Vec::new();
        for Watched { kind, witness } in &self.watched {
            witness.borrow_mut().end(end);
            seen.push(Seen { kind: *kind, witness: witness.take(), ledgers: Vec::new() });
        }
        for mut client in self.clients {
            let ledger = (&mut client.task).await;
            let ledger = ledger.map_err(|e| Failure::Runtime(format!("a client of the drill has failed: {e}")))?;
            if let Some(seen) = seen.iter_mut().find(|seen| seen.kind == client.kind) {
                seen.ledgers.push(ledger);
            }
        }
        Ok(seen)
    }

    fn spawn(&mut self, kind: Kind, link: ClientLink, prefix: String, pause: Duration) {
        let Some(watched) = self.watched.iter().find(|watched| watched.kind == kind) else { return };
        let writer = Writer {
            ledger: Ledger::new(prefix),
            witness: Rc::clone(&watched.witness),
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
    async fn write_until(mut self, stop: Shutdown, mut link: ClientLink) -> Ledger {
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

/// Reads back what the clients wrote, and compares.
///
/// # Errors
/// The primary does not answer; then nothing is known.
pub(super) async fn compare(access: &Access, seen: &[Seen]) -> Result<Vec<Account>, Failure> {
    let cannot = |e: RedisError| Failure::Runtime(format!("cannot read back what was written: {e}"));
    let mut client = Client::connect(access.client.clone()).await.map_err(|e| cannot(e.into()))?;
    let mut accounts = vec![Account::default(); seen.len()];
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
pub(super) async fn remove(access: &Access, prefix: &str, seen: &[Seen]) -> Result<(), Failure> {
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
