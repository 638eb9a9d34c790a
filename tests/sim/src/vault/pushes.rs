//! Follow streams: everything after a position, a little at a time.

use std::sync::Arc;

use tanist_db_core::ids::Lsn;
use tanist_replication::limits::{FOLLOW_PAUSE, LOG_READ_BYTES};
use tanist_replication::vault::feed::Feed;
use tanist_replication::vault::segment::LogFrame;
use tanist_replication::wire::message::{Answer, Request};

use super::{CLUSTER, Own, Vault};
use crate::env::Env;
use crate::net::{ConnId, Payload, Stream, Way};

/// One stream.
#[derive(Debug)]
pub(super) struct Push {
    feed: Feed,
    pausing: bool,
}

impl Vault {
    pub(super) fn open_push(&mut self, conn: ConnId, stream: Stream, request: &Request, env: &mut Env) {
        let (true, Request::Follow { after }) = (self.members.contains_key(&conn), request) else { return };
        let disk = Arc::clone(&self.disk);
        match Feed::open(disk, CLUSTER, Lsn(*after), &self.writing.state().extent) {
            Ok((feed, answer)) => {
                self.pushes.insert((conn, stream), Push { feed, pausing: false });
                self.answer(conn, stream, answer, env);
                self.push(conn, stream, env);
            }
            Err(answer) => self.answer(conn, stream, answer, env),
        }
    }

    pub(super) fn push_all(&mut self, env: &mut Env) {
        let streams: Vec<_> = self.pushes.keys().copied().collect();
        streams.into_iter().for_each(|(conn, stream)| self.push(conn, stream, env));
    }

    pub(super) fn push_again(&mut self, conn: ConnId, stream: Stream, env: &mut Env) {
        if let Some(push) = self.pushes.get_mut(&(conn, stream)) {
            push.pausing = false;
            self.push(conn, stream, env);
        }
    }

    fn push(&mut self, conn: ConnId, stream: Stream, env: &mut Env) {
        let durable = self.durable();
        let Some(push) = self.pushes.get_mut(&(conn, stream)) else { return };
        if push.pausing || push.feed.after() >= durable {
            return;
        }
        while push.feed.after() < durable {
            match Self::next(&mut push.feed, &self.writing) {
                Ok(frames) => {
                    for frame in frames {
                        env.send(conn, Way::Down, stream, Payload::Frame(frame.bytes().clone()));
                    }
                }
                Err(answer) => {
                    self.pushes.remove(&(conn, stream));
                    return self.answer(conn, stream, answer, env);
                }
            }
        }
        push.pausing = true;
        let after = push.feed.after().0;
        self.answer(conn, stream, Answer::Durable { lsn: after }, env);
        self.later(FOLLOW_PAUSE, Own::Push(conn, stream), env);
    }

    fn next(feed: &mut Feed, writing: &super::Writing) -> Result<Vec<LogFrame>, Answer> {
        if let Some(frames) = feed.from_memory(&writing.log().recent().lock()) {
            return Ok(frames);
        }
        let mut reader = feed.reader();
        let read = reader.read(&writing.state().extent, LOG_READ_BYTES);
        feed.from_files(reader, read)
    }
}
