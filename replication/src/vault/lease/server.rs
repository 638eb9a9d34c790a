//! The lease authority with the calls that wait for it, and the reply channels of their callers, `W`.
//!
//! A change of the lease takes a disk write. Meanwhile other calls that depend on the lease wait, at most one per connection, and
//! so do nodes whose feature levels must be stored. Then the caller that caused the change gets its answer, everyone is notified,
//! and the waiting calls are decided in their order.

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

/// Something that waits for a change, or has caused it.
#[derive(Debug)]
pub(crate) enum Pending<W> {
    Call(Asked<W>),
    /// A peer that was admitted wants to be greeted.
    Enter(Arc<Caller>, W),
}

impl<W> Pending<W> {
    fn caller(&self) -> &Caller {
        match self {
            Pending::Call(Asked { caller, .. }) | Pending::Enter(caller, _) => caller,
        }
    }
}

/// Something is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum LeaseEffect<W> {
    /// Close the connection: a newer one of the same node has come.
    Close(ConnectionId),
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
    pub(crate) waiting: VecDeque<Pending<W>>,
    /// What caused the change that is being made durable, unless it waits no longer.
    change: Option<Pending<W>>,
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

    /// A peer was admitted; `durable` is the log's durable end. Its answer is `Welcome`, or `Refused` if it does not know the cluster's
    /// feature level.
    pub fn enter(&mut self, caller: Arc<Caller>, way: W, now: Monotonic, durable: Lsn) -> Vec<LeaseEffect<W>> {
        self.authority.awake(now);
        match self.authority.announce(&caller) {
            None => self.welcome(&caller, way, now, durable),
            Some(ruling) => self.rule(ruling, Pending::Enter(caller, way)).into_iter().collect(),
        }
    }

    fn welcome(&mut self, caller: &Caller, way: W, now: Monotonic, durable: Lsn) -> Vec<LeaseEffect<W>> {
        let replaced = self.authority.enter(now, caller);
        let level = self.authority.levels().common(caller.hello.levels);
        let welcome = Answer::Welcome {
            incarnation: self.incarnation,
            lease_us: u64::try_from(self.authority.length().as_micros()).unwrap_or(u64::MAX),
            durable: durable.0,
            lease: Box::new(self.authority.view(now)),
            level: level.unwrap_or_default().0,
        };
        replaced.map(LeaseEffect::Close).into_iter().chain([LeaseEffect::Answer(way, welcome)]).collect()
    }

    /// A connection has ended: nobody waits there any more.
    pub fn leave(&mut self, connection: ConnectionId) {
        self.authority.leave(connection);
        self.forget(connection);
    }

    /// The asker on a connection waits no longer.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.waiting.retain(|pending| pending.caller().connection != connection);
        // What its call has caused is answered all the same; but nobody is to be greeted there.
        self.change
            .take_if(|pending| matches!(pending, Pending::Enter(..)) && pending.caller().connection == connection);
    }

    /// To be called every few milliseconds. Returns the lease if it has just run out, so that everyone is notified.
    pub fn tick(&mut self, now: Monotonic) -> Option<LeaseView> {
        self.authority.awake(now);
        self.authority.tick(now).then(|| self.authority.view(now))
    }

    /// Rules on a call; `durable` is the log's durable end.
    pub fn call(&mut self, asked: Asked<W>, now: Monotonic, durable: Lsn) -> Option<LeaseEffect<W>> {
        self.authority.awake(now);
        let ruling = self.authority.call(now, &asked.caller, asked.request.clone(), durable);
        self.rule(ruling, Pending::Call(asked))
    }

    fn rule(&mut self, ruling: Ruling, pending: Pending<W>) -> Option<LeaseEffect<W>> {
        match (ruling, pending) {
            (Ruling::Answer(answer), Pending::Call(Asked { way, .. }) | Pending::Enter(_, way)) => {
                Some(LeaseEffect::Answer(way, answer))
            }
            (Ruling::Persist { record, seal }, pending) => {
                self.change = Some(pending);
                Some(LeaseEffect::Persist { record, seal })
            }
            (Ruling::Wait, pending) => {
                self.waiting.push_back(pending);
                None
            }
        }
    }

    /// The change is durable, with the log's end at `sealed`. Returns what is to be done, in this order.
    pub fn persisted(&mut self, sealed: Lsn, now: Monotonic, durable: Lsn) -> Vec<LeaseEffect<W>> {
        self.authority.awake(now);
        let before = self.authority.view(now);
        let answer = self.authority.persisted(now, sealed);
        // Whoever caused it hears the answer before the news of it.
        let mut effects = match self.change.take() {
            Some(Pending::Call(asked)) => vec![LeaseEffect::Answer(asked.way, answer)],
            Some(Pending::Enter(caller, way)) => self.welcome(&caller, way, now, durable),
            None => Vec::new(),
        };
        // That a node has come is news only if the cluster's level rises by it.
        let view = self.authority.view(now);
        effects.extend((view != before).then_some(LeaseEffect::News(view)));
        for pending in std::mem::take(&mut self.waiting) {
            match pending {
                Pending::Call(asked) => effects.extend(self.call(asked, now, durable)),
                Pending::Enter(caller, way) => effects.extend(self.enter(caller, way, now, durable)),
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tanist_db_core::ids::Epoch;
    use tanist_db_core::level::{Level, Levels, since};

    use super::*;
    use crate::vault::lease::authority::AppendRuling;
    use crate::vault::testing::frame;
    use crate::wire::message::{Hello, Peer};

    const NOW: Monotonic = Monotonic(1_000_000);
    const LEASE: Duration = Duration::from_secs(2);

    fn caller(node: &str, connection: u64) -> Arc<Caller> {
        let address = format!("{node}:1");
        let hello = Hello {
            levels: Levels { oldest: since::FIRST, newest: since::FIRST },
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

    /// A server that has greeted nodes a and b.
    fn server() -> LeaseServer<u32> {
        let authority = LeaseAuthority::new(NOW, LEASE, LeaseRecord::default(), Lsn(0));
        let mut server = LeaseServer::new(authority, 9);
        for (node, connection) in [("a", 1), ("b", 2)] {
            enter(&mut server, caller(node, connection));
        }
        server
    }

    /// Lets a node enter, and makes durable what is to be before that; what it is answered, and the news.
    fn enter(server: &mut LeaseServer<u32>, caller: Arc<Caller>) -> Vec<LeaseEffect<u32>> {
        match &server.enter(caller, 0, NOW, Lsn(7))[..] {
            [LeaseEffect::Persist { seal: false, .. }] => server.persisted(Lsn(7), NOW, Lsn(7)),
            _ => panic!("what the node knows is to be remembered"),
        }
    }

    fn of_levels(node: &str, connection: u64, oldest: u16, newest: u16) -> Arc<Caller> {
        let mut caller = Caller::clone(&caller(node, connection));
        caller.hello.levels = Levels { oldest: Level(oldest), newest: Level(newest) };
        Arc::new(caller)
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
        let effects = server.enter(caller("a", 3), 30, NOW, Lsn(7));
        let [LeaseEffect::Close(ConnectionId(1)), LeaseEffect::Answer(30, welcome)] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert!(matches!(welcome, Answer::Welcome { incarnation: 9, durable: 7, .. }), "{welcome:?}");
    }

    #[test]
    fn a_level_is_news_once_it_is_durable_and_who_came_meanwhile_is_greeted_then() {
        let authority = LeaseAuthority::new(NOW, LEASE, LeaseRecord::default(), Lsn(0));
        let mut server = LeaseServer::new(authority.knowing(Levels { oldest: Level(1), newest: Level(3) }), 9);
        let level = |server: &mut LeaseServer<u32>| server.view(NOW).level;
        enter(&mut server, of_levels("a", 1, 1, 2));
        assert_eq!(level(&mut server), 2, "as all that have come");
        // Node b of the release before knows it too; c of an older one does not.
        assert!(matches!(server.enter(of_levels("b", 2, 1, 2), 20, NOW, Lsn(7))[..], [LeaseEffect::Persist { .. }]));
        assert!(server.enter(of_levels("a", 3, 2, 3), 30, NOW, Lsn(7)).is_empty(), "one change at a time");
        let refused = server.enter(of_levels("c", 4, 1, 1), 40, NOW, Lsn(7));
        let [LeaseEffect::Answer(40, Answer::Refused { why })] = &refused[..] else { panic!("{refused:?}") };
        assert!(why.contains("at feature level 2, and this release of node c knows feature level 1 only"), "{why}");
        let effects = server.persisted(Lsn(7), NOW, Lsn(7));
        assert!(matches!(effects[0], LeaseEffect::Answer(20, Answer::Welcome { level: 2, .. })), "{effects:?}");
        assert!(matches!(effects[1], LeaseEffect::Persist { .. }), "what a knows now is remembered: {effects:?}");
        let effects = server.persisted(Lsn(7), NOW, Lsn(7));
        assert!(matches!(effects[0], LeaseEffect::Close(ConnectionId(1))), "{effects:?}");
        assert!(matches!(effects[1], LeaseEffect::Answer(30, Answer::Welcome { level: 3, .. })), "{effects:?}");
        assert_eq!(level(&mut server), 2, "b does not know more");
        // It is upgraded, and the level rises when that is durable.
        assert!(matches!(server.enter(of_levels("b", 5, 2, 3), 50, NOW, Lsn(7))[..], [LeaseEffect::Persist { .. }]));
        assert_eq!(level(&mut server), 2);
        let effects = server.persisted(Lsn(7), NOW, Lsn(7));
        assert!(matches!(&effects[2], LeaseEffect::News(view) if view.level == 3), "{effects:?}");
    }

    #[test]
    fn who_leaves_before_its_levels_are_durable_is_not_greeted_and_counts_all_the_same() {
        let mut server = server();
        let levels = Levels { oldest: Level(1), newest: Level(2) };
        server.authority = server.authority.clone().knowing(levels);
        assert!(matches!(server.enter(of_levels("a", 3, 1, 2), 30, NOW, Lsn(7))[..], [LeaseEffect::Persist { .. }]));
        server.leave(ConnectionId(3));
        let effects = server.persisted(Lsn(7), NOW, Lsn(7));
        assert!(effects.is_empty(), "{effects:?}");
        assert!(matches!(server.enter(of_levels("b", 4, 1, 2), 40, NOW, Lsn(7))[..], [LeaseEffect::Persist { .. }]));
        server.persisted(Lsn(7), NOW, Lsn(7));
        assert_eq!(server.view(NOW).level, 2);
    }

    #[test]
    fn appends_go_on_while_the_levels_of_a_node_are_made_durable() {
        let mut server = server();
        server.authority = server.authority.clone().knowing(Levels { oldest: Level(1), newest: Level(2) });
        call(&mut server, "a", 1, 10);
        server.persisted(Lsn(0), NOW, Lsn(0));
        let holder = caller("a", 1);
        let stream = server.authority.open_append(&holder, Epoch(1)).unwrap();
        server.authority.begin_append(&holder, stream, Lsn(0)).unwrap();
        server.enter(of_levels("b", 3, 1, 2), 30, NOW, Lsn(0));
        assert_eq!(server.authority.append(&holder, stream, &frame(1, 1, 1)), AppendRuling::Write);
        server.persisted(Lsn(1), NOW, Lsn(1));
        assert_eq!(server.authority.append(&holder, stream, &frame(1, 2, 1)), AppendRuling::Write);
        assert_eq!(server.view(NOW).holder, "a");
    }
}
