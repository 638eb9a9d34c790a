//! Does the role driver's work that needs shard locks, which a long command may hold for any time.
//!
//! - *Receives* from the role driver: [`AppendRecord`], whose position goes back to it as an event.
//! - *Ticks*: deletes expired keys, a bounded number at a time, and skips shards that are locked; returns memory of pages that
//!   have long been free to the operating system.
//! - *Fails* never; if a newer epoch appears before this one has begun, it reports that to the role driver.
//! - *Drains* nothing: what has not been deleted is found at the next tick, or by the next primary.
//! - *Cleans up* nothing.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use tanist_db_core::clock::Clock;

use super::role_driver::{Happened, RoleDriver};
use super::thread::Life;
use crate::limits::{BEAT_EVERY, GIVE_BACK_EVERY};
use crate::node::{NodeOptions, OwnRecord, Shared, Upkeep};

/// Append a record that no client has asked for.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AppendRecord(pub(crate) OwnRecord);

/// The actor.
pub(crate) struct UpkeepActor {
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    upkeep: Upkeep,
    role_driver: Addr<RoleDriver>,
    _life: Life,
}

impl UpkeepActor {
    pub(crate) fn new(
        options: &NodeOptions,
        shared: Arc<Shared>,
        role_driver: Addr<RoleDriver>,
        life: Life,
    ) -> UpkeepActor {
        let (clock, upkeep) = (Arc::clone(&options.clock), Upkeep::new(Arc::clone(&shared)));
        UpkeepActor { clock, shared, upkeep, role_driver, _life: life }
    }

    fn beat(&mut self, ctx: &mut Context<Self>) {
        let more = self.upkeep.beat(self.clock.monotonic(), self.clock.unix());
        Self::expire_after(more, ctx);
    }

    fn expire_after(more: Option<Duration>, ctx: &mut Context<Self>) {
        if let Some(pause) = more {
            ctx.run_later(pause, |actor, ctx| {
                let more = actor.upkeep.expire(actor.clock.monotonic(), actor.clock.unix());
                Self::expire_after(more, ctx);
            });
        }
    }

    fn give_back(&self) {
        let bytes = self.shared.engine.give_back(self.clock.monotonic());
        if bytes > 0 {
            tracing::debug!("{:.1} MB of free pages went back to the machine", bytes as f64 / 1e6);
        }
    }
}

impl Actor for UpkeepActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(BEAT_EVERY, Self::beat);
        ctx.run_interval(GIVE_BACK_EVERY, |actor, _| actor.give_back());
    }
}

impl Handler<AppendRecord> for UpkeepActor {
    type Result = ();

    fn handle(&mut self, AppendRecord(order): AppendRecord, _: &mut Context<Self>) {
        // There is one such order at a time, so at most one answer takes a place beyond the mailbox's bound.
        self.role_driver.do_send(Happened(self.upkeep.append(order)));
    }
}

impl Handler<super::Halt> for UpkeepActor {
    type Result = ();

    fn handle(&mut self, _: super::Halt, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
