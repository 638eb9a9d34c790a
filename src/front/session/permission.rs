//! Decides whether a command may execute now. If not, it waits in the input, or fails with an error that says that it was not
//! executed.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::{CommandSpec, Flag, Group, Reply};
use tanist_db_core::engine::Rank;
use tanist_db_core::ids::ShardId;
use tanist_db_core::planted::planted;
use tanist_replication::serving::{Permit, Role, Version};

use super::execute::{Batch, NEVER, Step, Turn, Until};
use super::{Conversation, Runtime};
use crate::config::{DebugCommand, Durability};
use crate::front::commands;
use crate::front::context::Stats;
use crate::front::redirect;
use crate::front::registry::Way;
use crate::front::standby_read::{ReadPlace, is_standby_read};

/// Commands wait for permission to execute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) since: Monotonic,
    /// Position in the input: commands before it have been waiting since then.
    end: u64,
}

/// Why a command may not execute.
#[derive(Clone, Copy)]
pub(super) enum Refusal {
    Hold(Until),
    Busy(ShardId, Rank),
    NotPrimary,
    /// This standby's data may be so old.
    TooOld(Duration),
    Stopped,
}

/// As what this node executes a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    Primary,
    /// A read, which this standby executes itself.
    Standby,
}

impl<'a, W: Runtime> Conversation<'a, W> {
    /// Why the node's settings do not allow `spec`; nothing if they do.
    pub(super) fn forbidden(&self, spec: &CommandSpec) -> Option<&'static str> {
        if spec.flags.has(Flag::Protected) && !self.may_debug() {
            Some(redirect::DEBUG_NOT_ALLOWED)
        } else if spec.group == Group::Cluster && !self.context.settings.is_cluster() {
            Some(redirect::NO_CLUSTER)
        } else {
            None
        }
    }

    fn may_debug(&self) -> bool {
        match self.context.settings.debug_command() {
            DebugCommand::No => false,
            DebugCommand::Local => self.caller.entry().peer().is_local(),
            DebugCommand::Yes => true,
        }
    }

    /// Whether `spec` touches data now, rather than being queued.
    pub(super) fn asks_permission(&self, spec: &CommandSpec) -> bool {
        let needs_primary = spec.touches_data() || commands::pins(spec) || self.concerns_primary(spec);
        needs_primary && (!self.session.in_multi() || spec.is_exec())
    }

    /// Whether `spec`, executed now, may write.
    pub(super) fn may_write(&self, spec: &CommandSpec, common: bool) -> bool {
        common || spec.writes() || (spec.is_exec() && self.session.exec_writes())
    }

    /// Whether `spec`, which asks for it, may execute now. `common`: it sets what the cluster has in common; `takes_long`: it may hold the
    /// data for long.
    pub(super) fn permission(
        &self,
        spec: &CommandSpec,
        common: bool,
        takes_long: bool,
        batch: &mut Batch<'a>,
    ) -> Result<Permission, Refusal> {
        let serving = &*self.context.serving;
        if self.deposed {
            return Err(Refusal::NotPrimary);
        }
        if batch.guard.is_none() {
            match serving.enter(batch.now) {
                Ok(guard) if self.caller.entry().peer().is_served_in(serving.epoch()) => batch.guard = Some(guard),
                Ok(_) => return Err(Refusal::NotPrimary),
                // It may be this node's own, of which it has yet to hear; not while it loads, however: this process never was primary.
                Err(Permit::NotPrimary)
                    if serving.role() != Role::Joining && self.caller.entry().peer().comes_before(serving.epoch()) =>
                {
                    return Err(Refusal::Hold(Until { lsn: NEVER, seen: batch.seen }));
                }
                // A long command would keep a takeover waiting: the log is applied under the same locks.
                Err(Permit::NotPrimary) if is_standby_read(spec) && !takes_long => return self.read_here(spec, batch),
                Err(_)
                    if planted("a forwarded read by an old primary")
                        && self.caller.entry().peer().is_forwarded()
                        && !self.may_write(spec, common) => {}
                Err(permit) => return Err(permitted(permit, batch.seen)),
            }
        }
        if self.may_write(spec, common) {
            self.room(batch)?;
        }
        Ok(Permission::Primary)
    }

    /// Whether this node, which is not the primary, executes the read at the front of the input itself.
    fn read_here(&self, spec: &CommandSpec, batch: &Batch<'a>) -> Result<Permission, Refusal> {
        let is_ours = self.caller.entry().peer().way == Way::Resp;
        let reads_there = self.caller.pin.is_some() || self.forwarding.reads_there();
        if !is_ours || reads_there || self.is_moved(spec) {
            return Err(Refusal::NotPrimary);
        }
        match self.context.place_of_read(batch.now, self.forwarding.seen()) {
            ReadPlace::Here => Ok(Permission::Standby),
            ReadPlace::Elsewhere => Err(Refusal::NotPrimary),
            ReadPlace::Nowhere(age) => Err(Refusal::TooOld(age)),
        }
    }

    /// Whether one more write fits into the engine's bounds and, at level relaxed, into what may be at risk.
    fn room(&self, batch: &mut Batch<'a>) -> Result<(), Refusal> {
        let Some(engine) = self.context.engine() else { return Ok(()) };
        let serving = &*self.context.serving;
        self.context.bound_pins(engine, batch.now);
        if !engine.has_room() {
            let seen = serving.want_room();
            if !engine.has_room() {
                return Err(Refusal::Hold(Until { lsn: NEVER, seen }));
            }
        }
        if batch.durability == Durability::Relaxed && !batch.risk_known {
            let settings = &self.context.settings;
            let risk = self.context.risk.at(engine.last(), serving.durable(), batch.now);
            if risk.bytes > settings.relaxed_bytes_max() || risk.time > settings.relaxed_time_max() {
                return Err(Refusal::Hold(Until { lsn: risk.until, seen: batch.seen }));
            }
            batch.risk_known = true;
        }
        Ok(())
    }

    /// A command that may not execute: wait, or say why.
    pub(super) fn refuse(
        &mut self,
        spec: &'static CommandSpec,
        bytes: usize,
        refusal: Refusal,
        batch: &mut Batch<'a>,
    ) -> Step {
        let now = batch.now;
        let sentence = match refusal {
            Refusal::Stopped => return Step::End(Turn::Stopped),
            Refusal::NotPrimary if self.caller.entry().peer().is_forwarded() => {
                // The mark that says so follows.
                self.caller.closing = true;
                return Step::End(Turn::Closing);
            }
            Refusal::NotPrimary if self.context.engine().is_none() && !self.is_library() => {
                redirect::LOADING.to_owned()
            }
            Refusal::NotPrimary => match self.moved(spec) {
                Some(moved) => moved,
                None if self.forwards() => return self.forward(spec, bytes, batch),
                None => {
                    self.deposed = self.is_library();
                    redirect::sentence(&self.context.serving, self.caller.entry().peer().way, spec)
                }
            },
            Refusal::TooOld(age) => redirect::too_old(age, self.context.settings.standby_read_age_max()),
            Refusal::Hold(until) => match self.hold_on(now) {
                None => return Step::End(Turn::Held(until)),
                Some(waited) => redirect::not_executed(self.context, waited),
            },
            Refusal::Busy(shard, rank) => match self.hold_on(now) {
                None => return Step::End(Turn::Busy(shard, rank)),
                Some(waited) => redirect::busy(waited),
            },
        };
        if spec.is_exec() {
            self.discard();
        }
        self.say(&sentence);
        Step::Done(bytes)
    }

    /// The command at the front of the input has to wait. After how long it need not any more, if it has waited enough.
    fn hold_on(&mut self, now: Monotonic) -> Option<Duration> {
        let wait = self.context.settings.durable_wait();
        let here = self.input.position();
        let hold = match self.hold {
            Some(hold) if here < hold.end => hold,
            _ => *self.hold.insert(Hold { since: now, end: self.input.end() }),
        };
        let over = now.since(hold.since) >= wait;
        Stats::add(&self.context.stats.not_executed, u64::from(over));
        over.then_some(wait)
    }

    /// Forgets the transaction being queued and the watched keys, as an EXEC that fails does.
    fn discard(&mut self) {
        if let Some(engine) = self.context.engine() {
            let now = self.context.clock.unix();
            engine.execute(&mut self.session, &mut self.caller, &[b"DISCARD"], now, &mut Reply::default());
        }
    }
}

/// What a permit that is none means to a command, `seen` being a version from before it was asked for.
pub(super) fn permitted(permit: Permit, seen: Version) -> Refusal {
    match permit {
        Permit::Yes | Permit::Hold => Refusal::Hold(Until { lsn: NEVER, seen }),
        Permit::NotPrimary => Refusal::NotPrimary,
        Permit::Stopped => Refusal::Stopped,
    }
}
