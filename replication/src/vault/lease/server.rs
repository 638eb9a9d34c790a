//! The lease authority with the calls that wait for it, and the ways back to their askers, `W`.
//!
//! A change of the lease takes the time of a disk. Meanwhile other calls that depend on the lease wait, at most one a connection;
//! then whoever caused the change is answered, everyone hears the news, and those that waited are ruled on in their order.

use std::collections::VecDeque;
use std::sync::Arc;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::Lsn;

use crate::vault::LeaseAuthority;
use crate::vault::catalog::LeaseRecord;
use crate::vault::lease::authority::Ruling;
use crate::vault::lease::roster::{Caller, ConnectionId};
use crate::wire::message::{Answer, LeaseView, Request};

/// A call with the way back to its asker.
#[derive(Debug)]
pub struct Asked<W> {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// What.
    pub request: Request,
    /// Where the answer goes.
    pub way: W,
}

/// Something is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum LeaseEffect<W> {
    /// Answer this. Nobody may be left to hear it; what was decided holds all the same.
    Answer(W, Answer),
    /// Make the record durable behind every frame accepted so far, then say so by [`LeaseServer::persisted`]. If that fails the vault
    /// must stop.
    Persist {
        /// What to remember.
        record: LeaseRecord,
        /// Write the log's end into it first.
        seal: bool,
    },
    /// The lease has changed: every node is told, and whoever appends must ask whether it still may.
    News(LeaseView),
}

/// The driver of the lease authority.
#[derive(Debug)]
pub struct LeaseServer<W> {
    authority: LeaseAuthority,
    incarnation: u64,
    pub(crate) waiting: VecDeque<Asked<W>>,
    /// Whose call caused the change that is being made durable.
    change: Option<W>,
}

impl<W> LeaseServer<W> {
    /// A server around `authority`; `incarnation` tells two starts of the vault apart.
    #[must_use]
    pub fn new(authority: LeaseAuthority, incarnation: u64) -> LeaseServer<W> {
        LeaseServer { authority, incarnation, waiting: VecDeque::new(), change: None }
    }

    /// The authority, for what concerns neither the time nor a change of the lease.
    pub fn authority(&mut self) -> &mut LeaseAuthority {
        &mut self.authority
    }

    /// Who may write. The authority hears that the vault runs.
    pub fn view(&mut self, now: Monotonic) -> LeaseView {
        self.authority.awake(now);
        self.authority.view(now)
    }

    /// A peer was admitted; `durable` is the log's durable end. Returns the connection that it replaces, and its welcome.
    pub fn enter(&mut self, caller: &Caller, now: Monotonic, durable: Lsn) -> (Option<ConnectionId>, Answer) {
        self.authority.awake(now);
        let replaced = self.authority.enter(now, caller);
        let welcome = Answer::Welcome {
            incarnation: self.incarnation,
            lease_us: u64::try_from(self.authority.length().as_micros()).unwrap_or(u64::MAX),
            durable: durable.0,
            lease: self.authority.view(now),
        };
        (replaced, welcome)
    }

    /// A connection has ended: nobody waits there any more.
    pub fn leave(&mut self, connection: ConnectionId) {
        self.authority.leave(connection);
        self.forget(connection);
    }

    /// The asker on a connection waits no longer.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.waiting.retain(|asked| asked.caller.connection != connection);
    }

    /// To be called every few milliseconds. Returns the lease if it has run out, which is news for everyone.
    pub fn tick(&mut self, now: Monotonic) -> Option<LeaseView> {
        self.authority.awake(now);
        self.authority.tick(now).then(|| self.authority.view(now))
    }

    /// Rules on a call; `durable` is the log's durable end.
    pub fn call(&mut self, asked: Asked<W>, now: Monotonic, durable: Lsn) -> Option<LeaseEffect<W>> {
        self.authority.awake(now);
        match self.authority.call(now, &asked.caller, asked.request.clone(), durable) {
            Ruling::Answer(answer) => Some(LeaseEffect::Answer(asked.way, answer)),
            Ruling::Persist { record, seal } => {
                self.change = Some(asked.way);
                Some(LeaseEffect::Persist { record, seal })
            }
            Ruling::Wait => {
                self.waiting.push_back(asked);
                None
            }
        }
    }

    /// The change is durable, with the log's end at `sealed`. Returns what is to be done, in this order.
    pub fn persisted(&mut self, sealed: Lsn, now: Monotonic, durable: Lsn) -> Vec<LeaseEffect<W>> {
        self.authority.awake(now);
        let answer = self.authority.persisted(now, sealed);
        // Whoever caused it hears the answer before the news of it.
        let mut effects: Vec<_> = self.change.take().map(|way| LeaseEffect::Answer(way, answer)).into_iter().collect();
        effects.push(LeaseEffect::News(self.authority.view(now)));
        for asked in std::mem::take(&mut self.waiting) {
            effects.extend(self.call(asked, now, durable));
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::message::{Hello, PROTOCOL_VERSION, Peer};

    const NOW: Monotonic = Monotonic(1_000_000);
    const LEASE: Duration = Duration::from_secs(2);

    fn caller(node: &str, connection: u64) -> Arc<Caller> {
        let address = format!("{node}:1");
        let hello = Hello {
            version: PROTOCOL_VERSION,
            cluster: 1,
            peer: Peer::Database,
            node: node.to_owned(),
            incarnation: connection,
            pid: 0,
            resp_address: address.clone(),
            quic_address: address,
        };
        Arc::new(Caller { connection: ConnectionId(connection), hello })
    }

    fn server() -> LeaseServer<u32> {
        let authority = LeaseAuthority::new(NOW, LEASE, LeaseRecord::default(), Lsn(0));
        let mut server = LeaseServer::new(authority, 9);
        for (node, connection) in [("a", 1), ("b", 2)] {
            server.enter(&caller(node, connection), NOW, Lsn(0));
        }
        server
    }

    fn call(server: &mut LeaseServer<u32>, node: &str, connection: u64, way: u32) -> Option<LeaseEffect<u32>> {
        let asked = Asked { caller: caller(node, connection), request: Request::Claim { seen: 0 }, way };
        server.call(asked, NOW, Lsn(0))
    }

    #[test]
    fn the_claimant_is_answered_before_the_news_and_those_that_waited_after_it() {
        let mut server = server();
        let Some(LeaseEffect::Persist { record, seal: true }) = call(&mut server, "a", 1, 10) else { panic!() };
        assert_eq!((record.holder.as_str(), record.epoch), ("a", 1));
        assert_eq!(call(&mut server, "b", 2, 20), None);
        assert_eq!(server.waiting(), 1);
        let effects = server.persisted(Lsn(5), NOW, Lsn(5));
        let LeaseEffect::News(lease) = &effects[1] else { panic!("{effects:?}") };
        assert_eq!((lease.holder.as_str(), lease.epoch), ("a", 1));
        assert_eq!(effects[0], LeaseEffect::Answer(10, Answer::Claimed { epoch: 1, sealed: 5 }));
        assert_eq!(effects[2..], [LeaseEffect::Answer(20, Answer::Lease(lease.clone()))], "it is held already");
        assert_eq!(server.waiting(), 0);
    }

    #[test]
    fn who_leaves_waits_no_longer_and_the_change_it_caused_stands() {
        let mut server = server();
        call(&mut server, "a", 1, 10);
        call(&mut server, "b", 2, 20);
        server.leave(ConnectionId(1));
        server.leave(ConnectionId(2));
        assert_eq!(server.waiting(), 0);
        let effects = server.persisted(Lsn(0), NOW, Lsn(0));
        assert_eq!(effects.len(), 2, "{effects:?}");
        assert_eq!(server.view(NOW).holder, "a");
    }

    #[test]
    fn a_lease_that_runs_out_is_news_once() {
        let mut server = server();
        call(&mut server, "a", 1, 10);
        server.persisted(Lsn(0), NOW, Lsn(0));
        let mut told = 0;
        for ms in (0..=3_000).step_by(10) {
            told += usize::from(server.tick(NOW.after(Duration::from_millis(ms))).is_some());
        }
        assert_eq!(told, 1);
    }

    #[test]
    fn a_newer_connection_of_a_node_replaces_the_older_one() {
        let mut server = server();
        let (replaced, welcome) = server.enter(&caller("a", 3), NOW, Lsn(7));
        assert_eq!(replaced, Some(ConnectionId(1)));
        assert!(matches!(welcome, Answer::Welcome { incarnation: 9, durable: 7, .. }), "{welcome:?}");
    }
}
