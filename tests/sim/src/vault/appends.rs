//! Append streams: frames in, durable positions out.

use std::sync::Arc;

use bytes::Bytes;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_replication::vault::lease::authority::{AppendRuling, StreamId};
use tanist_replication::vault::lease::roster::Caller;
use tanist_replication::vault::log::acknowledge::Acknowledger;
use tanist_replication::vault::log::segment::LogFrame;
use tanist_replication::vault::log::writer::LogState;
use tanist_replication::wire::frame::Frame;
use tanist_replication::wire::message::{Answer, Request};

use super::{Own, Vault};
use crate::env::Env;
use crate::net::{ConnId, Stream};

/// One stream.
#[derive(Debug)]
pub(super) struct Append {
    caller: Arc<Caller>,
    stream: StreamId,
    epoch: Epoch,
    /// Set when what older streams had sent is on disk or refused.
    acknowledger: Option<Acknowledger>,
}

impl Vault {
    pub(super) fn open_append(&mut self, conn: ConnId, stream: Stream, request: &Request, env: &mut Env) {
        let (Some(member), Request::Append { epoch }) = (self.members.get(&conn), request) else { return };
        let (caller, epoch) = (Arc::clone(&member.caller), Epoch(*epoch));
        match self.lease.authority().open_append(&caller, epoch) {
            Ok(number) => {
                let append = Append { caller, stream: number, epoch, acknowledger: None };
                self.appends.insert((conn, stream), append);
                self.writing.barrier(conn, stream);
            }
            Err(answer) => self.answer(conn, stream, answer, env),
        }
    }

    pub(super) fn begin_append(&mut self, conn: ConnId, stream: Stream, state: &LogState, env: &mut Env) {
        let Some(append) = self.appends.get_mut(&(conn, stream)) else { return };
        match self.lease.authority().begin_append(&append.caller, append.stream, state.extent.durable) {
            Ok(()) => {
                append.acknowledger = Some(Acknowledger::new(state));
                let durable = state.extent.durable.0;
                self.answer(conn, stream, Answer::AppendReady { durable }, env);
            }
            Err(answer) => self.end_append(conn, stream, answer, env),
        }
    }

    pub(super) fn append(&mut self, conn: ConnId, stream: Stream, frame: Bytes, env: &mut Env) {
        let Some(append) = self.appends.get_mut(&(conn, stream)) else { return };
        let frame = match Frame::open(frame).map_err(Into::into).and_then(LogFrame::of) {
            Ok(frame) => frame,
            Err(error) => return env.oracle.fail("harness", format!("a frame was damaged on its way: {error}")),
        };
        let last = frame.last;
        match self.lease.authority().append(&append.caller, append.stream, &frame) {
            AppendRuling::End(answer) => return self.end_append(conn, stream, answer, env),
            AppendRuling::Known => {}
            AppendRuling::Write => {
                env.oracle.accepted(frame.epoch);
                self.writing.frame(frame);
            }
        }
        if let Some(acknowledger) = &mut append.acknowledger {
            acknowledger.accepted(last);
        }
        self.acknowledge(conn, stream, env);
    }

    fn acknowledge(&mut self, conn: ConnId, stream: Stream, env: &mut Env) {
        let Some(append) = self.appends.get_mut(&(conn, stream)) else { return };
        let Some(acknowledger) = &mut append.acknowledger else { return };
        match acknowledger.news(self.writing.state()) {
            Ok(Some(answer)) => {
                if let Answer::Durable { lsn } = answer {
                    env.oracle.acknowledged(append.epoch, Lsn(lsn));
                }
                self.answer(conn, stream, answer, env);
            }
            Ok(None) => {}
            Err(answer) => self.end_append(conn, stream, answer, env),
        }
    }

    pub(super) fn acknowledge_all(&mut self, env: &mut Env) {
        let streams: Vec<_> = self.appends.keys().copied().collect();
        streams.into_iter().for_each(|(conn, stream)| self.acknowledge(conn, stream, env));
    }

    /// The lease has changed: whoever may not write any more is told.
    pub(super) fn fence_appends(&mut self, env: &mut Env) {
        let streams: Vec<_> = self.appends.keys().copied().collect();
        for (conn, stream) in streams {
            let late = if env.random.percent(25) { 12_000 } else { 800 };
            let wait = env.random.micros(0, late);
            self.later(wait, Own::Fence(conn, stream), env);
        }
    }

    /// A stream's task has heard of that.
    pub(super) fn fence(&mut self, conn: ConnId, stream: Stream, env: &mut Env) {
        let Some(append) = self.appends.get(&(conn, stream)) else { return };
        if let Err(answer) = self.lease.authority().may_write(&append.caller, append.epoch) {
            self.end_append(conn, stream, answer, env);
        }
    }

    fn end_append(&mut self, conn: ConnId, stream: Stream, answer: Answer, env: &mut Env) {
        if self.appends.remove(&(conn, stream)).is_some() {
            self.answer(conn, stream, answer, env);
        }
    }
}
