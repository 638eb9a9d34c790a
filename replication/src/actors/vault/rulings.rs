//! Requests of streams to the lease authority: may this be written?

use std::sync::Arc;

use actix::prelude::{Context, Handler, Message};
use tanist_db_core::ids::{Epoch, Lsn};

use super::VaultServer;
use super::writer::QueuePermit;
use crate::vault::lease::authority::{AppendRuling, StreamId};
use crate::vault::lease::roster::Caller;
use crate::vault::log::acknowledge::stopped;
use crate::vault::log::segment::LogFrame;
use crate::wire::message::Answer;

/// Whether the caller may write under an epoch; with a cut, whether an image up to there may be published.
#[derive(Message)]
#[rtype(result = "Result<(), Answer>")]
pub(super) struct MayWrite {
    pub(super) caller: Arc<Caller>,
    pub(super) epoch: Epoch,
    pub(super) cut: Option<Lsn>,
}

impl Handler<MayWrite> for VaultServer {
    type Result = Result<(), Answer>;

    fn handle(&mut self, ask: MayWrite, _: &mut Context<Self>) -> Self::Result {
        let durable = self.durable();
        match ask.cut {
            None => self.lease.authority().may_write(&ask.caller, ask.epoch),
            Some(cut) => self.lease.authority().may_publish(&ask.caller, ask.epoch, cut, durable),
        }
    }
}

/// Opens an append stream.
#[derive(Message)]
#[rtype(result = "Result<StreamId, Answer>")]
pub(super) struct OpenAppend {
    pub(super) caller: Arc<Caller>,
    pub(super) epoch: Epoch,
}

impl Handler<OpenAppend> for VaultServer {
    type Result = Result<StreamId, Answer>;

    fn handle(&mut self, open: OpenAppend, _: &mut Context<Self>) -> Self::Result {
        self.lease.authority().open_append(&open.caller, open.epoch)
    }
}

/// Permits an append stream to begin after `durable`.
#[derive(Message)]
#[rtype(result = "Result<(), Answer>")]
pub(super) struct BeginAppend {
    pub(super) caller: Arc<Caller>,
    pub(super) stream: StreamId,
    pub(super) durable: Lsn,
}

impl Handler<BeginAppend> for VaultServer {
    type Result = Result<(), Answer>;

    fn handle(&mut self, begin: BeginAppend, _: &mut Context<Self>) -> Self::Result {
        self.lease.authority().begin_append(&begin.caller, begin.stream, begin.durable)
    }
}

/// A frame of an append stream, with room for it in the log writer's queue. If it is to be written, it is queued.
#[derive(Message)]
#[rtype(result = "Result<(), Answer>")]
pub(super) struct AppendFrame {
    pub(super) caller: Arc<Caller>,
    pub(super) stream: StreamId,
    pub(super) frame: LogFrame,
    pub(super) room: QueuePermit,
}

impl Handler<AppendFrame> for VaultServer {
    type Result = Result<(), Answer>;

    fn handle(&mut self, append: AppendFrame, _: &mut Context<Self>) -> Self::Result {
        let AppendFrame { caller, stream, frame, room } = append;
        match self.lease.authority().append(&caller, stream, &frame) {
            AppendRuling::Known => Ok(()),
            AppendRuling::End(answer) => Err(answer),
            AppendRuling::Write => self.shared.log.write(frame, room).map_err(|_| stopped()),
        }
    }
}
