//! Blocked commands (BLPOP, WAIT): executed, without a reply yet. What ends the wait is decided here; the table is in
//! docs/protocols/waiting.md.
//!
//! The request stays at the front of the input, and everything after it waits. So a woken command is executed again like any
//! other: its permission is checked again, it is refused if the node may not execute, and it is executed once or not at all.

use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::CommandSpec;
use tanist_db_core::engine::{Blocked, Replied, Until as Ends, WriteReply};
use tanist_db_core::ids::Lsn;
use tanist_replication::serving::Permit;

use super::execute::{Batch, NEVER, Step, Turn, Until};
use super::permission::Refusal;
use super::{Conversation, Runtime};
use crate::front::entry::Unblocked;
use crate::front::redirect;
use crate::front::registry::Way;

/// The blocked command of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    spec: &'static CommandSpec,
    /// Of its request.
    bytes: usize,
    blocked: Blocked,
    /// The wait times out then.
    pub(super) deadline: Option<Monotonic>,
}

/// What is known when a blocked command is looked at.
#[derive(Clone, Copy, Debug)]
struct Signs {
    now: Monotonic,
    durable: Lsn,
    /// Whether the node may execute now.
    permit: Permit,
    /// Another command has made its reply.
    served: bool,
    /// One of its keys is there.
    called: bool,
    /// The client sends nothing more.
    gone: bool,
    /// Another client has asked for its end.
    unblocked: Option<Unblocked>,
}

/// What becomes of a blocked command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It waits on.
    Wait,
    /// It is executed again, for the last time if the wait has timed out.
    Execute,
    /// It would be, but the node may not execute at the moment.
    Hold,
    /// What it waited for has come.
    Fulfilled,
    /// Another command has made its reply.
    Served,
    /// The wait has timed out.
    TimedOut,
    /// Its reply is an error: another client has asked for that.
    Failed,
    /// This node is not primary any more.
    Deposed,
    /// Nobody wants its reply.
    Abandoned,
    /// The node is fenced: nothing is said any more.
    Stopped,
}

/// The rules for every kind of waiting, strongest first.
fn verdict(until: &Ends, deadline: Option<Monotonic>, signs: &Signs) -> Verdict {
    let over = deadline.is_some_and(|deadline| deadline <= signs.now) || signs.unblocked == Some(Unblocked::TimedOut);
    match (until, signs.permit) {
        (_, Permit::Stopped) => Verdict::Stopped,
        // True whoever is primary: what was ever durable stays.
        (Ends::Durable(lsn, _), _) if *lsn <= signs.durable => Verdict::Fulfilled,
        // It was executed, while the node was primary.
        (Ends::Keys, _) if signs.served => Verdict::Served,
        (_, Permit::NotPrimary) => Verdict::Deposed,
        _ if signs.gone => Verdict::Abandoned,
        _ if signs.unblocked == Some(Unblocked::Failed) => Verdict::Failed,
        (Ends::Durable(..), _) if over => Verdict::TimedOut,
        (Ends::Keys, Permit::Yes) if over || signs.called => Verdict::Execute,
        (Ends::Keys, Permit::Hold) if over || signs.called => Verdict::Hold,
        _ => Verdict::Wait,
    }
}

impl<'a, W: Runtime> Conversation<'a, W> {
    /// The command at the front of the input has blocked, for the first time or again.
    pub(super) fn blocked(
        &mut self,
        spec: &'static CommandSpec,
        bytes: usize,
        blocked: Blocked,
        batch: &mut Batch<'a>,
    ) -> Step {
        let deadline = match self.block {
            Some(block) => block.deadline,
            None => {
                self.caller.note(Some(spec.name), &self.session);
                self.caller.entry().set_blocked(true);
                let decided = self.forwarding.take_waits_until(self.input.position());
                decided.unwrap_or_else(|| blocked.timeout.map(|timeout| batch.now.after(timeout)))
            }
        };
        let block = Block { spec, bytes, blocked, deadline };
        self.block = Some(block);
        let late = deadline.is_some_and(|deadline| deadline <= batch.now);
        let over = late || self.caller.entry().unblocked() == Some(Unblocked::TimedOut);
        if over && self.session.give_up() {
            return self.reply_blocked(&block, blocked.otherwise, blocked.lsn, batch);
        }
        self.wait_blocked(&block, batch)
    }

    /// Checks the blocked command, if there is one. Returns nothing if the command at the front of the input is to be executed.
    pub(super) fn go_on_blocked(&mut self, batch: &mut Batch<'a>) -> Option<Step> {
        let block = self.block?;
        let serving = &*self.context.serving;
        let signs = Signs {
            now: batch.now,
            durable: serving.durable(),
            permit: serving.may_execute(batch.now),
            served: self.session.is_served(),
            called: self.session.is_called(),
            gone: self.gone,
            unblocked: self.caller.entry().unblocked(),
        };
        let verdict = match verdict(&block.blocked.until, block.deadline, &signs) {
            // Another command is about to serve it, and has it woken.
            Verdict::Failed | Verdict::Deposed | Verdict::Abandoned if !self.session.give_up() => Verdict::Wait,
            verdict => verdict,
        };
        Some(match verdict {
            Verdict::Wait => self.wait_blocked(&block, batch),
            Verdict::Execute => return None,
            Verdict::Served => self.reply_served(&block, batch),
            Verdict::Hold => {
                let until = Until { lsn: NEVER, seen: batch.seen };
                self.refuse(block.spec, block.bytes, Refusal::Hold(until), batch)
            }
            Verdict::Fulfilled => {
                let Ends::Durable(lsn, write) = block.blocked.until else { return None };
                self.reply_blocked(&block, write, lsn, batch)
            }
            Verdict::TimedOut => self.reply_blocked(&block, block.blocked.otherwise, block.blocked.lsn, batch),
            Verdict::Failed => {
                self.say(redirect::UNBLOCKED_BY_CLIENT);
                Step::Done(block.bytes)
            }
            Verdict::Deposed if self.forwards() => {
                self.forwarding.keep_wait(self.input.position(), block.deadline);
                self.end_block();
                return None;
            }
            Verdict::Deposed if self.caller.entry().peer().way != Way::Resp => {
                self.refuse(block.spec, block.bytes, Refusal::NotPrimary, batch)
            }
            Verdict::Deposed => {
                self.say(redirect::UNBLOCKED_BY_ROLE);
                self.caller.closing = true;
                Step::Done(block.bytes)
            }
            Verdict::Abandoned => {
                self.caller.closing = true;
                Step::End(Turn::Closing)
            }
            Verdict::Stopped => Step::End(Turn::Stopped),
        })
    }

    /// The blocked command has its reply, or never will.
    pub(super) fn end_block(&mut self) {
        if self.block.take().is_some() {
            self.session.unblock();
            self.caller.entry().set_blocked(false);
        }
    }

    fn wait_blocked(&self, block: &Block, batch: &Batch<'a>) -> Step {
        let lsn = match block.blocked.until {
            Ends::Durable(lsn, _) => lsn,
            Ends::Keys => NEVER,
        };
        Step::End(Turn::Blocked(Until { lsn, seen: batch.seen }))
    }

    fn reply_served(&mut self, block: &Block, batch: &mut Batch<'a>) -> Step {
        let reply_start = self.output.reply.len();
        let Some(replied) = self.session.take_served(&mut self.output.reply) else {
            return self.wait_blocked(block, batch);
        };
        self.executed(block.spec, block.bytes, reply_start, replied, batch.unix, batch);
        Step::Done(block.bytes)
    }

    fn reply_blocked(&mut self, block: &Block, write: WriteReply, lsn: Lsn, batch: &mut Batch<'a>) -> Step {
        let reply_start = self.output.reply.len();
        self.output.reply.set_protocol(self.session.protocol());
        write(&mut self.output.reply);
        let replied = Replied { lsn, wrote: false, wakes: false };
        self.executed(block.spec, block.bytes, reply_start, replied, batch.unix, batch);
        Step::Done(block.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Ends = Ends::Keys;
    const POSITION: Ends = Ends::Durable(Lsn(5), |reply| reply.int(1));
    const LATE: Option<Monotonic> = Some(Monotonic(100));

    fn signs(permit: Permit) -> Signs {
        Signs {
            now: Monotonic(50),
            durable: Lsn(4),
            permit,
            served: false,
            called: false,
            gone: false,
            unblocked: None,
        }
    }

    #[test]
    fn who_waits_for_keys_is_executed_again_when_called_or_late_and_only_with_permission() {
        let calm = signs(Permit::Yes);
        assert_eq!(verdict(&KEYS, LATE, &calm), Verdict::Wait);
        assert_eq!(verdict(&KEYS, LATE, &Signs { called: true, ..calm }), Verdict::Execute);
        assert_eq!(verdict(&KEYS, LATE, &Signs { now: Monotonic(100), ..calm }), Verdict::Execute);
        assert_eq!(verdict(&KEYS, None, &Signs { now: Monotonic(u64::MAX), ..calm }), Verdict::Wait);
        assert_eq!(verdict(&KEYS, None, &Signs { unblocked: Some(Unblocked::TimedOut), ..calm }), Verdict::Execute);
        let held = signs(Permit::Hold);
        assert_eq!(verdict(&KEYS, LATE, &held), Verdict::Wait, "a switchover may yet be given up");
        assert_eq!(verdict(&KEYS, LATE, &Signs { called: true, ..held }), Verdict::Hold);
        assert_eq!(verdict(&KEYS, LATE, &Signs { now: Monotonic(100), ..held }), Verdict::Hold);
    }

    #[test]
    fn who_waits_for_a_position_needs_no_permission() {
        for permit in [Permit::Yes, Permit::Hold] {
            let signs = signs(permit);
            assert_eq!(verdict(&POSITION, LATE, &signs), Verdict::Wait);
            assert_eq!(verdict(&POSITION, LATE, &Signs { now: Monotonic(100), ..signs }), Verdict::TimedOut);
            assert_eq!(
                verdict(&POSITION, None, &Signs { unblocked: Some(Unblocked::TimedOut), ..signs }),
                Verdict::TimedOut
            );
            assert_eq!(verdict(&POSITION, LATE, &Signs { durable: Lsn(5), ..signs }), Verdict::Fulfilled);
        }
    }

    #[test]
    fn a_change_of_role_ends_every_wait_but_one_that_is_fulfilled() {
        for until in [KEYS, POSITION] {
            let everything = |permit| Signs {
                now: Monotonic(100),
                called: true,
                gone: true,
                unblocked: Some(Unblocked::Failed),
                ..signs(permit)
            };
            assert_eq!(verdict(&until, LATE, &everything(Permit::NotPrimary)), Verdict::Deposed);
            assert_eq!(verdict(&until, LATE, &everything(Permit::Stopped)), Verdict::Stopped);
            assert_eq!(verdict(&until, LATE, &everything(Permit::Hold)), Verdict::Abandoned);
        }
        let durable = Signs { durable: Lsn(5), ..signs(Permit::NotPrimary) };
        assert_eq!(verdict(&POSITION, LATE, &durable), Verdict::Fulfilled);
        let served = Signs { served: true, gone: true, ..signs(Permit::NotPrimary) };
        assert_eq!(verdict(&KEYS, LATE, &served), Verdict::Served, "it was executed before");
        assert_eq!(verdict(&KEYS, LATE, &Signs { permit: Permit::Stopped, ..served }), Verdict::Stopped);
        let fenced = Signs { durable: Lsn(5), ..signs(Permit::Stopped) };
        assert_eq!(verdict(&POSITION, LATE, &fenced), Verdict::Stopped);
    }

    #[test]
    fn who_is_gone_or_unblocked_is_not_executed_again() {
        for permit in [Permit::Yes, Permit::Hold] {
            let called = Signs { called: true, ..signs(permit) };
            assert_eq!(verdict(&KEYS, LATE, &Signs { gone: true, ..called }), Verdict::Abandoned);
            let failed = Signs { unblocked: Some(Unblocked::Failed), ..called };
            assert_eq!(verdict(&KEYS, LATE, &failed), Verdict::Failed);
            assert_eq!(verdict(&POSITION, LATE, &failed), Verdict::Failed);
        }
    }
}
