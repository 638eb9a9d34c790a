//! Does for the role driver what needs the shards, which a long command may hold for any time.
//!
//! - *Receives* from the role driver: [`Append`], whose position goes back to it as an event.
//! - *Ticks*: deletes keys that have expired, a bounded number at a time, and passes over shards that are held; gives memory of
//!   pages that have long been free back to the machine.
//! - *Fails* never; an epoch that is overtaken before it is begun is told to the role driver.
//! - *Drains* nothing: what has not been deleted is found by the next beat, or by the next primary.
//! - *Cleans up* nothing.

use std::sync::Arc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use tanist_db_core::ids::Epoch;

use super::role_driver::{Happened, RoleDriver};
use super::thread::Life;
use crate::limits::{BEAT_EVERY, EXPIRE_PAUSE, GIVE_BACK_EVERY};
use crate::node::Shared;
use crate::role::Event;

/// Append a record that no client has asked for.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Append {
    /// The first of an epoch.
    EpochStart(Epoch),
    /// One that changes nothing.
    Mark,
}

/// The actor.
pub(crate) struct Upkeep {
    shared: Arc<Shared>,
    role_driver: Addr<RoleDriver>,
    /// More has expired than one step deletes: the next is due soon.
    expires_on: bool,
    _life: Life,
}

impl Upkeep {
    pub(crate) fn new(shared: Arc<Shared>, role_driver: Addr<RoleDriver>, life: Life) -> Upkeep {
        Upkeep { shared, role_driver, expires_on: false, _life: life }
    }

    fn beat(&mut self, ctx: &mut Context<Self>) {
        if !self.expires_on {
            self.expire(ctx);
        }
    }

    fn expire(&mut self, ctx: &mut Context<Self>) {
        self.expires_on = false;
        let clock = &self.shared.options.clock;
        // What is deleted is appended, and nothing is while a switchover drains.
        let Ok(_executing) = self.shared.serving.enter(clock.monotonic()) else { return };
        if self.shared.engine.clean_up(clock.unix()) {
            self.expires_on = true;
            ctx.run_later(EXPIRE_PAUSE, Self::expire);
        }
    }

    fn give_back(&self) {
        let bytes = self.shared.engine.give_back(self.shared.options.clock.monotonic());
        if bytes > 0 {
            tracing::debug!("{:.1} MB of free pages went back to the machine", bytes as f64 / 1e6);
        }
    }
}

impl Actor for Upkeep {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(BEAT_EVERY, Self::beat);
        ctx.run_interval(GIVE_BACK_EVERY, |upkeep, _| upkeep.give_back());
    }
}

impl Handler<Append> for Upkeep {
    type Result = ();

    fn handle(&mut self, order: Append, _: &mut Context<Self>) {
        let engine = &self.shared.engine;
        let event = match order {
            Append::EpochStart(epoch) => {
                engine.try_begin_epoch(epoch).map_or(Event::Overtaken, |lsn| Event::Marked { lsn })
            }
            // A cut is a record like any other, and nobody needs this version.
            Append::Mark => Event::Marked { lsn: engine.freeze().cut() },
        };
        // There is one such order at a time, so at most one answer takes a place beyond the mailbox's bound.
        self.role_driver.do_send(Happened(event));
    }
}

impl Handler<super::Halt> for Upkeep {
    type Result = ();

    fn handle(&mut self, _: super::Halt, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
