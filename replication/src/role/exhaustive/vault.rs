//! The vault in the model: the real lease authority around a log that is a list.

use std::collections::BTreeMap;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::level::Levels;

use super::world::{Down, Event, LEASE, Record, Up};
use crate::role::Ask;
use crate::transport::principal::Principal;
use crate::vault::LeaseAuthority;
use crate::vault::catalog::LeaseRecord;
use crate::vault::lease::authority::{AppendRuling, Ruling, StreamId};
use crate::vault::lease::roster::{Caller, ConnectionId};
use crate::vault::testing::frame;
use crate::wire::message::{Answer, Hello, Peer, Progress, Request};

/// A change of the lease that is being made durable, and who waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PendingLease {
    record: LeaseRecord,
    seal: bool,
    asker: Option<(usize, u64, Ask, Monotonic)>,
}

/// Something that leaves the vault: for which node, on which of its connections.
pub(super) type Sent = (usize, u64, Down);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Vault {
    pub(super) lease_authority: LeaseAuthority,
    /// The lease as it survives a crash.
    lease: LeaseRecord,
    pub(super) log: Vec<Record>,
    pub(super) change: Option<PendingLease>,
    /// Where the log ended when each epoch was granted.
    pub(super) seals: BTreeMap<u64, u64>,
    /// Connections that follow, by node.
    followers: BTreeMap<usize, u64>,
    /// The connection of each node, to which news goes.
    connections: BTreeMap<usize, u64>,
}

pub(super) fn name(node: usize) -> &'static str {
    ["a", "b"][node]
}

/// A process of `node` on a connection.
pub(super) fn caller(node: usize, incarnation: u64, connection: u64, peer: Peer) -> Caller {
    let hello = Hello {
        levels: Levels::OWN,
        cluster: 1,
        peer,
        node: name(node).to_owned(),
        incarnation,
        pid: 0,
        resp_address: String::new(),
        quic_address: String::new(),
    };
    let certified = Principal::node(name(node)).expect("a proper name");
    Caller::admit(ConnectionId(connection), hello, 1, &certified).expect("it is who it says")
}

fn request(ask: &Ask) -> Option<Request> {
    Some(match ask {
        Ask::Renew { epoch } => Request::Renew { epoch: epoch.0 },
        Ask::Claim { seen } => Request::Claim { seen: seen.0 },
        Ask::HandOver { epoch, successor, at } => {
            Request::HandOver { epoch: epoch.0, successor: successor.clone(), at: at.0 }
        }
        Ask::Release { epoch } => Request::Release { epoch: epoch.0 },
        Ask::Followers => return None,
    })
}

/// The answer as the node's machine is told it.
fn event(ask: Ask, sent: Monotonic, answer: Answer) -> Event {
    match answer {
        Answer::Claimed { epoch, sealed } => Event::Claimed { epoch: Epoch(epoch), sealed: Lsn(sealed), sent },
        Answer::Lease(view) => Event::Lease { ask, sent, view },
        Answer::Refused { why } => Event::Refused { ask, why },
        other => panic!("not an answer to a call: {other:?}"),
    }
}

impl Vault {
    pub(super) fn new(now: Monotonic) -> Vault {
        Vault {
            lease_authority: LeaseAuthority::new(now, LEASE, LeaseRecord::default(), Lsn::ZERO),
            lease: LeaseRecord::default(),
            log: Vec::new(),
            change: None,
            seals: BTreeMap::new(),
            followers: BTreeMap::new(),
            connections: BTreeMap::new(),
        }
    }

    pub(super) fn durable(&self) -> Lsn {
        Lsn(self.log.len() as u64)
    }

    /// The process dies and starts again: what was persisted is there, and every connection is gone.
    pub(super) fn restart(&mut self, now: Monotonic) {
        self.lease_authority = LeaseAuthority::new(now, LEASE, self.lease.clone(), self.durable());
        self.change = None;
        self.followers.clear();
        self.connections.clear();
    }

    pub(super) fn connect(&mut self, now: Monotonic, node: usize, incarnation: u64, connection: u64) -> Event {
        if let Some(replaced) = self.lease_authority.enter(now, &caller(node, incarnation, connection, Peer::Database))
        {
            self.lease_authority.leave(replaced);
        }
        self.connections.insert(node, connection);
        self.followers.remove(&node);
        Event::Connected { view: self.lease_authority.view(now), length: LEASE }
    }

    /// Whether what has arrived can be looked at now: calls wait while the lease changes.
    pub(super) fn takes(&self, up: &Up) -> bool {
        self.change.is_none() || !matches!(up, Up::Ask { .. })
    }

    pub(super) fn obituary(&mut self, now: Monotonic, node: usize, incarnation: u64) {
        let request = Request::Obituary { node: name(node).to_owned(), incarnation };
        let supervisor = caller(node, incarnation, u64::MAX, Peer::Supervisor);
        if let Ruling::Persist { record, seal } = self.lease_authority.call(now, &supervisor, request, self.durable()) {
            self.change = Some(PendingLease { record, seal, asker: None });
        }
    }

    /// How a node stands, as it tells.
    pub(super) fn report(&mut self, now: Monotonic, caller: &Caller, role: &str, applied: u64) {
        let progress = Progress { role: role.to_owned(), applied, ..Progress::default() };
        self.lease_authority.call(now, caller, Request::Report(progress), self.durable());
    }

    /// Time has passed; returns the notification if there is one.
    pub(super) fn tick(&mut self, now: Monotonic) -> Vec<Sent> {
        // It says so every few milliseconds: half a lease between two times would count as a pause of its own.
        for earlier_ms in [100, 0] {
            self.lease_authority.awake(Monotonic(now.0 - earlier_ms * 1000));
        }
        if self.lease_authority.tick(now) { self.news(now) } else { Vec::new() }
    }

    /// The change of the lease is durable and becomes known.
    pub(super) fn persist(&mut self, now: Monotonic) -> Vec<Sent> {
        let Some(PendingLease { mut record, seal, asker }) = self.change.take() else { return Vec::new() };
        if seal {
            record.sealed = self.durable().0;
            self.seals.insert(record.epoch, record.sealed);
        }
        self.lease = record;
        let answer = self.lease_authority.persisted(now, self.durable());
        let answer =
            asker.map(|(node, connection, ask, sent)| (node, connection, Down::Answer(event(ask, sent, answer))));
        answer.into_iter().chain(self.news(now)).collect()
    }

    fn news(&self, now: Monotonic) -> Vec<Sent> {
        let view = self.lease_authority.view(now);
        let to = |(node, connection): (&usize, &u64)| (*node, *connection, Down::Answer(Event::News(view.clone())));
        self.connections.iter().map(to).collect()
    }

    /// What `caller` sent has arrived.
    pub(super) fn receive(&mut self, now: Monotonic, node: usize, caller: &Caller, up: Up, checks: bool) -> Vec<Sent> {
        let connection = caller.connection.0;
        let back = |down| vec![(node, connection, down)];
        match up {
            Up::Ask { ask, sent } => match request(&ask) {
                None => {
                    let nodes = self.lease_authority.nodes(now).into_iter().filter(|view| view.node != name(node));
                    back(Down::Answer(Event::Followers { sent, nodes: nodes.collect() }))
                }
                Some(request) => match self.lease_authority.call(now, caller, request, self.durable()) {
                    Ruling::Answer(answer) => back(Down::Answer(event(ask, sent, answer))),
                    Ruling::Persist { record, seal } => {
                        self.change = Some(PendingLease { record, seal, asker: Some((node, connection, ask, sent)) });
                        Vec::new()
                    }
                    Ruling::Wait => panic!("calls are not taken while the lease changes"),
                },
            },
            Up::OpenAppend(epoch) => {
                let durable = self.durable();
                let opened = self.lease_authority.open_append(caller, epoch);
                let begun = opened
                    .and_then(|stream| self.lease_authority.begin_append(caller, stream, durable).map(|()| stream));
                match begun {
                    Ok(stream) => back(Down::Ready { stream, durable }),
                    Err(answer) => refusal(answer).map_or_else(Vec::new, back),
                }
            }
            Up::Append { stream, epoch, first, records } => {
                let before = self.log.len();
                let outcome = self.append(caller, stream, epoch, first, records, checks);
                outcome.map_or_else(Vec::new, back).into_iter().chain(self.push(before)).collect()
            }
            Up::Follow { after } => {
                self.followers.insert(node, connection);
                let records = self.log.get(after..).unwrap_or_default().to_vec();
                vec![
                    (node, connection, Down::Event(Event::Following { durable: self.durable() })),
                    (node, connection, Down::Records { first: after, records }),
                ]
            }
        }
    }

    fn append(
        &mut self,
        caller: &Caller,
        stream: StreamId,
        epoch: Epoch,
        first: usize,
        records: Vec<Record>,
        checks: bool,
    ) -> Option<Down> {
        let durable = Lsn((first + records.len()) as u64);
        let ruling = if checks {
            let frame = frame(epoch.0, first as u64 + 1, records.len() as u64);
            self.lease_authority.append(caller, stream, &frame)
        } else if durable <= self.durable() {
            AppendRuling::Known
        } else if first == self.log.len() {
            AppendRuling::Write
        } else {
            return None;
        };
        match ruling {
            AppendRuling::Write => self.log.extend(records),
            AppendRuling::Known => {}
            AppendRuling::End(answer) => return refusal(answer),
        }
        Some(Down::Event(Event::Durable { lsn: durable }))
    }

    /// The log from `first` on to all who follow.
    fn push(&self, first: usize) -> Vec<Sent> {
        let records = &self.log[first..];
        let followers = self.followers.iter().filter(|_| !records.is_empty());
        followers
            .map(|(node, connection)| (*node, *connection, Down::Records { first, records: records.to_vec() }))
            .collect()
    }
}

/// What the shipper makes of an append's refusal: a fence is news for the machine, anything else ends the stream.
fn refusal(answer: Answer) -> Option<Down> {
    match answer {
        Answer::Fenced { epoch } => Some(Down::Event(Event::Fenced { epoch: Epoch(epoch) })),
        _ => None,
    }
}
