//! Long commands are executed on a worker thread (*apart*), so that the session's own thread can serve its other sessions
//! meanwhile.
//!
//! The parts of the session that the command needs are moved to that thread and come back with the reply: the transaction, the
//! client's state, the input buffer with its request. The session keeps reading, but executes nothing until then, so replies keep
//! their order. If the client disconnects, a command that has not begun is cancelled; one that has begun continues, and nobody
//! sees its reply.
//!
//! Permission is checked on the worker thread, right before execution. If the command may not execute, or another command has
//! locked a shard, it comes back unexecuted and waits like any other command. It does not begin while others wait for one of its
//! shards: they come first, since otherwise many long commands would starve them. It yields for at most half of the time that it
//! may wait, so it is not starved itself where a shard is always wanted.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tanist_db_core::clock::UnixMillis;
use tanist_db_core::command::{CommandSpec, Reply};
use tanist_db_core::engine::{Executed, Rank, Refused, Session};
use tanist_replication::serving::{Permit, Version};

use super::ahead::Planned;
use super::execute::{Batch, NEVER, Step, Tried, Turn, Until, execute};
use super::input::Input;
use super::permission::{Refusal, permitted};
use super::{Conversation, Runtime, limits_for};
use crate::front::NodeContext;
use crate::front::caller::Caller;
use crate::resp::{Request, RequestParser};

/// What a session's thread does not wait for.
pub type Job = Box<dyn FnOnce() + Send>;

/// A command on its way.
struct Errand {
    context: Arc<NodeContext>,
    spec: &'static CommandSpec,
    request: Request,
    luggage: Luggage,
    /// Others come first.
    rank: Rank,
}

/// What of a session goes with its command.
struct Luggage {
    session: Session,
    caller: Caller,
    /// Begins with the request.
    input: Input,
    parser: RequestParser,
}

/// A command that has come back.
struct Returned {
    luggage: Luggage,
    reply: Reply,
    outcome: Result<Executed, Permit>,
    unix: UnixMillis,
    rank: Rank,
}

/// A command that is away.
pub(super) struct Away {
    spec: &'static CommandSpec,
    bytes: usize,
    /// Before it left: a change since then ends its hold, should it not have been executed.
    seen: Version,
    running: BoxFuture<'static, ()>,
    returned: Arc<Mutex<Option<Returned>>>,
}

impl Errand {
    fn run(self) -> Returned {
        let Errand { context, spec, request, mut luggage, rank } = self;
        let Luggage { session, caller, input, parser } = &mut luggage;
        let (now, unix) = (context.clock.monotonic(), context.clock.unix());
        let mut reply = Reply::new(session.protocol());
        caller.now = now;
        caller.begin(spec, session);
        let outcome = context.serving.enter_long(now).and_then(|executing| {
            // A role may have come and gone since the permission to leave.
            let is_served = caller.entry().peer().is_served_in(context.serving.epoch());
            if is_served { Ok(executing) } else { Err(Permit::NotPrimary) }
        });
        let outcome = outcome.map(|_executing| {
            let claimed = || context.engine().and_then(|engine| engine.claimed());
            if let (Rank::Long, Some(shard)) = (rank, claimed()) {
                return Executed::Refused(Refused::Busy(shard));
            }
            if let Some(Err(refused)) = context.engine().map(|engine| engine.copy_in_pieces(session, unix)) {
                return Executed::Refused(refused);
            }
            let args = parser.arguments(&request, input.unread());
            execute(&context, session, caller, &mut reply, spec, &args, unix)
        });
        Returned { luggage, reply, outcome, unix, rank }
    }
}

impl<'a, W: Runtime> Conversation<'a, W> {
    /// Sends the request at the front of the input away.
    pub(super) fn send_away(&mut self, planned: &Planned, spec: &'static CommandSpec, batch: &Batch<'a>) {
        let stand_in = self.caller.stand_in();
        let luggage = Luggage {
            session: std::mem::replace(&mut self.session, Session::new(0)),
            caller: std::mem::replace(&mut self.caller, stand_in),
            input: std::mem::take(&mut self.input),
            parser: std::mem::replace(&mut self.parser, RequestParser::new(limits_for(true))),
        };
        luggage.caller.note(Some(spec.name), &luggage.session);
        luggage.caller.entry().set_at_work(true);
        let gives_way = self.context.settings.durable_wait() / 2;
        let waited = self.hold.map_or(Duration::ZERO, |hold| batch.now.since(hold.since));
        let rank = if waited < gives_way { Rank::Long } else { Rank::First };
        let errand = Errand { context: Arc::clone(self.context), spec, request: planned.request, luggage, rank };
        let returned = Arc::<Mutex<Option<Returned>>>::default();
        let place = Arc::clone(&returned);
        let job: Job = Box::new(move || *place.lock() = Some(errand.run()));
        let running = self.runtime.apart(&self.context.long_places, job);
        self.away = Some(Away { spec, bytes: planned.request.bytes, seen: batch.seen, running, returned });
    }

    /// Sends the request at the front of the input away, which copies a large value: that may take long.
    pub(super) fn copy_in_pieces(&mut self, spec: &'static CommandSpec, batch: &Batch<'a>) -> Step {
        if let Some(planned) = self.ahead.front().copied() {
            self.send_away(&planned, spec, batch);
        }
        Step::End(Turn::Acting)
    }

    /// Ready when a command that was away is back.
    pub(super) fn poll_away(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.away {
            Some(away) if away.returned.lock().is_some() => Poll::Ready(()),
            Some(away) => {
                ready!(away.running.as_mut().poll(cx));
                if away.returned.lock().is_none() {
                    // Its thread was not to be had: the process ends.
                    self.away = None;
                    self.caller.closing = true;
                }
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    }

    /// Handles a command that has come back, like one that was executed here. Nothing if there is none.
    pub(super) fn welcome_back(&mut self, batch: &mut Batch<'a>) -> Option<Step> {
        let Returned { luggage, reply, outcome, unix, rank } = self.away.as_ref()?.returned.lock().take()?;
        let Away { spec, bytes, seen, .. } = self.away.take()?;
        let Luggage { session, caller, input, parser } = luggage;
        (self.session, self.caller, self.parser) = (session, caller, parser);
        self.input = input.followed_by(&self.input);
        self.caller.entry().set_at_work(false);
        self.caller.now = batch.now;
        let held = Refusal::Hold(Until { lsn: NEVER, seen });
        Some(match outcome {
            Ok(executed) => {
                if executed.refused().is_none() {
                    self.hold = None;
                }
                let reply_start = if executed.replied().is_some() { self.output.append(reply) } else { 0 };
                self.dispose(Tried { spec, bytes, reply_start, unix, rank, held }, executed, batch)
            }
            Err(permit) => self.refuse(spec, bytes, permitted(permit, seen), batch),
        })
    }
}
