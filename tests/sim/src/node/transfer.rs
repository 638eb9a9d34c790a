//! The transfer's part: freeze, and carry the version to the vault.

use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::image::ImageWalk;
use tanist_replication::limits::FROZEN_BYTES_MIN;
use tanist_replication::node::Pace;
use tanist_replication::wire::frame::{FrameKind, seal};
use tanist_replication::wire::message::{Answer, Request};

use super::NodeEvent;
use super::process::Process;
use crate::env::Env;
use crate::fault::Moment;
use crate::net::{ConnId, Payload, Stream};

/// What became of an image.
#[derive(Debug)]
pub(crate) struct Carried(pub Result<Lsn, String>);

/// An upload.
#[derive(Debug)]
pub(super) struct Carry {
    conn: ConnId,
    stream: Stream,
    cut: Lsn,
    /// Dropped when all of it is sent.
    walk: Option<ImageWalk>,
    pace: Pace,
    chunks: u32,
    bytes: u64,
}

impl Process {
    pub(super) fn begin_carry(&mut self, conn: ConnId, epoch: Epoch, env: &mut Env) {
        let share = self.engine.memory_bytes() / 2;
        self.engine.set_frozen_bytes_max(share.max(FROZEN_BYTES_MIN));
        let (version, _) = self.engine.freeze_timed(&*self.clock);
        self.log_bytes = 0;
        let cut = version.cut();
        env.oracle.digest(version.meta().epoch, (cut, version.content_hash()), "a frozen version");
        env.moment(Moment::Frozen, self.node);
        let stream = Stream::Put(self.stream());
        let pace = Pace::new(self.now(), self.engine.memory_bytes());
        self.carry = Some(Carry { conn, stream, cut, walk: Some(version.into_chunks()), pace, chunks: 0, bytes: 0 });
        self.send(conn, stream, Payload::Request(0, Request::ImagePut { epoch: epoch.0, cut: cut.0 }), env);
    }

    pub(super) fn carry_told(&mut self, conn: ConnId, stream: Stream, answer: Answer, env: &mut Env) {
        let Some(carry) = self.carry.as_ref().filter(|carry| (carry.conn, carry.stream) == (conn, stream)) else {
            return;
        };
        let cut = carry.cut;
        match answer {
            Answer::ImageReady => self.next_chunk(env),
            Answer::ImageStored => self.end_carry(Ok(cut), env),
            Answer::Fenced { epoch } => self.end_carry(Err(format!("epoch {epoch} has begun")), env),
            other => self.end_carry(Err(format!("{other:?}")), env),
        }
    }

    pub(super) fn next_chunk(&mut self, env: &mut Env) {
        let now = self.now();
        let (held, held_max) = (self.engine.frozen_bytes(), self.engine.frozen_bytes_max());
        let Some(carry) = &mut self.carry else { return };
        let Some(walk) = &mut carry.walk else { return };
        let mut chunk = Vec::new();
        let (conn, stream) = (carry.conn, carry.stream);
        if walk.next_chunk(&mut chunk) {
            carry.chunks += 1;
            carry.bytes += chunk.len() as u64;
            let pause = carry.pace.sent(chunk.len() as u64, now, held, held_max);
            self.serving.room_freed();
            self.send(conn, stream, Payload::Frame(seal(FrameKind::Chunk, &chunk)), env);
            let wait = pause.unwrap_or_default() + env.random.micros(20, 600);
            self.later(wait, NodeEvent::NextChunk, env);
        } else {
            carry.walk = None;
            let (chunks, bytes) = (carry.chunks, carry.bytes);
            self.send(conn, stream, Payload::Request(0, Request::ImageEnd { chunks, bytes }), env);
        }
    }

    pub(super) fn stop_carry(&mut self, env: &mut Env) {
        if self.carry.is_some() {
            self.end_carry(Err("given up with the office that froze it".to_owned()), env);
        }
    }

    /// A connection has ended: what was carried over it is lost.
    pub(super) fn carry_lost(&mut self, conn: ConnId, env: &mut Env) {
        if self.carry.as_ref().is_some_and(|carry| carry.conn == conn) {
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
