//! The client handle, which callers use and clone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::address::NodeAddress;
use crate::dial::Dialer;
use crate::driver::Driver;
use crate::error::Error;
use crate::lanes::Lanes;
use crate::limits;
use crate::link::Job;
use crate::request::Request;
use crate::retry::Attempt;
use crate::tls::Certificates;

/// How to reach a cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses of the cluster's nodes, best all of them; others that a node names are tried too.
    pub nodes: Vec<NodeAddress>,
    /// Folder with `ca.pem`, `client.pem` and `client.key`: `DIR/tls` of the cluster's data folder.
    pub tls: PathBuf,
    /// How long a command is tried before it fails. One that blocks may take its timeout in addition.
    pub deadline: Duration,
    /// Commands that may wait or be under way at once; a caller of one more waits. A pipeline counts as one.
    pub commands_max: u32,
    /// Bytes of requests that may wait or be under way at once. A larger request goes alone.
    pub request_bytes_max: u32,
}

impl Options {
    /// The default settings, for a cluster with these nodes and the certificates in the folder `tls`.
    #[must_use]
    pub fn new(nodes: Vec<NodeAddress>, tls: impl Into<PathBuf>) -> Self {
        Self {
            nodes,
            tls: tls.into(),
            deadline: limits::DEADLINE,
            commands_max: limits::COMMANDS_MAX,
            request_bytes_max: limits::REQUEST_BYTES_MAX,
        }
    }
}

/// The node that a client sends its commands to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Where it serves clients.
    pub address: NodeAddress,
    /// The epoch of its term: grows with each change of primary.
    pub epoch: u64,
}

/// A client of a cluster. Clones are cheap and share one connection, over which the commands of all of them are pipelined.
///
/// Implements [`ConnectionLike`], so the typed commands and pipelines of the `redis` crate work on it. Lives on the runtime
/// on which it was made.
///
/// `WATCH` ties the keys to the shared connection: use a client of its own, not a clone, for each task that does so. If the
/// primary changes between `WATCH` and the transaction, the transaction fails with [`Error::WatchLost`].
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    jobs: mpsc::Sender<Job>,
    primary: watch::Receiver<Option<Primary>>,
    commands: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    request_bytes_max: u32,
    deadline: Duration,
    next_id: AtomicU64,
    driver: AbortHandle,
    lanes: Lanes,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    /// Connects to the cluster and waits until its primary is found.
    ///
    /// # Errors
    /// If the certificates cannot be used, or no primary is found within the deadline: tells how each node fared.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        check(&options)?;
        let certificates = Certificates::load(&options.tls)?;
        let dialer = Arc::new(Dialer::new(certificates.client_config()?, certificates.server_name()));
        let (client, troubles) = Self::start(&options, dialer);
        let mut primary = client.follow();
        let found = tokio::time::timeout(options.deadline, primary.wait_for(Option::is_some)).await.is_ok();
        if found {
            return Ok(client);
        }
        let why = troubles.sentence();
        Err(Error::NotExecuted { waited: options.deadline, done: 0, why })
    }

    /// A client that has not found the primary yet.
    pub(crate) fn start(options: &Options, dialer: Arc<Dialer>) -> (Self, Troubles) {
        // The semaphore bounds the jobs that exist, so this channel never refuses one.
        let commands_max = options.commands_max as usize;
        let (jobs, queue) = mpsc::channel(commands_max);
        let (found, primary) = watch::channel(None);
        let troubles = Troubles::default();
        let driver = Driver::new(queue, commands_max, Arc::clone(&dialer), found, troubles.clone());
        let driver = tokio::spawn(driver.run(options.nodes.clone())).abort_handle();
        let inner = Inner {
            jobs,
            primary,
            commands: Arc::new(Semaphore::new(commands_max)),
            bytes: Arc::new(Semaphore::new(options.request_bytes_max as usize)),
            request_bytes_max: options.request_bytes_max,
            deadline: options.deadline,
            next_id: AtomicU64::new(0),
            driver,
            lanes: Lanes::new(options.clone(), dialer),
        };
        (Self { inner: Arc::new(inner) }, troubles)
    }

    /// The present primary; `None` while there is none in reach.
    #[must_use]
    pub fn primary(&self) -> Option<Primary> {
        self.inner.primary.borrow().clone()
    }

    /// The primary as it changes.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Option<Primary>> {
        self.inner.primary.clone()
    }

    /// Sends one command, given in words, and returns its reply: `client.command(&["TANIST", "STATUS"])`. Typed commands are in
    /// [`commands`](crate::commands).
    ///
    /// # Errors
    /// See [`Error`]; an error reply is [`Error::Server`].
    pub async fn command<A: AsRef<[u8]>>(&self, words: &[A]) -> Result<Value, Error> {
        match self.ask_one(Request::of_args(words)?).await? {
            Value::ServerError(error) => Err(Error::Server(error)),
            reply => Ok(reply),
        }
    }

    /// Sends a request of one command, and returns its reply, which may be an error reply.
    pub(crate) async fn ask_one(&self, request: Request) -> Result<Value, Error> {
        self.ask(request).await?.pop().ok_or(Error::Closed)
    }

    /// Sends a request and waits for as many replies as it has commands.
    async fn ask(&self, request: Request) -> Result<Vec<Value>, Error> {
        if request.wait.is_some() { self.inner.lanes.ask(request).await } else { self.send(request).await }
    }

    /// Sends a request on this client's own connection.
    pub(crate) async fn send(&self, request: Request) -> Result<Vec<Value>, Error> {
        if request.commands.is_empty() {
            return Ok(Vec::new());
        }
        let inner = &self.inner;
        let asked = Instant::now();
        let deadline = asked + inner.deadline;
        let share = u32::try_from(request.bytes()).unwrap_or(u32::MAX).min(inner.request_bytes_max);
        let bounds = async {
            let command = inner.commands.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
            let bytes = inner.bytes.clone().acquire_many_owned(share).await.map_err(|_| Error::Closed)?;
            Ok([command, bytes])
        };
        let bounds = tokio::time::timeout_at(deadline, bounds).await.unwrap_or_else(|_| {
            let why = "too many commands of this client are under way".to_owned();
            Err(Error::NotExecuted { waited: inner.deadline, done: 0, why })
        })?;
        let (tell, told) = oneshot::channel();
        let job = Job {
            id: inner.next_id.fetch_add(1, Ordering::Relaxed),
            attempt: Attempt::new(request),
            asked,
            deadline,
            patience: inner.deadline,
            tell: Some(tell),
            obstacle: String::new(),
            _bounds: bounds,
        };
        inner.jobs.try_send(job).map_err(|_| Error::Closed)?;
        // The runtime is gone, and with it who knew how far the request had got.
        told.await.unwrap_or_else(|_| Err(Error::Unknown("the client has been shut down".to_owned())))
    }
}

fn check(options: &Options) -> Result<(), Error> {
    let wrong = |why: &str| Err(Error::Options(why.to_owned()));
    match options {
        Options { nodes, .. } if nodes.is_empty() => {
            wrong("no node is given: name the addresses of the cluster's nodes")
        }
        Options { nodes, .. } if nodes.len() > limits::NODES_MAX => wrong("more nodes are given than a client tries"),
        Options { commands_max: 0, .. } => wrong("commands_max is 0: no command could be sent"),
        Options { request_bytes_max: 0, .. } => wrong("request_bytes_max is 0: no command could be sent"),
        _ => Ok(()),
    }
}

/// What stands between this client and each node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles(Arc<Mutex<BTreeMap<NodeAddress, String>>>);

impl Troubles {
    pub(crate) fn note(&self, node: NodeAddress, why: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node, why);
    }

    pub(crate) fn clear(&self, node: &NodeAddress) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }

    pub(crate) fn sentence(&self) -> String {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let each: Vec<_> = troubles.iter().map(|(node, why)| format!("{node}: {why}")).collect();
        if each.is_empty() {
            "no node is primary".to_owned()
        } else {
            format!("no primary found ({})", each.join("; "))
        }
    }
}

impl ConnectionLike for Client {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.ask_one(Request::of_command(cmd)?).await?) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut replies = self.ask(Request::of_pipeline(pipeline)?).await?;
            // Of a transaction only the reply to EXEC is wanted; an error there is the whole's.
            if pipeline.is_transaction()
                && let Some(Value::ServerError(error)) = replies.last()
            {
                return Err(error.clone().into());
            }
            Ok(replies.drain(offset..).take(count).collect())
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
