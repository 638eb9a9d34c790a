//! Sessions: a client's commands, executed and answered as the front does it, over [`Serving`] and [`Engine`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tanist_db_core::clock::{Clock, Monotonic, UnixMillis};
use tanist_db_core::command::{self, CommandSpec, FrontCommand, Reply};
use tanist_db_core::engine::{Engine, Front, Session as EngineSession};
use tanist_db_core::ids::Lsn;
use tanist_replication::serving::{Permit, Serving, Version, Woken};

use super::NodeEvent;
use super::process::Process;
use crate::client::ClientEvent;
use crate::clock::MachineClock;
use crate::env::Env;
use crate::event::Event;

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
    /// A command: its number, which no other has, and its words.
    Command(u64, Vec<Vec<u8>>),
    /// The connection ends.
    Close,
}

/// What becomes of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A reply of the engine.
    Reply(Vec<u8>),
    /// Certainly not executed; the primary may be the named node.
    Refused(Option<String>),
    /// Executed, but not confirmed in time.
    NotConfirmed,
    /// The connection ends without a reply.
    Closed,
}

/// What the client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) command: u64,
    pub(crate) verdict: Verdict,
}

/// How long a command may be held, or its reply.
const DURABLE_WAIT: Duration = Duration::from_millis(1_500);
/// A session looks whether it has waited too long a little later than that, whatever its clock's speed.
const LOOK_AFTER: Duration = Duration::from_millis(1_600);

/// What the oracles must know of a session's steps.
#[derive(Debug)]
enum Note {
    Entered,
    Executed { command: u64, unix: UnixMillis },
    Released(Lsn),
}

type Notes = Rc<RefCell<Vec<Note>>>;
type Task = Pin<Box<dyn Future<Output = (EngineSession, Answered)>>>;

struct Conversation {
    /// Between commands.
    engine: Option<EngineSession>,
    task: Option<Task>,
    waker: Arc<Flag>,
    polling: bool,
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("busy", &self.task.is_some()).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// All conversations of a process.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionId, Conversation>,
    notes: Notes,
}

impl Sessions {
    /// Those that were woken and are not about to be polled.
    pub(super) fn woken(&mut self) -> Vec<SessionId> {
        let mut woken = Vec::new();
        for (id, session) in &mut self.all {
            if session.waker.0.load(Ordering::Relaxed) && !session.polling {
                session.polling = true;
                woken.push(*id);
            }
        }
        woken
    }
}

/// A process without state answers no command.
pub(super) fn refuse_loading(node: usize, session: SessionId, request: &Request, env: &mut Env) {
    if let Request::Command(command, _) = request {
        let answered = Answered { command: *command, verdict: Verdict::Refused(None) };
        answer(node, session, answered, env);
    }
}

fn answer(node: usize, session: SessionId, answered: Answered, env: &mut Env) {
    if env.clients_cut[node] {
        return;
    }
    let delay = env.net.delay(&mut env.random);
    env.after(delay, Event::Client(session.client, ClientEvent::Answered { number: session.number, answered }));
}

impl Process {
    pub(super) fn session(&mut self, id: SessionId, request: Request, env: &mut Env) {
        let Request::Command(command, args) = request else {
            self.sessions.all.remove(&id);
            return;
        };
        let session = self.sessions.all.entry(id).or_insert_with(|| Conversation {
            engine: Some(EngineSession::new(command)),
            task: None,
            waker: Arc::default(),
            polling: false,
        });
        let Some(engine_session) = session.engine.take() else {
            return env.oracle.fail("harness", "a client sends one command at a time".to_owned());
        };
        // Now and then a command takes its time between permission and execution.
        let slow = env.random.percent(env.scenario.slow_percent).then(|| env.random.micros(100, 40_000));
        let turn = Turn {
            engine: Arc::clone(&self.engine),
            serving: Arc::clone(&self.serving),
            clock: Arc::clone(&self.clock),
            notes: Rc::clone(&self.sessions.notes),
            slow,
        };
        session.task = Some(Box::pin(turn.run(engine_session, command, args)));
        if let Some(slow) = slow {
            let at = self.clock.when(self.now().after(slow));
            env.at(at, Event::Node { node: self.node, life: self.life, event: NodeEvent::Poll(id) });
        }
        self.later(LOOK_AFTER, NodeEvent::Poll(id), env);
        self.poll(id, env);
    }

    pub(super) fn poll(&mut self, id: SessionId, env: &mut Env) {
        let Some(session) = self.sessions.all.get_mut(&id) else { return };
        session.polling = false;
        session.waker.0.store(false, Ordering::Relaxed);
        let Some(task) = &mut session.task else { return };
        let waker = Waker::from(Arc::clone(&session.waker));
        match task.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {}
            Poll::Ready((engine_session, answered)) => {
                session.task = None;
                session.engine = Some(engine_session);
                if answered.verdict == Verdict::Closed {
                    self.sessions.all.remove(&id);
                }
                answer(self.node, id, answered, env);
            }
        }
        for note in self.sessions.notes.take() {
            match note {
                Note::Entered => env.oracle.entered(self.node),
                Note::Executed { command, unix } => {
                    env.oracle.executed(command, unix);
                    self.later(LOOK_AFTER, NodeEvent::Poll(id), env);
                }
                Note::Released(lsn) => env.oracle.released(lsn),
            }
        }
    }

    /// The process is gone: its clients see their connections end.
    pub(super) fn drop_sessions(self, env: &mut Env) {
        for id in self.sessions.all.keys() {
            let delay = env.net.delay(&mut env.random);
            env.after(delay, Event::Client(id.client, ClientEvent::Closed { number: id.number }));
        }
    }
}

/// One command's turn.
struct Turn {
    engine: Arc<Engine>,
    serving: Arc<Serving>,
    clock: Arc<MachineClock>,
    notes: Notes,
    slow: Option<Duration>,
}

/// How an attempt to execute has ended.
enum Attempt {
    /// The reply waits for `lsn`.
    Executed {
        lsn: Lsn,
        at: Monotonic,
    },
    /// Not now: again when the version is another one.
    Held(Version),
    Over(Verdict),
}

impl Turn {
    async fn run(self, mut session: EngineSession, command: u64, args: Vec<Vec<u8>>) -> (EngineSession, Answered) {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let verdict = self.execute(&mut session, command, &args).await;
        (session, Answered { command, verdict })
    }

    async fn execute(&self, session: &mut EngineSession, command: u64, args: &[&[u8]]) -> Verdict {
        let spec = command::resolve(args).expect("workloads send commands that exist");
        let begun = self.clock.monotonic();
        let mut reply = Reply::default();
        let (lsn, at) = loop {
            let seen = match self.attempt(spec, session, command, args, &mut reply).await {
                Attempt::Executed { lsn, at } => break (lsn, at),
                Attempt::Held(seen) => seen,
                Attempt::Over(verdict) => return verdict,
            };
            match self.until(self.serving.changed(seen), begun.after(DURABLE_WAIT)).await {
                Some(Woken::Stopped) => return Verdict::Closed,
                Some(_) => {}
                None => {
                    self.discard(spec, session);
                    return Verdict::Refused(None);
                }
            }
        };
        if lsn > self.serving.durable() {
            match self.until(self.serving.durable_reached(lsn), at.after(DURABLE_WAIT)).await {
                Some(Woken::Durable) => {}
                Some(_) => return Verdict::Closed,
                None => return Verdict::NotConfirmed,
            }
        }
        self.notes.borrow_mut().push(Note::Released(lsn));
        Verdict::Reply(reply.take())
    }

    /// In the front's order: the time after the request has come, then what a change is noticed by, then the look.
    async fn attempt(
        &self,
        spec: &'static CommandSpec,
        session: &mut EngineSession,
        command: u64,
        args: &[&[u8]],
        reply: &mut Reply,
    ) -> Attempt {
        let asks = spec.touches_data() && (!session.in_multi() || spec.is_exec());
        let (now, unix, seen) = (self.clock.monotonic(), self.clock.unix(), self.serving.version());
        let mut guard = None;
        if asks {
            match self.serving.enter(now) {
                Ok(entered) => guard = Some(entered),
                Err(Permit::Yes | Permit::Hold) => return Attempt::Held(seen),
                Err(Permit::NotPrimary) => {
                    self.discard(spec, session);
                    let primary = self.serving.primary().map(|primary| primary.node.clone());
                    return Attempt::Over(Verdict::Refused(primary));
                }
                Err(Permit::Stopped) => return Attempt::Over(Verdict::Closed),
            }
            self.notes.borrow_mut().push(Note::Entered);
            let writes = spec.writes() || (spec.is_exec() && session.exec_writes());
            if writes && !self.engine.has_room() {
                let seen = self.serving.want_room();
                if !self.engine.has_room() {
                    return Attempt::Held(seen);
                }
            }
            if let Some(slow) = self.slow {
                self.take_time(now.after(slow)).await;
            }
        }
        let executed = self.engine.execute_resolved(spec, session, &mut NoFront, args, unix, reply);
        drop(guard);
        if executed.refused {
            return Attempt::Held(seen);
        }
        self.notes.borrow_mut().push(Note::Executed { command, unix });
        Attempt::Executed { lsn: executed.lsn, at: now }
    }

    /// An EXEC that is refused forgets its transaction.
    fn discard(&self, spec: &CommandSpec, session: &mut EngineSession) {
        if spec.is_exec() {
            let unix = self.clock.unix();
            self.engine.execute(session, &mut NoFront, &[b"DISCARD"], unix, &mut Reply::default());
        }
    }

    async fn take_time(&self, until: Monotonic) {
        poll_fn(|_| if self.clock.monotonic() >= until { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// What the wait ends with, or nothing at the deadline.
    async fn until<F: Future<Output = Woken>>(&self, wait: F, deadline: Monotonic) -> Option<Woken> {
        let mut wait = pin!(wait);
        poll_fn(|cx| match wait.as_mut().poll(cx) {
            Poll::Ready(woken) => Poll::Ready(Some(woken)),
            Poll::Pending if self.clock.monotonic() >= deadline => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

/// Of a connection's own commands none comes.
struct NoFront;

impl Front for NoFront {
    fn run(&mut self, _: FrontCommand, _: &[&[u8]], _: &mut EngineSession, _: &mut Reply) {
        unreachable!("workloads send commands on data")
    }
}
