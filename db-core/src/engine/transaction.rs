//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! Between MULTI and EXEC commands are checked as far as that is possible without data, and queued. EXEC takes the locks of all
//! their shards and of those of the watched keys, checks whether a watched key has changed, runs the commands one after another
//! and appends one record: other commands, frozen versions, replicas and recovery see all of it or nothing. A command that fails
//! during EXEC does not undo the others; one that was refused while queueing aborts the transaction. A blocking command does not
//! block here: it replies as after a timeout.

use super::call::{Call, CommandSpec, Control, Failure, Flag, Handler, KeyArg, Reply};
use super::data::Data;
use super::shard::Shards;
use super::watch::Watching;
use super::{Busy, Engine, Executed, Front, Refused, Session, front_command};
use crate::clock::UnixMillis;
use crate::limits::{
    EXEC_REPLY_BYTES_MAX, LONG_ARGUMENTS, LONG_REQUEST_BYTES, TRANSACTION_BYTES_MAX, TRANSACTION_COMMANDS_MAX,
};

/// Commands queued since MULTI.
#[derive(Debug, Default)]
pub struct Transaction {
    commands: Vec<Queued>,
    /// All arguments, back to back.
    blob: Vec<u8>,
    /// End of each argument in `blob`.
    ends: Vec<usize>,
    /// All keys, each by its place among the arguments of its command.
    keys: Vec<KeyArg>,
    writes: bool,
    needs_memory: bool,
    all_shards: bool,
    /// A command was refused: EXEC fails.
    spoilt: bool,
}

#[derive(Debug, Clone, Copy)]
struct Queued {
    spec: &'static CommandSpec,
    /// End of its arguments in `Transaction::ends`.
    args_end: usize,
    /// End of its keys in `Transaction::keys`.
    keys_end: usize,
}

impl Transaction {
    /// Whether a command was refused, so that EXEC fails.
    #[must_use]
    pub fn is_spoilt(&self) -> bool {
        self.spoilt
    }

    /// The commands in their order, each with its arguments.
    pub fn commands(&self) -> impl Iterator<Item = (&'static CommandSpec, Vec<&[u8]>)> {
        let (mut start, mut args_done) = (0, 0);
        self.commands.iter().map(move |queued| {
            let ends = &self.ends[args_done..queued.args_end];
            args_done = queued.args_end;
            let arg = |end: &usize| &self.blob[std::mem::replace(&mut start, *end)..*end];
            (queued.spec, ends.iter().map(arg).collect())
        })
    }

    pub(super) fn writes(&self) -> bool {
        self.writes
    }

    pub(super) fn takes_long(&self) -> bool {
        self.ends.len() > LONG_ARGUMENTS || self.blob.len() > LONG_REQUEST_BYTES || self.all_shards
    }

    pub(super) fn spoil(&mut self) {
        self.spoilt = true;
    }

    fn queue(&mut self, spec: &'static CommandSpec, args: &[&[u8]], keys: &[KeyArg]) -> Result<(), Failure> {
        // What an argument takes beside its bytes counts too, or a million empty ones would be free.
        let more: usize = args.iter().map(|arg| arg.len() + size_of::<usize>()).sum();
        let held = self.blob.len() + self.ends.len() * size_of::<usize>();
        if (held + more) as u64 > TRANSACTION_BYTES_MAX || self.commands.len() >= TRANSACTION_COMMANDS_MAX {
            return Err(Failure::owned(format!(
                "ERR transaction too large: it may queue {TRANSACTION_COMMANDS_MAX} commands \
                 and {TRANSACTION_BYTES_MAX} bytes of arguments"
            )));
        }
        for arg in args {
            self.blob.extend_from_slice(arg);
            self.ends.push(self.blob.len());
        }
        self.keys.extend_from_slice(keys);
        self.commands.push(Queued { spec, args_end: self.ends.len(), keys_end: self.keys.len() });
        self.writes |= spec.writes();
        self.needs_memory |= spec.flags.has(Flag::DenyOom);
        self.all_shards |= spec.handler.needs_more_than_keys(args);
        Ok(())
    }

    /// The keys of all commands.
    fn keys(&self) -> Vec<(&[u8], u64)> {
        let arg = |at: usize| &self.blob[if at == 0 { 0 } else { self.ends[at - 1] }..self.ends[at]];
        let (mut args_done, mut keys_done, mut keys) = (0, 0, Vec::new());
        for queued in &self.commands {
            let of_command = &self.keys[keys_done..queued.keys_end];
            keys.extend(of_command.iter().map(|key| (arg(args_done + key.at as usize), key.hash)));
            (args_done, keys_done) = (queued.args_end, queued.keys_end);
        }
        keys
    }

    /// The locks that all commands together need, and those of the watched keys.
    fn locks<'e>(&self, engine: &'e Engine, watched: impl Iterator<Item = u64>) -> Result<Shards<'e>, Busy> {
        if self.all_shards {
            return Shards::try_all(&engine.cells);
        }
        Shards::try_of_keys(&engine.cells, self.keys.iter().map(|key| key.hash).chain(watched))
    }
}

impl Engine {
    pub(super) fn queue(
        &self,
        spec: &'static CommandSpec,
        session: &mut Session,
        args: &[&[u8]],
        reply: &mut Reply,
    ) -> Executed {
        match self.try_queue(spec, session, args) {
            Ok(()) => reply.simple("QUEUED"),
            Err(failure) => {
                session.spoil_transaction();
                reply.failure(&failure);
            }
        }
        Executed::AT_ONCE
    }

    fn try_queue(&self, spec: &'static CommandSpec, session: &mut Session, args: &[&[u8]]) -> Result<(), Failure> {
        if spec.flags.has(Flag::NoMulti) {
            return Err(Failure::NOT_IN_TRANSACTION);
        }
        if self.stays_over_memory() {
            // Any queued command takes memory until EXEC or DISCARD.
            return Err(Failure::OUT_OF_MEMORY);
        }
        self.find_keys(spec, args, &mut session.keys)?;
        match &mut session.transaction {
            Some(transaction) => transaction.queue(spec, args, &session.keys),
            None => Ok(()),
        }
    }

    pub(super) fn control(
        &self,
        control: Control,
        session: &mut Session,
        front: &mut dyn Front,
        args: &[&[u8]],
        now: UnixMillis,
        reply: &mut Reply,
    ) -> Executed {
        let outcome = match control {
            Control::Exec => return self.exec(session, front, now, reply),
            Control::Multi => multi(session),
            Control::Discard => discard(session),
            Control::Watch => match self.watch(session, args, now) {
                Ok(outcome) => outcome,
                Err(busy) => return busy.into(),
            },
            Control::Unwatch => {
                session.watching = None;
                Ok(())
            }
        };
        match outcome {
            Ok(()) => reply.ok(),
            Err(failure) => reply.failure(&failure),
        }
        Executed::AT_ONCE
    }

    fn watch(&self, session: &mut Session, args: &[&[u8]], now: UnixMillis) -> Result<Result<(), Failure>, Busy> {
        if session.in_multi() {
            return Ok(Err(Failure::fixed("ERR WATCH inside MULTI is not allowed")));
        }
        let keys = match args[1..].iter().map(|arg| self.key(arg)).collect::<Result<Vec<_>, _>>() {
            Ok(keys) => keys,
            Err(failure) => return Ok(Err(failure)),
        };
        let mut shards = Shards::try_of_keys(&self.cells, keys.iter().map(|key| key.hash))?;
        let database = shards.database(session.database);
        let watching = session.watching.get_or_insert_with(|| Watching::new(&self.cells));
        Ok(keys.iter().try_for_each(|key| watching.add(&mut shards, session.database, &key.of(database), now)))
    }

    fn exec(&self, session: &mut Session, front: &mut dyn Front, now: UnixMillis, reply: &mut Reply) -> Executed {
        let Some(transaction) = session.transaction.take() else {
            reply.error("ERR EXEC without MULTI");
            return Executed::AT_ONCE;
        };
        let refusal = if transaction.needs_memory && self.stays_over_memory() {
            Some(Failure::owned(format!(
                "EXECABORT Transaction discarded because of: {}",
                Failure::OUT_OF_MEMORY.text()
            )))
        } else {
            transaction.spoilt.then_some(Failure::EXEC_ABORTED)
        };
        if let Some(failure) = refusal {
            session.watching = None;
            reply.failure(&failure);
            return Executed::AT_ONCE;
        }
        let executed = self.exec_locked(&transaction, session, front, now, reply);
        if executed.refused().is_some() {
            session.transaction = Some(transaction);
        } else {
            session.watching = None;
        }
        executed
    }

    fn exec_locked(
        &self,
        transaction: &Transaction,
        session: &mut Session,
        front: &mut dyn Front,
        now: UnixMillis,
        reply: &mut Reply,
    ) -> Executed {
        let watching = session.watching.take();
        let watched = watching.iter().flat_map(|watching| watching.hashes());
        let shards = transaction.locks(self, watched.clone()).and_then(|shards| {
            if !transaction.writes || !self.anybody_waits() {
                return Ok(shards);
            }
            // Whoever waits for watched keys is not served, but these shards stay locked.
            let watched = watched.map(|hash| (&[][..], hash));
            let keys = transaction.keys().into_iter().chain(watched);
            self.with_those_to_serve(shards, keys)
        });
        let shards = match shards {
            Ok(shards) if !transaction.writes || self.is_writing() => shards,
            refused => {
                let executed = refused.map_or_else(Executed::from, |_| Executed::Refused(Refused::NotWriting));
                session.watching = watching;
                return executed;
            }
        };
        let verdict = watching.as_ref().map(|watching| watching.verdict(&shards, now));
        let mut scratch = std::mem::take(&mut session.scratch);
        // The locks of all commands are held, so there is no other time for a copy.
        let copied_at_once = scratch.copied_at_once.take();
        let mut data = Data::new(shards, &self.settings, now, session.database, &mut scratch);
        let (changed, lsn) = verdict.unwrap_or_default();
        data.saw(lsn);
        if changed {
            reply.null_array();
        } else {
            run_all(transaction, &mut data, session, front, reply);
        }
        let executed = self.commit(&mut data);
        drop(data);
        session.scratch = scratch;
        session.scratch.copied_at_once = copied_at_once;
        executed
    }
}

const REPLY_LEFT_OUT: Failure = Failure::fixed(
    "ERR this command was executed, its reply is left out: the replies of one transaction may take 513 MiB together",
);

/// Runs the queued commands one after another, each with its reply.
fn run_all(
    transaction: &Transaction,
    data: &mut Data<'_>,
    session: &mut Session,
    front: &mut dyn Front,
    reply: &mut Reply,
) {
    reply.array(transaction.commands.len());
    let replies_start = reply.len();
    let (mut start, mut args_done, mut keys_done) = (0, 0, 0);
    let mut args: Vec<&[u8]> = Vec::new();
    for queued in &transaction.commands {
        args.clear();
        for end in &transaction.ends[args_done..queued.args_end] {
            args.push(&transaction.blob[start..*end]);
            start = *end;
        }
        // A SELECT may have come before, and a SWAPDB.
        data.select(session.database);
        let keys = &transaction.keys[keys_done..queued.keys_end];
        let reply_start = reply.len();
        reply.bound(EXEC_REPLY_BYTES_MAX.saturating_sub(reply_start - replies_start), u64::MAX);
        let call = Call::new(queued.spec, &args, keys, data.database());
        match queued.spec.handler {
            Handler::Keys(run)
            | Handler::Whole(run)
            | Handler::KeysOrWhole(run, _)
            | Handler::KeysOrBlocking(run, ..)
            | Handler::Cursor(run)
            | Handler::Free(run) => {
                if let Err(failure) = run(data, &call, reply) {
                    reply.truncate(reply_start);
                    reply.failure(&failure);
                }
            }
            Handler::Blocking(blocking) => {
                if let Err(failure) = blocking.run_at_once(data, &call, reply) {
                    reply.truncate(reply_start);
                    reply.failure(&failure);
                }
            }
            Handler::Front(run) => match front_command(run, front, &call, session, reply) {
                Executed::Replied(_) => {}
                // Nothing waits while the locks are held.
                Executed::Blocked(blocked) => (blocked.otherwise)(reply),
                Executed::Refused(_) | Executed::Later(_) => reply.failure(&Failure::NOT_IN_TRANSACTION),
            },
            // Only UNWATCH is ever queued, and EXEC has ended the watch.
            Handler::Control(_) => reply.ok(),
        }
        if reply.unbound() {
            reply.truncate(reply_start);
            reply.failure(&REPLY_LEFT_OUT);
        }
        (args_done, keys_done) = (queued.args_end, queued.keys_end);
    }
}

fn multi(session: &mut Session) -> Result<(), Failure> {
    if session.in_multi() {
        return Err(Failure::fixed("ERR MULTI calls can not be nested"));
    }
    session.transaction = Some(Box::default());
    Ok(())
}

fn discard(session: &mut Session) -> Result<(), Failure> {
    session.transaction.take().ok_or(Failure::fixed("ERR DISCARD without MULTI"))?;
    session.watching = None;
    Ok(())
}
