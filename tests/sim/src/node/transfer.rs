//! Simulates the transfer actor: performs the steps of an image upload on the network and the clock.

use std::sync::Arc;
use std::time::Duration;

use tanist_db_core::ids::Epoch;
use tanist_replication::node::{ImageReport, ImageUpload, NotFrozen, Uploaded};
use tanist_replication::stream::Load;
use tanist_replication::wire::message::Answer;

use super::NodeEvent;
use super::process::Process;
use crate::env::Env;
use crate::fault::Moment;
use crate::net::{ConnId, Payload, Stream};

/// A busy shard is looked at again after this; nodes are woken when it is free.
const FREEZE_AGAIN: Duration = Duration::from_millis(1);
/// Memory that the pages kept for an image may take, in percent of the data.
const MEMORY_PERCENT: u16 = 50;

/// An upload, and the connection that it is for.
#[derive(Debug)]
pub(super) struct Carry {
    conn: ConnId,
    /// `None` until a version is frozen.
    stream: Option<Stream>,
    upload: ImageUpload,
}

impl Process {
    pub(super) fn begin_carry(&mut self, conn: ConnId, epoch: Epoch, env: &mut Env) {
        self.drop_carry_stream(env);
        let upload = ImageUpload::new(Arc::clone(&self.shared), epoch);
        self.carry = Some(Carry { conn, stream: None, upload });
        self.freeze(env);
    }

    pub(super) fn freeze(&mut self, env: &mut Env) {
        let now = self.now();
        let Some(carry) = self.carry.as_mut().filter(|carry| carry.stream.is_none()) else { return };
        let version = match carry.upload.try_freeze(&*self.clock, MEMORY_PERCENT) {
            Ok(version) => version,
            Err(NotFrozen::Busy(_)) => return self.later(FREEZE_AGAIN, NodeEvent::Freeze, env),
            Err(NotFrozen::Over(why)) => return self.end_carry(Err(why), env),
        };
        let of = self.shared.engine.epoch();
        env.oracle.digest(of, (version.cut(), version.content_hash()), "a frozen version");
        env.moment(Moment::Frozen, self.node);
        let (conn, opening) = (carry.conn, carry.upload.carry(version, now));
        self.streams += 1;
        let stream = Stream::Put(self.streams);
        carry.stream = Some(stream);
        self.send(conn, stream, Payload::Request(0, opening), env);
    }

    pub(super) fn carry_told(&mut self, conn: ConnId, stream: Stream, answer: Answer, env: &mut Env) {
        let now = self.now();
        let place = (conn, Some(stream));
        let Some(carry) = self.carry.as_mut().filter(|carry| (carry.conn, carry.stream) == place) else { return };
        match carry.upload.told(answer, now) {
            Ok(Uploaded::Ready) => self.next_chunk(env),
            Ok(Uploaded::Stored(report)) => self.end_carry(Ok(report), env),
            Err(why) => self.end_carry(Err(why), env),
        }
    }

    pub(super) fn next_chunk(&mut self, env: &mut Env) {
        let now = self.now();
        let Some(Carry { conn, stream: Some(stream), upload }) = &mut self.carry else { return };
        let (conn, stream) = (*conn, *stream);
        match upload.next_load() {
            None => {}
            Some(Load::End(end)) => self.send(conn, stream, Payload::Request(0, end), env),
            Some(Load::Chunk(chunk)) => {
                let pause = upload.pause(now);
                self.send(conn, stream, Payload::Frame(chunk), env);
                let wait = pause.unwrap_or_default() + env.random.micros(20, 600);
                self.later(wait, NodeEvent::NextChunk, env);
            }
        }
    }

    pub(super) fn stop_carry(&mut self, env: &mut Env) {
        if self.carry.is_some() {
            self.end_carry(ImageUpload::stopped(), env);
        }
    }

    /// A connection has ended: what was carried over it is lost.
    pub(super) fn carry_lost(&mut self, conn: ConnId, env: &mut Env) {
        if self.carry.as_ref().is_some_and(|carry| carry.conn == conn) {
            self.end_carry(Err("the connection was lost".to_owned()), env);
        }
    }

    fn end_carry(&mut self, result: Result<ImageReport, String>, env: &mut Env) {
        self.drop_carry_stream(env);
        self.mail(NodeEvent::Carried(result), env);
    }

    fn drop_carry_stream(&mut self, env: &mut Env) {
        if let Some(Carry { conn, stream: Some(stream), .. }) = self.carry.take() {
            self.send(conn, stream, Payload::Reset, env);
        }
    }
}
