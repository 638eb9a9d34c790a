//! Upload and download of images.

use std::sync::Arc;

use bytes::Bytes;
use tanist_db_core::clock::Clock;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_replication::limits::IMAGE_CUT_WAIT;
use tanist_replication::vault::StorageError;
use tanist_replication::vault::images::{Finished, Upload};
use tanist_replication::vault::lease::roster::Caller;
use tanist_replication::wire::frame::Frame;
use tanist_replication::wire::message::{Answer, Request};

use super::{Own, Vault};
use crate::env::Env;
use crate::net::{ConnId, Payload, Stream, Way};

/// An upload.
#[derive(Debug)]
pub(super) struct Put {
    caller: Arc<Caller>,
    epoch: Epoch,
    cut: Lsn,
    upload: Option<Upload>,
    finished: Option<Finished>,
}

fn refused(error: &StorageError) -> Answer {
    Answer::Refused { why: error.to_string() }
}

impl Vault {
    pub(super) fn put_request(&mut self, conn: ConnId, stream: Stream, request: &Request, env: &mut Env) {
        let result = match request {
            Request::ImagePut { epoch, cut } => self.open_put(conn, stream, Epoch(*epoch), Lsn(*cut)),
            Request::ImageEnd { chunks, bytes } => {
                env.moment(crate::fault::Moment::ImageStoring, 0);
                self.end_put(conn, stream, *chunks, *bytes, env)
            }
            _ => return,
        };
        match result {
            Ok(Some(answer)) => self.answer(conn, stream, answer, env),
            Ok(None) => {}
            Err(answer) => self.give_up(conn, stream, answer, env),
        }
    }

    fn open_put(&mut self, conn: ConnId, stream: Stream, epoch: Epoch, cut: Lsn) -> Result<Option<Answer>, Answer> {
        let Some(member) = self.members.get(&conn) else { return Ok(None) };
        let caller = Arc::clone(&member.caller);
        self.lease.authority().may_write(&caller, epoch)?;
        let upload = self.images.begin(cut, epoch).map_err(|error| refused(&error))?;
        self.puts.insert((conn, stream), Put { caller, epoch, cut, upload: Some(upload), finished: None });
        Ok(Some(Answer::ImageReady))
    }

    pub(super) fn put_chunk(&mut self, conn: ConnId, stream: Stream, frame: Bytes, env: &mut Env) {
        let Some(upload) = self.puts.get_mut(&(conn, stream)).and_then(|put| put.upload.as_mut()) else { return };
        let added = Frame::open(frame)
            .map_err(|error| error.to_string())
            .and_then(|frame| upload.add(&[frame]).map_err(|error| error.to_string()));
        if let Err(why) = added {
            self.give_up(conn, stream, Answer::Refused { why }, env);
        }
    }

    fn end_put(
        &mut self,
        conn: ConnId,
        stream: Stream,
        chunks: u32,
        bytes: u64,
        env: &mut Env,
    ) -> Result<Option<Answer>, Answer> {
        let durable = self.durable();
        let Some(put) = self.puts.get_mut(&(conn, stream)) else { return Ok(None) };
        let Some(upload) = put.upload.take() else { return Ok(None) };
        put.finished = Some(upload.finish(chunks, bytes, self.clock.unix()).map_err(|error| refused(&error))?);
        if put.cut <= durable {
            self.publish(conn, stream, false, env);
        } else {
            // Its records come on another stream.
            self.later(IMAGE_CUT_WAIT, Own::CutLate(conn, stream), env);
        }
        Ok(None)
    }

    /// Publishes the uploads that waited for what is durable now.
    pub(super) fn publish_reached(&mut self, env: &mut Env) {
        let streams: Vec<_> = self.puts.keys().copied().collect();
        streams.into_iter().for_each(|(conn, stream)| self.publish(conn, stream, false, env));
    }

    /// Publishes an upload that is complete, if the log has reached its cut or is not waited for any more.
    pub(super) fn publish(&mut self, conn: ConnId, stream: Stream, late: bool, env: &mut Env) {
        let durable = self.durable();
        let Some(put) = self.puts.get_mut(&(conn, stream)) else { return };
        if put.finished.is_none() || (put.cut > durable && !late) {
            return;
        }
        let Some(finished) = put.finished.take() else { return };
        let (cut, epoch) = (put.cut, put.epoch);
        let allowed = self.lease.authority().may_publish(&put.caller, epoch, cut, durable);
        let stored = allowed.and_then(|()| self.images.publish(finished).map_err(|error| refused(&error)));
        self.puts.remove(&(conn, stream));
        let answer = match stored {
            Ok(oldest) => {
                env.say(format_args!("vault: image at {cut} of epoch {epoch} stored"));
                env.oracle.published(cut);
                self.writing.trim(oldest);
                Answer::ImageStored
            }
            Err(answer) => answer,
        };
        self.answer(conn, stream, answer, env);
    }

    fn give_up(&mut self, conn: ConnId, stream: Stream, answer: Answer, env: &mut Env) {
        self.puts.remove(&(conn, stream));
        self.answer(conn, stream, answer, env);
    }

    pub(super) fn open_get(&mut self, conn: ConnId, stream: Stream, env: &mut Env) {
        match self.images.open_newest() {
            Ok(Some(reader)) => {
                self.answer(conn, stream, Answer::Image(reader.view()), env);
                self.gets.insert((conn, stream), reader);
                self.next_chunk(conn, stream, env);
            }
            Ok(None) => self.answer(conn, stream, Answer::NoImage, env),
            Err(error) => self.answer(conn, stream, refused(&error), env),
        }
    }

    pub(super) fn next_chunk(&mut self, conn: ConnId, stream: Stream, env: &mut Env) {
        let Some(reader) = self.gets.get_mut(&(conn, stream)) else { return };
        match reader.read(1) {
            Ok(frames) if frames.is_empty() => drop(self.gets.remove(&(conn, stream))),
            Ok(frames) => {
                for frame in frames {
                    env.send(conn, Way::Down, stream, Payload::Frame(frame));
                }
                let pause = env.random.micros(50, 800);
                self.later(pause, Own::NextChunk(conn, stream), env);
            }
            Err(error) => {
                self.gets.remove(&(conn, stream));
                self.answer(conn, stream, refused(&error), env);
            }
        }
    }
}
