//! The event queue, in the order of true time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::client::ClientEvent;
use crate::clock::Time;
use crate::fault::Fault;
use crate::net::NetEvent;
use crate::node::{HostEvent, LinkId, NodeEvent, Piece, ProcessId, Request, SessionId};
use crate::vault::VaultEvent;

/// Something that happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// To the vault's process, or its machine.
    Vault(VaultEvent),
    /// To the database process `life` of a node; none other notices.
    Node {
        /// Which node.
        node: usize,
        /// Which start of its process.
        life: u64,
        /// What.
        event: NodeEvent,
    },
    /// To a node's machine and supervisor.
    Host(usize, HostEvent),
    /// To a session of a node, from a client.
    Session(usize, SessionId, Request),
    /// To a client.
    Client(usize, ClientEvent),
    /// To a process, from another one.
    Link {
        /// Who has sent it.
        from: ProcessId,
        /// To whom.
        to: ProcessId,
        /// On which stream.
        link: LinkId,
        /// What.
        piece: Piece,
    },
    /// In the network.
    Net(NetEvent),
    /// A fault of the plan strikes.
    Fault(Fault),
    /// All faults end.
    Calm,
}

/// Events by time; those of one moment in the order in which they were put in.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    count: u64,
}

#[derive(Debug)]
struct Entry {
    at: Time,
    number: u64,
    event: Event,
}

impl Queue {
    pub(crate) fn put(&mut self, at: Time, event: Event) {
        self.count += 1;
        self.heap.push(Entry { at, number: self.count, event });
    }

    pub(crate) fn next(&mut self) -> Option<(Time, u64, Event)> {
        self.heap.pop().map(|entry| (entry.at, entry.number, entry.event))
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}
