//! Follow streams: send all records after a position, a little at a time.

use std::sync::Arc;

use tanist_db_core::ids::Lsn;
use tanist_replication::limits::{FOLLOW_PAUSE, LOG_READ_BYTES};
use tanist_replication::vault::log::feed::{Feed, FeedStep};
use tanist_replication::wire::message::Request;

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
        let Some(push) = self.pushes.get_mut(&(conn, stream)).filter(|push| !push.pausing) else { return };
        let state = self.writing.state();
        let answer = loop {
            let frames = match push.feed.step(state, &self.writing.log().recent().lock()) {
                Ok(FeedStep::Send(frames)) => Ok(frames),
                Ok(FeedStep::Read(mut reader)) => {
                    let read = reader.read(&state.extent, LOG_READ_BYTES);
                    push.feed.from_files(reader, read)
                }
                Ok(FeedStep::CaughtUp(answer)) => {
                    push.pausing = true;
                    self.later(FOLLOW_PAUSE, Own::Push(conn, stream), env);
                    break answer;
                }
                Ok(FeedStep::Wait) => return,
                Err(answer) => Err(answer),
            };
            match frames {
                Ok(frames) => {
                    for frame in frames {
                        env.send(conn, Way::Down, stream, Payload::Frame(frame.bytes().clone()));
                    }
                }
                Err(answer) => {
                    self.pushes.remove(&(conn, stream));
                    break answer;
                }
            }
        };
        self.answer(conn, stream, answer, env);
    }
}
