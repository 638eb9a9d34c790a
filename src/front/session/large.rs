//! Large replies are made from a frozen version, on a worker thread, and sent in pieces.
//!
//! A read is executed like any other until its reply outgrows a bound; then it is given up, and executed again on a version that is
//! frozen for it (or that the connection has pinned). No lock is held meanwhile, and only a few pieces are ahead of the peer, so
//! neither a large value nor a slow reader costs others anything but the pages that the version keeps.
//!
//! Nothing of the reply leaves before all that the version shows is durable. A peer that takes nothing for a time is cut off, and so is one
//! whose version comes to the end of its time.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse};
use tanist_db_core::clock::{Monotonic, UnixMillis};
use tanist_db_core::command::{CommandSpec, CommandTable, Reply};
use tanist_db_core::engine::{Front, Rank, Session};
use tanist_db_core::ids::{Lsn, ShardId};
use tanist_db_core::planted::planted;
use tanist_replication::serving::{Permit, Version};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::execute::{Batch, Step, Turn, Until};
use super::permission::{Refusal, permitted};
use super::{Conversation, Job, Runtime};
use crate::config::Durability;
use crate::front::NodeContext;
use crate::front::commands::COMMANDS;
use crate::front::limits::{PIECE_TIME_MAX, PIECES_AHEAD};
use crate::front::redirect;
use crate::front::registry::Entry;
use crate::front::standby_read::ReadPlace;
use crate::front::versions::VersionReader;

/// What comes from the worker thread, in this order.
#[derive(Debug)]
enum Made {
    /// The read was not executed.
    NotPermitted(Permit),
    /// Nor was it: a long command holds this shard.
    Busy(ShardId),
    /// The version is there, with all records up to here, and the reply is being made.
    Begun {
        cut: Lsn,
        unix: UnixMillis,
    },
    Piece(Vec<u8>),
    /// Its last piece has come.
    Complete,
}

/// A large reply on its way.
pub(super) struct LargeReply {
    spec: &'static CommandSpec,
    /// Of its request.
    bytes: usize,
    /// Before it was begun: a change since then ends its hold, should it not have been executed.
    seen: Version,
    running: Fuse<BoxFuture<'static, ()>>,
    made: Receiver<Made>,
    /// What has come and is not dealt with.
    next: Option<Made>,
    begun: Option<(Lsn, UnixMillis)>,
    /// The peer has some of it, or soon will: it cannot be taken back.
    is_shown: bool,
    /// The worker thread makes nothing more.
    is_over: bool,
    /// The reply must have been begun by then; once it is shown, the peer must have taken some of it.
    deadline: Monotonic,
}

/// A read whose reply is large.
struct LargeRead {
    context: Arc<NodeContext>,
    entry: Arc<Entry>,
    /// That the connection has pinned.
    pinned: Option<Arc<VersionReader>>,
    spec: &'static CommandSpec,
    args: Vec<Vec<u8>>,
    session: Session,
    /// The newest record that a reply of a primary to this client depends on.
    seen: Lsn,
    made: Sender<Made>,
}

/// A read of data asks its caller for nothing.
struct Nobody;

impl Front for Nobody {
    fn commands(&self) -> &'static CommandTable {
        &COMMANDS
    }
}

impl LargeRead {
    fn run(mut self) {
        if let Some(why) = self.try_run() {
            // Whoever has gone needs no reply.
            let _ = self.made.blocking_send(why);
        }
    }

    /// Makes the reply; or returns why there is none.
    fn try_run(&mut self) -> Option<Made> {
        let now = self.context.clock.monotonic();
        let pin = {
            let _executing = match self.context.serving.enter(now) {
                Ok(executing) => Some(executing),
                Err(Permit::NotPrimary) if self.context.place_of_read(now, self.seen) == ReadPlace::Here => None,
                Err(permit) => return Some(Made::NotPermitted(permit)),
            };
            let engine = self.context.engine()?;
            match self.context.pin_for_reply(engine, self.pinned.take().as_deref(), &self.entry) {
                Ok(pin) => pin,
                Err(shard) => return Some(Made::Busy(shard)),
            }
        };
        let version = pin.reader().ok()?;
        self.made.blocking_send(Made::Begun { cut: version.cut(), unix: version.unix() }).ok()?;
        let made = self.made.clone();
        let send = Box::new(move |piece| made.blocking_send(Made::Piece(piece)).is_ok());
        let mut reply = Reply::in_pieces(self.session.protocol(), send);
        let args: Vec<&[u8]> = self.args.iter().map(Vec::as_slice).collect();
        let (engine, session) = (&version.engine, &mut self.session);
        let executed = engine.execute_resolved(self.spec, session, &mut Nobody, &args, version.unix(), &mut reply);
        let complete = reply.finish() && executed.replied().is_some();
        complete.then_some(Made::Complete)
    }
}

impl<'a, W: Runtime> Conversation<'a, W> {
    /// Begins to make the reply of the request at the front of the input, which is large.
    pub(super) fn begin_large(&mut self, spec: &'static CommandSpec, bytes: usize, batch: &Batch<'a>) -> Step {
        let pinned = match self.caller.pinned().transpose() {
            Ok(pinned) => pinned,
            // It was ended since the command was executed.
            Err(why) => {
                self.say(&redirect::unpinned(&why));
                return Step::Done(bytes);
            }
        };
        let args = self.ahead.front().map(|planned| self.parser.arguments(&planned.request, self.input.unread()));
        let args = args.unwrap_or_default().iter().map(|arg| arg.to_vec()).collect();
        let (made, coming) = channel(PIECES_AHEAD);
        let read = LargeRead {
            context: Arc::clone(self.context),
            entry: Arc::clone(self.caller.shared_entry()),
            pinned,
            spec,
            args,
            session: self.session.for_one_read(),
            seen: self.forwarding.seen(),
            made,
        };
        let job: Job = Box::new(move || read.run());
        let running = self.runtime.apart(&self.context.large_places, job).fuse();
        // It is not idle, however long its peer takes.
        self.caller.entry().set_at_work(true);
        self.large = Some(LargeReply {
            spec,
            bytes,
            seen: batch.seen,
            running,
            made: coming,
            next: None,
            begun: None,
            is_shown: false,
            is_over: false,
            deadline: batch.now.after(self.context.settings.durable_wait()),
        });
        Step::End(Turn::Acting)
    }

    /// Ready when something of the large reply has come, or nothing more will.
    pub(super) fn poll_large(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(large) = &mut self.large else { return Poll::Pending };
        if large.next.is_some() || large.is_over {
            // Its turn comes when there is room.
            return Poll::Pending;
        }
        let running = large.running.poll_unpin(cx).is_ready();
        match large.made.poll_recv(cx) {
            Poll::Ready(Some(made)) => large.next = Some(made),
            Poll::Ready(None) => large.is_over = true,
            Poll::Pending if running => {}
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    }

    /// When a large reply must have been begun, or its peer have taken some of it.
    pub(super) fn large_deadline(&self, turn: Turn) -> Option<Monotonic> {
        let large = self.large.as_ref()?;
        let waits = if large.is_shown { turn == Turn::Full } else { large.begun.is_none() && turn == Turn::Acting };
        waits.then_some(large.deadline)
    }

    /// The peer has taken something at `now`, or could not.
    pub(super) fn note_taken(&mut self, now: impl FnOnce() -> Monotonic) {
        if let Some(large) = self.large.as_mut().filter(|large| large.is_shown) {
            large.deadline = now().after(PIECE_TIME_MAX);
        }
    }

    /// The large reply is at its end, or given up.
    fn end_large(&mut self) -> Option<LargeReply> {
        self.caller.entry().set_at_work(false);
        self.large.take()
    }

    /// Goes on with a large reply; nothing if there is none.
    pub(super) fn go_on_large(&mut self, batch: &mut Batch<'a>) -> Option<Step> {
        loop {
            let large = self.large.as_mut()?;
            if let Some((cut, _)) = large.begun
                && !large.is_shown
                && batch.durability == Durability::Durable
                && self.context.serving.durable() < cut
                && !planted("a frozen read passes the gate")
            {
                let until = Until { lsn: cut, seen: batch.seen };
                return Some(self.refuse_large(Refusal::Hold(until), batch));
            }
            if self.output.is_full() {
                return Some(self.wait_for_peer(batch.now));
            }
            let Some(made) = large.next.take().or_else(|| large.made.try_recv().ok()) else {
                if large.is_over {
                    // Its thread was not to be had, or nobody wants the rest: it cannot be told otherwise.
                    return Some(Step::End(Turn::Stopped));
                }
                if large.begun.is_none() && large.deadline <= batch.now {
                    return Some(self.give_up_waiting());
                }
                return Some(Step::End(Turn::Acting));
            };
            if let Some(step) = self.take_made(made, batch) {
                return Some(step);
            }
        }
    }

    fn take_made(&mut self, made: Made, batch: &mut Batch<'a>) -> Option<Step> {
        let large = self.large.as_mut()?;
        match made {
            Made::NotPermitted(permit) => {
                let refusal = permitted(permit, large.seen);
                Some(self.refuse_large(refusal, batch))
            }
            Made::Busy(shard) => Some(self.refuse_large(Refusal::Busy(shard, Rank::First), batch)),
            Made::Begun { cut, unix } => {
                large.begun = Some((cut, unix));
                None
            }
            Made::Piece(piece) => {
                let begins = large.begun.map(|(cut, _)| cut).filter(|_| !large.is_shown);
                if !large.is_shown {
                    large.is_shown = true;
                    large.deadline = batch.now.after(PIECE_TIME_MAX);
                }
                self.hold = None;
                let start = self.output.reply.len();
                self.output.reply.raw(&piece);
                if let Some(cut) = begins {
                    self.tell_position(start, cut);
                }
                if self.caller.wants_replies() {
                    self.output.finish_free(start);
                } else {
                    self.output.reply.truncate(start);
                }
                None
            }
            Made::Complete => {
                let LargeReply { spec, bytes, begun, .. } = self.end_large()?;
                let _wanted = self.caller.take_reply();
                self.runtime.replied(begun);
                batch.count(spec);
                Some(Step::Done(bytes))
            }
        }
    }

    /// The large reply was not begun, or may not be seen yet. It is begun again if its request is still at the front.
    fn refuse_large(&mut self, refusal: Refusal, batch: &mut Batch<'a>) -> Step {
        let Some(large) = &self.large else { return Step::End(Turn::Stopped) };
        let (spec, bytes, begun) = (large.spec, large.bytes, large.begun.is_some());
        let step = self.refuse(spec, bytes, refusal, batch);
        if !begun || matches!(step, Step::Done(_)) {
            self.end_large();
        }
        step
    }

    /// No place has become free for it.
    fn give_up_waiting(&mut self) -> Step {
        let bytes = self.end_large().map_or(0, |large| large.bytes);
        self.say(&redirect::no_place_for_large(self.context.settings.durable_wait()));
        Step::Done(bytes)
    }

    fn wait_for_peer(&mut self, now: Monotonic) -> Step {
        if self.output.ready().is_empty() {
            // Nothing may leave: it is not the peer that is slow, and its time has not begun.
            self.note_taken(|| now);
        }
        if self.large_deadline(Turn::Full).is_some_and(|deadline| deadline <= now) {
            let seconds = PIECE_TIME_MAX.as_secs();
            let why = format!("it has taken nothing of its large reply for {seconds} s");
            self.context.registry.cut_off(self.caller.entry(), &why);
            return Step::End(Turn::Stopped);
        }
        Step::End(Turn::Full)
    }
}
