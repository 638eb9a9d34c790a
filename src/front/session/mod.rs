//! A session: one client's conversation, over any stream of bytes.
//!
//! It runs as one task on the thread that accepted it and goes round and round:
//!
//! ```text
//!            ┌──────────────────────── wait for any of ───────────────────────┐
//!            │  bytes to read · room to write · durable · role · time · kill   │
//!            └───────┬────────────────────────────────────────────────▲───────┘
//!                    ▼                                                │
//!   input ──► parse ──► permission ──► engine.execute ──► output ──► gate ──► peer
//!             (resp)    (Serving)      (own thread)       (one buffer, lengths)
//! ```
//!
//! * `input`, `output`: the two buffers, each with its bounds.
//! * `ahead`: requests that are parsed ahead of execution, to prefetch the memory that they need.
//! * `permission`: whether a command may execute, and what happens to it if not.
//! * `execute`: one *turn* (event-loop pass): executes every complete request, up to a budget, so that other sessions on the
//!   thread are served too.
//! * `apart`: long commands, on worker threads.
//! * `large`: large replies, from a frozen version.
//! * `forward`: what a standby has the primary execute.
//! * `marks`: what a node that forwards is told between replies.
//! * `blocked`: commands that wait for keys or a position, and what ends their wait.
//! * `messages`: push messages of other sessions, between replies.
//! * `runtime`: the timers and threads that it uses: tokio's, or the simulator's.
//! * here: waiting, reading and writing.
//!
//! **Later commands do not wait for earlier replies.** While the reply gate delays a write's reply until the vault has the write,
//! the session continues to read and execute pipelined commands; only the bytes and number of delayed replies bound that. Replies
//! are sent in order.
//!
//! **A command that may not execute waits in the input** (hold), parsed but not executed, and everything after it waits too. So
//! it is executed once or not at all, however the node's role changes meanwhile. After `durable_wait_ms` it fails with an error
//! that says it was not executed. The same happens to a command whose shards are locked by a long command: the thread serves
//! others meanwhile.
//!
//! **A command that has no reply yet** delays those after it: it runs on a worker thread (apart, large); or another part of the node
//! will make its reply; or it is blocked. While it is blocked, its client still receives push messages.
//!
//! **A fenced node sends nothing more**: delayed replies are dropped with the connection.

mod ahead;
mod apart;
mod blocked;
mod execute;
mod forward;
mod input;
mod large;
mod marks;
mod messages;
mod output;
mod permission;
mod runtime;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tanist_db_core::clock::{Clock, Monotonic};
use tanist_db_core::command::Protocol;
use tanist_db_core::engine::{Later, Rank, Session, ShardFree};
use tanist_db_core::ids::{Lsn, ShardId};
use tanist_db_core::planted::planted;
use tanist_replication::serving::{Role, Serving, Version, Wait, Woken};
use tokio::io::{AsyncRead, AsyncWrite};

use super::NodeContext;
use super::caller::Caller;
use super::context::Stats;
use super::limits::{CLOSING_TIME, INPUT_AHEAD_BYTES};
use super::redirect;
use super::registry::{Registration, Way};
use crate::resp::{RequestLimits, RequestParser};
use ahead::Ahead;
use apart::Away;
pub use apart::Job;
use blocked::Block;
use execute::{NEVER, Turn, Until};
use forward::Forwarding;
use input::Input;
use large::LargeReply;
use marks::Marks;
use output::Output;
use permission::Hold;
pub use runtime::{Runtime, TokioThread};

/// Serves one client until it leaves, is killed, breaks the protocol, or the node is fenced.
pub async fn serve<S, W>(context: Arc<NodeContext>, registration: Registration, stream: S, runtime: W)
where
    S: AsyncRead + AsyncWrite + Unpin,
    W: Runtime,
{
    let mut conversation = Conversation::new(&context, registration, runtime);
    let mut link = Link { stream, wait: None, free: None, received_all: false };
    loop {
        let seen = context.serving.version();
        if context.serving.role() == Role::Fenced {
            return;
        }
        if conversation.plan() {
            step_back().await;
        }
        let turn = conversation.go_on(link.received_all);
        if turn == Turn::Stopped {
            return;
        }
        let interest = conversation.interest(turn, seen);
        let event = poll_fn(|cx| link.poll(&mut conversation, &interest, cx)).await;
        if event == Event::Over {
            break;
        }
        if interest.more {
            tokio::task::yield_now().await;
        }
    }
    let (mut stream, mut runtime) = (link.stream, conversation.runtime);
    let cut = context.clock.monotonic().after(CLOSING_TIME);
    poll_fn(|cx| {
        // The peer may be gone already: there is nobody to tell.
        let closed = Pin::new(&mut stream).poll_shutdown(cx).is_ready();
        if closed { Poll::Ready(()) } else { poll_until(&mut runtime, cut, &*context.clock, cx) }
    })
    .await;
}

/// Ready once `clock` has reached `deadline`.
fn poll_until<W: Runtime>(runtime: &mut W, deadline: Monotonic, clock: &dyn Clock, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        ready!(runtime.poll_alarm(deadline, clock, cx));
        if deadline <= clock.monotonic() {
            return Poll::Ready(());
        }
    }
}

/// Lets the neighbours on this thread that are ready take their step first. All of them read and ask for memory before one
/// executes, and all replies leave in a row: memory and whoever waits at the other end are then woken for many, not for each.
fn step_back() -> impl Future<Output = ()> {
    let mut stepped = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

fn limits_for(authenticated: bool) -> RequestLimits {
    if authenticated { RequestLimits::TRUSTED } else { RequestLimits::UNAUTHENTICATED }
}

/// Everything of a session but its stream.
struct Conversation<'a, W: Runtime> {
    context: &'a Arc<NodeContext>,
    runtime: W,
    input: Input,
    parser: RequestParser,
    /// Requests at the front of the input that have been parsed and not executed.
    ahead: Ahead,
    hold: Option<Hold>,
    /// The client library was told that this node is not primary. It is told so for every later command too: were the node to
    /// become primary again in the middle of a pipeline, its end would be executed without its beginning.
    deposed: bool,
    session: Session,
    caller: Caller,
    /// What another node executes.
    forwarding: Forwarding<W>,
    /// The command that is executed apart.
    away: Option<Away>,
    /// The large reply that is being made.
    large: Option<LargeReply>,
    /// The command whose reply somebody else makes.
    later: Option<Box<Later>>,
    /// The command that is blocked. Also while it is executed again, here or apart, or waits to be.
    block: Option<Block>,
    output: Output,
    /// Bytes have come since requests were last looked for.
    fresh: bool,
    /// The client sends nothing more.
    gone: bool,
    /// What the node that forwards to this session was told, if one does.
    marks: Marks,
    /// Set with `caller.closing`: the moment at which a slow reader is cut.
    closing_until: Option<Monotonic>,
}

/// What a session waits for.
#[derive(Debug)]
struct Interest {
    /// Another turn is due at once; look at the stream only.
    more: bool,
    read: bool,
    /// Room in the output is worth a turn of its own.
    drained: bool,
    /// A call of the blocked command is worth a turn, and so is its end.
    blocked: bool,
    /// Over once everything has been written.
    leave: bool,
    until: Option<Until>,
    /// A shard that another command has locked.
    busy: Option<(ShardId, Rank)>,
    deadline: Option<Monotonic>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// Something has changed.
    Progress,
    /// The connection is at its end.
    Over,
}

impl<'a, W: Runtime> Conversation<'a, W> {
    fn new(context: &'a Arc<NodeContext>, registration: Registration, runtime: W) -> Self {
        let id = registration.entry().id();
        let mut caller = Caller::new(context, registration);
        let mut session = Session::new(id);
        session.set_large_bytes(runtime.large_bytes());
        let mut output = Output::default();
        if caller.entry().peer().way == Way::Library {
            caller.set_protocol(Protocol::Resp3, &mut session, &mut output.reply);
        }
        let marks = Marks::new(caller.entry().peer().is_forwarded());
        Self {
            context,
            runtime,
            input: Input::default(),
            parser: RequestParser::new(limits_for(caller.authenticated)),
            ahead: Ahead::default(),
            hold: None,
            session,
            caller,
            forwarding: Forwarding::default(),
            away: None,
            large: None,
            later: None,
            block: None,
            output,
            fresh: false,
            gone: false,
            deposed: false,
            marks,
            closing_until: None,
        }
    }

    /// Parses requests in the input that has just arrived, and prefetches the memory that they need. True if it may be worth
    /// while to wait a moment for it.
    fn plan(&mut self) -> bool {
        let data = self.context.engine().map(|engine| (&**engine, self.session.database()));
        std::mem::take(&mut self.fresh)
            && self.ahead.plan(&mut self.parser, &mut self.input, data, self.caller.authenticated)
    }

    /// Releases replies that have become durable or late, and runs a turn.
    fn go_on(&mut self, received_all: bool) -> Turn {
        let serving = &*self.context.serving;
        self.gone = received_all;
        self.output.release(serving.durable());
        self.take_messages();
        if !self.go_on_forwarding(self.context.clock.monotonic()) {
            return Turn::Stopped;
        }
        let mut turn = self.turn();
        if turn == Turn::Hungry && received_all {
            turn = if self.forwarding.is_under_way() { Turn::Forwarding } else { Turn::Closing };
            self.caller.closing |= turn == Turn::Closing;
        }
        let now = self.caller.now;
        let wait = self.context.settings.durable_wait();
        let replaced = self.output.replace_late(now, serving.durable(), || {
            if planted("an executed write is called off") {
                return redirect::not_executed(self.context, wait);
            }
            redirect::not_durable(wait)
        });
        let Some(replaced) = replaced else {
            self.miss_message();
            return Turn::Stopped;
        };
        self.context.stats.note_not_durable(replaced, serving.durable());
        if self.caller.closing {
            self.closing_until.get_or_insert(now.after(wait).after(CLOSING_TIME));
            self.tell_end();
        }
        turn
    }

    fn interest(&self, turn: Turn, seen: Version) -> Interest {
        let pending = self.output.pending();
        let (held, busy) = match turn {
            Turn::Held(until) | Turn::Blocked(until) => (Some(until), None),
            Turn::Busy(shard, rank) => (None, Some((shard, rank))),
            // Another primary may be the next.
            _ if self.forwarding.is_under_way() => (Some(Until { lsn: NEVER, seen }), None),
            _ => (None, None),
        };
        let lsn = pending.map(|pending| pending.lsn).into_iter().chain(held.map(|until| until.lsn)).min();
        // The earlier version of two: a change between them must not be missed.
        let seen = if held.is_some() { held.map(|until| until.seen) } else { Some(seen) };
        let hold_deadline = match (turn, self.hold) {
            (Turn::Held(_) | Turn::Busy(..), Some(hold)) => {
                Some(hold.since.after(self.context.settings.durable_wait()))
            }
            _ => None,
        };
        let blocked = matches!(turn, Turn::Blocked(_));
        let block_deadline = self.block.and_then(|block| block.deadline).filter(|_| blocked);
        let large_deadline = self.large_deadline(turn);
        let deadlines = [
            pending.map(|pending| pending.deadline),
            hold_deadline,
            block_deadline,
            large_deadline,
            self.forwarding.deadline(),
            self.closing_until,
        ];
        let read = match turn {
            Turn::Hungry => true,
            Turn::Held(_) | Turn::Busy(..) | Turn::Acting | Turn::Blocked(_) | Turn::Forwarding => {
                self.input.unread().len() < INPUT_AHEAD_BYTES
            }
            _ => false,
        };
        Interest {
            more: turn == Turn::More,
            read,
            drained: turn == Turn::Full || (self.output.is_full() && self.caller.entry().has_messages()),
            blocked,
            leave: turn == Turn::Closing,
            until: lsn.zip(seen).map(|(lsn, seen)| Until { lsn, seen }),
            busy,
            deadline: deadlines.into_iter().flatten().min(),
        }
    }

    /// Ready when the reply that somebody else makes is written.
    fn poll_later(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(later) = &mut self.later else { return Poll::Pending };
        let bytes = ready!(later.reply.as_mut().poll(cx));
        self.later = None;
        let reply_start = self.output.reply.len();
        self.output.reply.raw(&bytes);
        self.finish_at_once(reply_start);
        Poll::Ready(())
    }

    /// Ready when the blocked command is to be looked at.
    fn poll_blocked(&self, cx: &mut Context<'_>) -> Poll<()> {
        let called = self.session.poll_called(cx).is_ready();
        if called || self.caller.entry().unblocked().is_some() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The stream, and what else can wake a session.
struct Link<'a, S> {
    stream: S,
    wait: Option<(Until, Wait<'a>)>,
    /// Kept until the command has been tried again: see [`Engine::shard_free`](tanist_db_core::engine::Engine::shard_free).
    free: Option<((ShardId, Rank), ShardFree<'a>)>,
    /// The peer sends nothing more.
    received_all: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Link<'a, S> {
    fn poll<W: Runtime>(
        &mut self,
        conversation: &mut Conversation<'a, W>,
        interest: &Interest,
        cx: &mut Context<'_>,
    ) -> Poll<Event> {
        let context = conversation.context;
        if conversation.caller.entry().poll_killed(cx).is_ready() {
            return Poll::Ready(Event::Over);
        }
        let Ok(mut progress) = self.poll_write(conversation, interest, cx) else { return Poll::Ready(Event::Over) };
        if interest.leave && conversation.output.is_empty() {
            return Poll::Ready(Event::Over);
        }
        if interest.read && !self.received_all {
            match conversation.input.poll_fill(Pin::new(&mut self.stream), cx) {
                Poll::Ready(Ok(bytes)) => {
                    self.received_all = bytes == 0;
                    conversation.fresh = bytes > 0;
                    Stats::add(&context.stats.input_bytes, bytes as u64);
                    progress = true;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Event::Over),
                Poll::Pending => {}
            }
        }
        match self.poll_serving(&context.serving, interest.until, cx) {
            Poll::Ready(Woken::Crowded) => return Poll::Ready(Event::Over),
            Poll::Ready(Woken::Stopped) if planted("held replies sent after fencing") => {
                conversation.output.release(Lsn(u64::MAX));
                progress |= self.poll_write(conversation, interest, cx) != Ok(false);
            }
            Poll::Ready(Woken::Durable | Woken::Changed | Woken::Stopped) => progress = true,
            Poll::Pending => {}
        }
        if let Some(deadline) = interest.deadline
            && poll_until(&mut conversation.runtime, deadline, &*context.clock, cx).is_ready()
        {
            if conversation.closing_until.is_some_and(|until| until <= context.clock.monotonic()) {
                return Poll::Ready(Event::Over);
            }
            progress = true;
        }
        progress |= self.poll_free(context, interest.busy, cx).is_ready();
        progress |= conversation.poll_later(cx).is_ready();
        progress |= interest.blocked && (self.received_all || conversation.poll_blocked(cx).is_ready());
        progress |= conversation.may_take_messages();
        progress |= conversation.poll_away(cx).is_ready();
        progress |= conversation.poll_forward(cx).is_ready();
        progress |= conversation.poll_large(cx).is_ready();
        if progress || interest.more { Poll::Ready(Event::Progress) } else { Poll::Pending }
    }

    /// Writes what may leave. `Ok(true)` if a turn may now do more than before; `Err` if the peer is gone.
    fn poll_write<W: Runtime>(
        &mut self,
        conversation: &mut Conversation<'a, W>,
        interest: &Interest,
        cx: &mut Context<'_>,
    ) -> Result<bool, ()> {
        let mut stream = Pin::new(&mut self.stream);
        let mut written = 0;
        while !conversation.output.ready().is_empty() {
            match stream.as_mut().poll_write(cx, conversation.output.ready()) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => {
                    conversation.output.advance(bytes);
                    written += bytes as u64;
                }
                Poll::Ready(_) => return Err(()),
                Poll::Pending => break,
            }
        }
        if written > 0 {
            Stats::add(&conversation.context.stats.output_bytes, written);
            let clock = &conversation.context.clock;
            conversation.note_taken(|| clock.monotonic());
            if let Poll::Ready(Err(_)) = stream.poll_flush(cx) {
                return Err(());
            }
        }
        Ok(interest.drained && !conversation.output.is_full())
    }

    /// Ready once the shard that is waited for has been free.
    fn poll_free(&mut self, context: &'a NodeContext, busy: Option<(ShardId, Rank)>, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(busy), Some(engine)) = (busy, context.engine()) else {
            self.free = None;
            return Poll::Pending;
        };
        let (_, free) = match &mut self.free {
            Some(present) if present.0 == busy => present,
            place => place.insert((busy, engine.shard_free(busy.0, busy.1))),
        };
        Pin::new(free).poll(cx)
    }

    /// Ready once the position awaited is durable, or the node's role another.
    fn poll_serving(&mut self, serving: &'a Serving, until: Option<Until>, cx: &mut Context<'_>) -> Poll<Woken> {
        let Some(until) = until else {
            self.wait = None;
            return Poll::Pending;
        };
        let (_, wait) = match &mut self.wait {
            Some(present) if present.0 == until => present,
            place => place.insert((until, serving.wait(until.lsn, until.seen))),
        };
        let woken = ready!(Pin::new(wait).poll(cx));
        self.wait = None;
        Poll::Ready(woken)
    }
}

#[cfg(test)]
mod tests;
