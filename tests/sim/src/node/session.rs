//! Sessions: the front's own ([`session::serve`]), over a stream in memory.

mod apart;
mod links;
mod thread;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};

use parking_lot::Mutex;
use tanist::config;
use tanist::front::{Greeting, Identity, NodeContext, Peer, Settings, Way, session};
use tanist_db_core::clock::Clock;
use tanist_db_core::engine::Engine;
use tanist_db_core::ids::Lsn;
use tanist_db_core::limits::LARGE_REPLY_BYTES;
use tanist_replication::serving::Serving;

use super::NodeEvent;
use super::process::Process;
use crate::client::ClientEvent;
use crate::clock::{MachineClock, Time};
use crate::env::Env;
use crate::event::Event;
use crate::net::DELAY_MIN;
use crate::value::Value;
use apart::{Apart, Parked, Task};
use links::Links;
pub(crate) use links::{LinkId, Piece, ProcessId};
use thread::{Note, Numbers, Sent, SimThread, Watch, Written};
use wire::{End, Wire};

/// A client's connection to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId {
    /// Which client.
    pub client: usize,
    /// Its connections are numbered.
    pub number: u64,
}

/// What a client sends.
#[derive(Debug)]
pub(crate) enum Request {
    /// Commands: their numbers, which no others have, and all their bytes.
    Commands(Vec<u64>, Vec<u8>),
    /// It sends nothing more and takes nothing more.
    Close,
}

/// The client of a session that another node has opened; its number is that of the stream.
const LINKED: usize = usize::MAX;

/// Bytes of a reply beyond which every second client's is made from a frozen version.
const LARGE_BYTES: usize = 16;

/// What a primary's session says behind its last reply to another node.
const END: [u8; 2] = [0, 1];

/// The error of a process that has no data yet.
const LOADING: &str = "-LOADING Tanist is loading the dataset in memory\r\n";

/// Every other client comes as the client library does.
fn way_of(client: usize) -> Way {
    if client.is_multiple_of(2) { Way::Resp } else { Way::Library }
}

/// What the sessions of a process share.
pub(super) fn context(
    name: &str,
    engine: &Arc<Engine>,
    serving: &Arc<Serving>,
    clock: &Arc<MachineClock>,
    env: &Env,
) -> Arc<NodeContext> {
    let durable_wait_ms = env.scenario.durable_wait.as_millis() as u64;
    // Waits that fit together, however short the lease of this run is.
    let node = config::Node {
        durable_wait_ms,
        relaxed_ms_max: durable_wait_ms,
        enable_debug_command: config::DebugCommand::Yes,
        standby: env.scenario.standby,
        standby_read_ms_max: env.scenario.read_age_max.as_millis() as u64,
        ..config::Node::default()
    };
    let settings = Settings::new(&node, &config::Lease { lease_ms: durable_wait_ms - 1, ..config::Lease::default() });
    let identity = Identity {
        node: name.to_owned(),
        cluster: String::new(),
        incarnation: 0,
        members: Vec::new(),
        bind: String::new(),
        port: 0,
        folder: String::new().into(),
        threads: 1,
        started: clock.unix(),
    };
    let clock: Arc<dyn Clock> = Arc::<MachineClock>::clone(clock);
    let context = NodeContext::new(Arc::clone(serving), clock, settings, identity);
    context.install_engine(Arc::clone(engine));
    context
}

struct Conversation {
    state: ExecutionState,
    /// The client's end of the stream.
    wire: End,
    watch: Arc<Mutex<Watch>>,
    waker: Arc<Flag>,
    polling: bool,
    /// A command that takes long, before it is executed.
    job: Option<Sent>,
    /// When it will be polled because time has passed.
    armed: Option<Time>,
    /// When the newest answer arrives: bytes keep their order.
    answers_at: Time,
    /// The newest record that a reply of a primary to this client depends on.
    seen: Lsn,
}

enum ExecutionState {
    Waiting(Task),
    /// Its thread stands still until then.
    Parked(Parked, Time),
    Over,
}

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Conversation {
    fn new(client: usize, context: &Arc<NodeContext>, clock: &Arc<MachineClock>) -> Conversation {
        let large_bytes = if client.is_multiple_of(2) { LARGE_REPLY_BYTES } else { LARGE_BYTES };
        Conversation::by(way_of(client), large_bytes, Watch::default(), context, clock)
    }

    /// One with another node, which has greeted and sends the commands of those numbers.
    fn linked(
        greeting: Greeting,
        numbers: Numbers,
        context: &Arc<NodeContext>,
        clock: &Arc<MachineClock>,
    ) -> Conversation {
        let watch = Watch { asked: Some(numbers), ..Watch::default() };
        let large_bytes = if greeting.client.is_multiple_of(2) { LARGE_REPLY_BYTES } else { LARGE_BYTES };
        Conversation::by(Way::Forwarded { epoch: greeting.epoch }, large_bytes, watch, context, clock)
    }

    fn by(
        way: Way,
        large_bytes: usize,
        watch: Watch,
        context: &Arc<NodeContext>,
        clock: &Arc<MachineClock>,
    ) -> Conversation {
        let peer = Peer { address: String::new(), local: String::new(), way, authenticated: true };
        let registration = context.registry.register(peer, clock.monotonic(), usize::MAX);
        let registration = registration.expect("no bound on connections was asked for");
        let (wire, stream) = Wire::pair();
        let watch = Arc::new(Mutex::new(watch));
        let thread = SimThread::new(Arc::clone(&watch), large_bytes);
        let task = Box::pin(session::serve(Arc::clone(context), registration, stream, thread));
        Conversation {
            state: ExecutionState::Waiting(task),
            wire,
            watch,
            // A task begins by being polled.
            waker: Arc::new(Flag(AtomicBool::new(true))),
            polling: false,
            job: None,
            armed: None,
            answers_at: Time(0),
            seen: Lsn::ZERO,
        }
    }

    /// Runs the session until it waits, or its thread is paused.
    fn run(&mut self, env: &mut Env) {
        self.waker.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self.waker));
        let ran = match std::mem::replace(&mut self.state, ExecutionState::Over) {
            ExecutionState::Waiting(task) => apart::poll(task, waker, &self.watch),
            ExecutionState::Parked(parked, until) if until <= env.now => parked.go_on(),
            state => {
                self.state = state;
                return;
            }
        };
        self.state = match ran {
            Apart::Ran(task, Poll::Pending) => {
                self.watch.lock().parked = false;
                ExecutionState::Waiting(task)
            }
            Apart::Ran(_, Poll::Ready(())) => ExecutionState::Over,
            Apart::Parks(parked, lasts) => ExecutionState::Parked(parked, env.now.after(lasts)),
        };
    }
}

/// All conversations of a process.
#[derive(Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionId, Conversation>,
    links: Links,
}

impl Sessions {
    /// The command that a session has sent apart and still waits for.
    pub(super) fn take_job(&mut self, id: SessionId) -> Option<Sent> {
        let session = self.all.get_mut(&id)?;
        session.job.take().filter(|_| !matches!(session.state, ExecutionState::Over))
    }

    /// Those that were woken and are not about to be polled.
    pub(super) fn woken(&mut self) -> Vec<SessionId> {
        let mut woken = Vec::new();
        for (id, session) in &mut self.all {
            let runs = matches!(session.state, ExecutionState::Waiting(_));
            if runs && session.waker.0.load(Ordering::Relaxed) && !session.polling {
                session.polling = true;
                woken.push(*id);
            }
        }
        woken
    }
}

/// A process without state answers no command. What it says takes the shortest time, so that no answer of the process that has its
/// state, on the same connection, comes before it.
pub(super) fn refuse_loading(node: usize, session: SessionId, request: &Request, env: &mut Env) {
    if let Request::Commands(numbers, _) = request
        && !env.clients_cut[node]
    {
        let bytes = LOADING.repeat(numbers.len()).into_bytes();
        env.after(DELAY_MIN, Event::Client(session.client, ClientEvent::Answered { number: session.number, bytes }));
    }
}

impl Process {
    pub(super) fn session(&mut self, id: SessionId, request: Request, env: &mut Env) {
        let (context, clock) = (&self.context, &self.clock);
        let session = self.sessions.all.entry(id).or_insert_with(|| Conversation::new(id.client, context, clock));
        match request {
            Request::Commands(numbers, bytes) => {
                // Now and then a thread stands still between permission and execution.
                let mut watch = session.watch.lock();
                if env.random.percent(env.scenario.slow_percent) {
                    watch.stall = Some(env.random.micros(100, env.scenario.slow.as_micros() as u64));
                }
                watch.commands.extend(numbers);
                drop(watch);
                session.wire.send(&bytes);
            }
            Request::Close if matches!(session.state, ExecutionState::Waiting(_)) && env.random.percent(50) => {
                session.state = ExecutionState::Over;
            }
            Request::Close => session.wire.close(),
        }
        self.poll(id, env);
    }

    pub(super) fn poll(&mut self, id: SessionId, env: &mut Env) {
        let Some(session) = self.sessions.all.get_mut(&id) else { return };
        session.polling = false;
        if session.armed.is_some_and(|at| at <= env.now) {
            session.armed = None;
        }
        let before = matches!(session.state, ExecutionState::Over);
        session.run(env);
        let mut watch = session.watch.lock();
        let notes: Vec<Note> = watch.notes.drain(..).collect();
        for note in notes {
            match note {
                Note::Permitted => env.oracle.entered(self.node),
                Note::ReadHere { command } => env.oracle.read_here(command, self.engine.last(), session.seen),
                Note::Executed { command, unix, lsn } => env.oracle.executed(command, unix, lsn),
                Note::PassedOn { command } => session.seen = session.seen.max(env.oracle.depends_on(command)),
            }
        }
        let answer = session.wire.take();
        for reply in Value::parse_all(answer.strip_suffix(&END).unwrap_or(&answer)) {
            let written = watch.written.pop_front().expect("a command has one reply");
            assert_eq!(reply.message().is_some(), matches!(written, Written::Message(_)), "{reply:?}, {written:?}");
            match written {
                Written::Reply(Some(lsn)) if !is_not_confirmed(&reply) => env.oracle.released(lsn),
                Written::Message(lsn) => env.oracle.released(lsn),
                Written::Reply(_) => {}
            }
        }
        let sent = watch.job.is_some();
        if sent {
            session.job = watch.job.take();
        }
        let alarm = match &session.state {
            ExecutionState::Waiting(_) => watch.alarm.take().map(|at| self.clock.when(at)),
            ExecutionState::Parked(_, until) => Some(*until),
            ExecutionState::Over => None,
        };
        let dials = std::mem::take(&mut watch.dials);
        drop(watch);
        if let Some(at) = alarm.filter(|at| session.armed.is_none_or(|armed| *at < armed)) {
            session.armed = Some(at);
            env.at(at, Event::Node { node: self.node, life: self.life, event: NodeEvent::Poll(id) });
        }
        let number = id.number;
        let is_over = matches!(session.state, ExecutionState::Over) && !before;
        if id.client == LINKED {
            self.answer_link(number, answer, is_over, env);
        } else {
            if !answer.is_empty() {
                session.tell(self.node, id.client, ClientEvent::Answered { number, bytes: answer }, env);
            }
            if is_over {
                session.tell(self.node, id.client, ClientEvent::Closed { number }, env);
            }
            self.serve_links(id, dials, env);
        }
        if sent {
            self.go_apart(id, env);
        }
    }

    /// A command that takes long is on its way. Now and then it holds all shards for a long time.
    fn go_apart(&mut self, id: SessionId, env: &mut Env) {
        let lasts = if env.random.percent(env.scenario.long_percent) && !env.calm {
            let lasts = env.random.micros(1_000, env.scenario.long.as_micros() as u64);
            self.hold_shards(lasts, env);
            lasts
        } else {
            env.random.micros(1, 200)
        };
        self.later(lasts, NodeEvent::Apart(id), env);
    }

    /// The process is gone: its clients see their connections end.
    pub(super) fn drop_sessions(mut self, env: &mut Env) {
        self.drop_links(env);
        for (id, mut session) in std::mem::take(&mut self.sessions.all) {
            if id.client != LINKED && !matches!(session.state, ExecutionState::Over) {
                session.tell(self.node, id.client, ClientEvent::Closed { number: id.number }, env);
            }
        }
    }
}

impl Conversation {
    /// What the client hears next. A connection on which something got lost carries nothing more.
    fn tell(&mut self, node: usize, client: usize, event: ClientEvent, env: &mut Env) {
        if env.clients_cut[node] {
            self.wire.cut();
        }
        if !self.wire.is_cut() {
            let delay = env.net.delay(&mut env.random);
            self.answers_at = self.answers_at.max(env.now.after(delay));
            env.at(self.answers_at, Event::Client(client, event));
        }
    }
}

/// The error that stands for a reply which has waited too long for the vault.
pub(crate) fn is_not_confirmed(reply: &Value) -> bool {
    matches!(reply, Value::Error(text) if text.starts_with("NOTDURABLE") && !text.ends_with("(not executed)"))
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.keys()).finish()
    }
}
