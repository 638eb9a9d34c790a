//! Streams between nodes, on which a standby's sessions have commands executed by the primary.
//!
//! What is sent on one arrives in order. If a cut loses something of it, nothing more arrives, and each end hears later that the stream is
//! over.

use std::collections::BTreeMap;
use std::time::Duration;

use tanist::front::Greeting;
use tanist_replication::limits::IDLE_MAX;

use super::thread::{Dial, Numbers};
use super::wire::End;
use super::{Conversation, LINKED, SessionId};
use crate::clock::Time;
use crate::env::Env;
use crate::event::Event;
use crate::node::process::Process;

/// A process: its node, and which start of it.
pub(crate) type ProcessId = (usize, u64);

/// A stream, by its number.
pub(crate) type LinkId = u64;

/// What arrives at one end of a stream.
#[derive(Debug)]
pub(crate) enum Piece {
    /// It begins.
    Open {
        /// What the node at the other end says first.
        greeting: Greeting,
        /// The commands that come on it.
        numbers: Numbers,
    },
    /// Requests or replies.
    Bytes(Vec<u8>),
    /// The other end sends nothing more, or is gone.
    Shut,
}

/// One end of a stream.
struct LinkEnd {
    session: SessionId,
    peer: ProcessId,
    /// Of the end that has opened it; the other end's is the session's own.
    wire: Option<End>,
    /// The other end knows that nothing more is sent.
    is_shut: bool,
    /// Something got lost: nothing more arrives.
    is_broken: bool,
    /// When the newest piece arrives.
    newest: Time,
}

/// The ends that a process has.
#[derive(Default)]
pub(super) struct Links {
    ends: BTreeMap<LinkId, LinkEnd>,
}

impl LinkEnd {
    fn new(session: SessionId, peer: ProcessId, wire: Option<End>) -> LinkEnd {
        LinkEnd { session, peer, wire, is_shut: false, is_broken: false, newest: Time(0) }
    }

    fn send(&mut self, from: ProcessId, link: LinkId, piece: Piece, env: &mut Env) {
        if self.is_broken {
            return;
        }
        let to = self.peer;
        if env.links_cut[from.0] || env.links_cut[to.0] {
            self.is_broken = true;
            for (from, to) in [(from, to), (to, from)] {
                let wait = IDLE_MAX + env.random.millis(0, 40);
                env.after(wait, Event::Link { from, to, link, piece: Piece::Shut });
            }
            return;
        }
        let delay = env.net.delay(&mut env.random);
        self.newest = env.now.after(delay).max(Time(self.newest.0 + 1));
        env.at(self.newest, Event::Link { from, to, link, piece });
    }
}

impl Process {
    fn id(&self) -> ProcessId {
        (self.node, self.life)
    }

    /// A piece has come on a stream.
    pub(in crate::node) fn link(&mut self, from: ProcessId, link: LinkId, piece: Piece, env: &mut Env) {
        if let Piece::Open { greeting, numbers } = piece {
            let session = SessionId { client: LINKED, number: link };
            let conversation = Conversation::linked(greeting, numbers, &self.context, &self.clock);
            self.sessions.all.insert(session, conversation);
            self.sessions.links.ends.insert(link, LinkEnd::new(session, from, None));
            return self.poll(session, env);
        }
        let Some(end) = self.sessions.links.ends.get_mut(&link) else { return };
        let session = end.session;
        let wire = match &mut end.wire {
            Some(wire) => wire,
            None => match self.sessions.all.get_mut(&session) {
                Some(conversation) => &mut conversation.wire,
                None => return,
            },
        };
        match piece {
            Piece::Bytes(bytes) => wire.send(&bytes),
            Piece::Shut | Piece::Open { .. } => wire.close(),
        }
        self.poll(session, env);
    }

    /// Sends what the session `id` has left for its streams.
    pub(super) fn serve_links(&mut self, id: SessionId, dials: Vec<Dial>, env: &mut Env) {
        let me = self.id();
        for Dial { primary, greeting, end, numbers } in dials {
            env.links += 1;
            let link = env.links;
            let Some(node) = env.scenario.node(&primary) else { continue };
            let mut end = LinkEnd::new(id, (node, env.lives[node]), Some(end));
            end.send(me, link, Piece::Open { greeting, numbers }, env);
            self.sessions.links.ends.insert(link, end);
        }
        for (link, end) in self.sessions.links.ends.iter_mut().filter(|(_, end)| end.session == id) {
            let Some(wire) = &mut end.wire else { continue };
            let (bytes, is_shut) = (wire.take(), wire.is_shut());
            if !bytes.is_empty() {
                end.send(me, *link, Piece::Bytes(bytes), env);
            }
            if is_shut && !std::mem::replace(&mut end.is_shut, true) {
                end.send(me, *link, Piece::Shut, env);
            }
        }
        self.sessions.links.ends.retain(|_, end| end.wire.as_ref().is_none_or(|wire| !wire.is_dropped()));
    }

    /// A session that another node has opened has written `bytes`, and may be over.
    pub(super) fn answer_link(&mut self, link: LinkId, bytes: Vec<u8>, is_over: bool, env: &mut Env) {
        let me = self.id();
        let Some(end) = self.sessions.links.ends.get_mut(&link) else { return };
        if !bytes.is_empty() {
            end.send(me, link, Piece::Bytes(bytes), env);
        }
        if is_over {
            end.send(me, link, Piece::Shut, env);
            self.sessions.links.ends.remove(&link);
            self.sessions.all.remove(&SessionId { client: LINKED, number: link });
        }
    }

    /// The process is gone. The other ends hear of it soon, or by the silence.
    pub(super) fn drop_links(&mut self, env: &mut Env) {
        let me = self.id();
        for (link, end) in std::mem::take(&mut self.sessions.links.ends) {
            let wait = if env.random.percent(50) { Duration::ZERO } else { IDLE_MAX };
            let wait = wait + env.random.millis(0, 40);
            env.after(wait, Event::Link { from: me, to: end.peer, link, piece: Piece::Shut });
        }
    }
}
