//! The transfer's part: freeze, and carry the version to the vault.

use std::time::Duration;

use tanist_db_core::ids::{Epoch, Lsn};
use tanist_replication::stream::{Carrying, Heard, Load};
use tanist_replication::wire::message::Answer;

use super::NodeEvent;
use super::process::Process;
use crate::env::Env;
use crate::fault::Moment;
use crate::net::{ConnId, Payload, Stream};

/// A busy shard is looked at again after this; nodes are woken when it is free.
const FREEZE_AGAIN: Duration = Duration::from_millis(1);

/// What became of an image.
#[derive(Debug)]
pub(crate) struct Carried(pub Result<Lsn, String>);

/// An upload.
#[derive(Debug)]
pub(super) struct Carry {
    conn: ConnId,
    stream: Stream,
    carrying: Carrying,
}

impl Process {
    pub(super) fn begin_carry(&mut self, conn: ConnId, epoch: Epoch, env: &mut Env) {
        self.freezing = Some((conn, epoch));
        self.freeze(env);
    }

    pub(super) fn freeze(&mut self, env: &mut Env) {
        let Some((conn, epoch)) = self.freezing.take() else { return };
        let frozen =
            self.serving.enter(self.now()).map(|_executing| Carrying::try_freeze(&self.engine, &*self.clock, 50));
        let Ok(frozen) = frozen else {
            let why = Err("this node must not execute for now".to_owned());
            return self.mail(NodeEvent::Carried(Carried(why)), env);
        };
        let Ok((version, _)) = frozen else {
            self.freezing = Some((conn, epoch));
            return self.later(FREEZE_AGAIN, NodeEvent::Freeze, env);
        };
        self.log_bytes = 0;
        env.oracle.digest(version.meta().epoch, (version.cut(), version.content_hash()), "a frozen version");
        env.moment(Moment::Frozen, self.node);
        let stream = Stream::Put(self.stream());
        let carrying = Carrying::new(version, epoch, self.engine.memory_bytes(), self.now());
        self.send(conn, stream, Payload::Request(0, carrying.opening()), env);
        self.carry = Some(Carry { conn, stream, carrying });
    }

    pub(super) fn carry_told(&mut self, conn: ConnId, stream: Stream, answer: Answer, env: &mut Env) {
        let Some(carry) = self.carry.as_mut().filter(|carry| (carry.conn, carry.stream) == (conn, stream)) else {
            return;
        };
        match carry.carrying.told(answer) {
            Ok(Heard::Ready) => self.next_chunk(env),
            Ok(Heard::Stored) => {
                let cut = carry.carrying.cut();
                self.end_carry(Ok(cut), env);
            }
            Err(why) => self.end_carry(Err(why), env),
        }
    }

    pub(super) fn next_chunk(&mut self, env: &mut Env) {
        let now = self.now();
        let Some(carry) = &mut self.carry else { return };
        let (conn, stream) = (carry.conn, carry.stream);
        match carry.carrying.next_load() {
            None => {}
            Some(Load::End(end)) => self.send(conn, stream, Payload::Request(0, end), env),
            Some(Load::Chunk(chunk)) => {
                let pause = carry.carrying.pause(&self.engine, now);
                self.serving.room_freed();
                self.send(conn, stream, Payload::Frame(chunk), env);
                let wait = pause.unwrap_or_default() + env.random.micros(20, 600);
                self.later(wait, NodeEvent::NextChunk, env);
            }
        }
    }

    pub(super) fn stop_carry(&mut self, env: &mut Env) {
        if self.carry.is_some() || self.freezing.take().is_some() {
            self.end_carry(Err("given up with the office that froze it".to_owned()), env);
        }
    }

    /// A connection has ended: what was carried over it is lost.
    pub(super) fn carry_lost(&mut self, conn: ConnId, env: &mut Env) {
        let carried = self.carry.as_ref().is_some_and(|carry| carry.conn == conn);
        if carried || self.freezing.take_if(|(over, _)| *over == conn).is_some() {
            self.end_carry(Err("the connection was lost".to_owned()), env);
        }
    }

    fn end_carry(&mut self, result: Result<Lsn, String>, env: &mut Env) {
        if let Some(carry) = self.carry.take() {
            self.send(carry.conn, carry.stream, Payload::Reset, env);
        }
        self.mail(NodeEvent::Carried(Carried(result)), env);
    }
}
