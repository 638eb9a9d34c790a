//! Transactions that are forwarded: they are queued here, and leave as a whole with their EXEC.
//!
//! Commands on the connection, the node or its settings are executed here, also within a transaction, and their replies stand in its
//! array as if all had been executed in one place. SELECT and HELLO concern the members behind them too, so the primary's session
//! executes them as well.

use tanist_db_core::command::{Call, CommandSpec, Failure};
use tanist_db_core::engine::{Executed, Transaction, front_command};

use super::super::{Conversation, Runtime};
use crate::front::commands;
use crate::front::forward::{Found, ReplyEnds, Request, UnderWay};

/// Where a member of a transaction is executed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Primary,
    Here,
    /// In both places; the reply is that of here.
    Both,
}

impl Member {
    fn of(spec: &CommandSpec, args: &[&[u8]]) -> Member {
        match spec.name {
            _ if spec.front().is_none() || commands::sets_common(spec, args) => Member::Primary,
            "wait" => Member::Primary,
            "select" | "hello" => Member::Both,
            _ => Member::Here,
        }
    }
}

/// Whether some of it is executed here.
pub(super) fn has_members_here(queued: &Transaction) -> bool {
    queued.commands().any(|(spec, args)| Member::of(spec, &args) != Member::Primary)
}

/// Adds what the primary executes of it. Returns the number of requests before its EXEC.
pub(super) fn push(queued: &Transaction, under_way: &mut UnderWay) -> usize {
    let mut own = 1;
    under_way.push(Request::Own, b"MULTI\r\n");
    let mut request = Vec::new();
    for (spec, args) in queued.commands() {
        if Member::of(spec, &args) != Member::Here {
            request.clear();
            encode(&args, &mut request);
            under_way.push(Request::Own, &request);
            own += 1;
        }
    }
    under_way.push(Request::Alone, b"EXEC\r\n");
    own
}

/// Adds the request of one command as a transaction of its own. Returns the number of requests before its EXEC.
pub(super) fn wrap(request: &[u8], under_way: &mut UnderWay) -> usize {
    under_way.push(Request::Own, b"MULTI\r\n");
    under_way.push(Request::Own, request);
    under_way.push(Request::Alone, b"EXEC\r\n");
    2
}

/// The reply within that of EXEC, which has one; or the error in place of it.
pub(super) fn unwrapped(reply: &[u8]) -> &[u8] {
    reply.strip_prefix(b"*1\r\n").unwrap_or(reply)
}

fn encode(args: &[&[u8]], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
}

/// Takes the next reply off `replies`, which are complete.
fn next_reply<'r>(replies: &mut &'r [u8]) -> &'r [u8] {
    let mut ends = ReplyEnds::default();
    match ends.next(replies) {
        Ok(Some(Found::Reply { bytes, .. })) => replies.split_off(..bytes).unwrap_or_default(),
        _ => &[],
    }
}

impl<'a, W: Runtime> Conversation<'a, W> {
    /// The primary has replied to EXEC: with `kept`, if members have to be executed here.
    pub(super) fn end_forwarded_exec(&mut self, kept: &[u8]) {
        self.forwarding.forget_watch();
        let Some(queued) = self.session.end_transaction() else { return };
        if !has_members_here(&queued) {
            return;
        }
        let reply_start = self.output.reply.len();
        self.caller.alone = false;
        let is_executed = kept.first() == Some(&b'*') && !kept.starts_with(b"*-1");
        if !is_executed {
            self.output.reply.raw(kept);
            return self.finish_forwarded(reply_start);
        }
        let header = kept.iter().position(|byte| *byte == b'\n').map_or(kept.len(), |end| end + 1);
        let mut replies = &kept[header..];
        self.output.reply.set_protocol(self.session.protocol());
        self.output.reply.array(queued.commands().count());
        for (spec, args) in queued.commands() {
            let member = Member::of(spec, &args);
            let theirs = if member == Member::Here { &[][..] } else { next_reply(&mut replies) };
            match spec.front().filter(|_| member != Member::Primary) {
                None => self.output.reply.raw(theirs),
                Some(run) => {
                    let call = Call::without_keys(spec, &args);
                    let reply = &mut self.output.reply;
                    match front_command(run, &mut self.caller, &call, &mut self.session, reply) {
                        Executed::Replied(_) => {}
                        // As in a transaction that is executed here.
                        Executed::Blocked(blocked) => (blocked.otherwise)(reply),
                        Executed::Refused(_) | Executed::Later(_) => reply.failure(&Failure::NOT_IN_TRANSACTION),
                    }
                }
            }
        }
        if let Some(stream) = &mut self.forwarding.stream {
            (stream.protocol, stream.database) = (self.session.protocol(), self.session.database());
        }
        self.caller.note(None, &self.session);
        self.finish_forwarded(reply_start);
    }

    /// The reply to a forwarded command that begins at offset `reply_start` is complete, and may leave: it was with the primary until then.
    pub(super) fn finish_forwarded(&mut self, reply_start: usize) {
        self.drop_unwanted(reply_start);
        self.output.finish_free(reply_start);
    }
}
