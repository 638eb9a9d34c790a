//! The network between nodes and vault: connections of ordered streams, as QUIC gives them.
//!
//! Data sent on one stream arrives in order, once or never; streams of one connection may overtake each other. A cut (network
//! partition) delays what is sent in its direction. If it lasts, each end gives the connection up silently, at its own time, and
//! data in flight may still arrive at an end that has not. So a process may receive frames of a connection that its sender has
//! long replaced.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tanist_replication::limits::IDLE_MAX;
use tanist_replication::wire::message::{Answer, Hello, Request};

use crate::clock::Time;
use crate::event::{Event, Queue};
use crate::node::NodeEvent;
use crate::random::Random;
use crate::vault::VaultEvent;

/// No message takes less.
pub(crate) const DELAY_MIN: Duration = Duration::from_micros(30);

/// No message takes longer: QUIC would have given the connection up.
const DELAY_MAX: Duration = Duration::from_millis(400);

/// A connection between a database process and the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub u64);

/// Direction of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// From a node to the vault.
    Up,
    /// From the vault to a node.
    Down,
}

/// A stream of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stream {
    /// Calls, answers and notifications.
    Control,
    /// Records up.
    Append(u64),
    /// Records down.
    Follow(u64),
    /// An image up.
    Put(u64),
    /// An image down.
    Get(u64),
}

/// What travels.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// First message of a connection.
    Hello(Hello),
    /// A call, or a stream's first or later request.
    Request(u64, Request),
    /// An answer, or news (0).
    Answer(u64, Answer),
    /// A batch or chunk.
    Frame(Bytes),
    /// The sender wants nothing more of this stream.
    Reset,
}

/// What happens in the network itself.
#[derive(Debug)]
pub(crate) enum NetEvent {
    /// The cut number `cut` of a direction has lasted so long that connections end.
    Silent {
        /// Whose link.
        node: usize,
        /// Which direction.
        way: Way,
        /// Which cut.
        cut: u64,
    },
    /// It is over.
    Heal {
        /// Whose link.
        node: usize,
        /// Which direction.
        way: Way,
        /// Which cut.
        cut: u64,
    },
}

#[derive(Debug)]
struct Conn {
    node: usize,
    life: u64,
    vault_life: u64,
    node_open: bool,
    vault_open: bool,
    /// When the newest message of each stream arrives.
    newest: BTreeMap<(Stream, Way), Time>,
}

#[derive(Debug, Default)]
struct NetLink {
    cut: [Option<u64>; 2],
    /// Messages take up to so many times their usual time.
    slow: [u64; 2],
    held: [Vec<(ConnId, Stream, Payload)>; 2],
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Net {
    conns: BTreeMap<ConnId, Conn>,
    links: Vec<NetLink>,
    /// Connections that are being made while the vault is down.
    knocking: Vec<(ConnId, Payload)>,
    newest: u64,
    cuts: u64,
    /// 0: the vault is down.
    vault_life: u64,
}

impl Net {
    pub(crate) fn new(nodes: usize) -> Net {
        Net { links: (0..nodes).map(|_| NetLink { slow: [1, 1], ..NetLink::default() }).collect(), ..Net::default() }
    }

    /// The vault runs as its start `life`: attempts to connect that are under way are repeated until they reach it.
    pub(crate) fn vault_started(&mut self, now: Time, life: u64, random: &mut Random, queue: &mut Queue) {
        self.vault_life = life;
        for (id, hello) in std::mem::take(&mut self.knocking) {
            if let Some(conn) = self.conns.get_mut(&id) {
                (conn.vault_life, conn.vault_open) = (life, true);
                self.send(now.after(random.millis(0, 20)), id, Way::Up, Stream::Control, hello, random, queue);
            }
        }
    }

    /// The vault's process is gone, without a word to anyone.
    pub(crate) fn vault_died(&mut self, now: Time, random: &mut Random, queue: &mut Queue) {
        self.vault_life = 0;
        let open: Vec<_> = self.conns.iter().filter(|(_, conn)| conn.vault_open).map(|(id, _)| *id).collect();
        open.into_iter().for_each(|id| self.close(now, id, Way::Down, false, random, queue));
    }

    /// A process begins to connect.
    pub(crate) fn open(&mut self, node: usize, life: u64) -> ConnId {
        self.newest += 1;
        let id = ConnId(self.newest);
        let vault_life = self.vault_life;
        let newest = BTreeMap::new();
        self.conns.insert(id, Conn { node, life, vault_life, node_open: true, vault_open: vault_life > 0, newest });
        id
    }

    /// Connections of a node's process.
    pub(crate) fn of_node(&self, node: usize) -> Vec<ConnId> {
        self.conns.iter().filter(|(_, conn)| conn.node == node).map(|(id, _)| *id).collect()
    }

    /// Whether messages pass both ways.
    pub(crate) fn passes(&self, node: usize) -> bool {
        self.links[node].cut == [None, None]
    }

    /// Time that a message takes where nothing is slow, at least [`DELAY_MIN`].
    pub(crate) fn delay(&self, random: &mut Random) -> Duration {
        let usual = DELAY_MIN + random.micros(0, 220);
        let long = if random.percent(2) { random.micros(500, 20_000) } else { Duration::ZERO };
        usual + long
    }

    /// From now on messages in this direction take up to so many times their usual time.
    pub(crate) fn slow_down(&mut self, node: usize, way: Way, times: u64) {
        self.links[node].slow[way as usize] = times;
    }

    #[expect(clippy::too_many_arguments, reason = "what the network needs of its runtime")]
    pub(crate) fn send(
        &mut self,
        now: Time,
        id: ConnId,
        way: Way,
        stream: Stream,
        payload: Payload,
        random: &mut Random,
        queue: &mut Queue,
    ) {
        let Some(conn) = self.conns.get(&id) else { return };
        if matches!(payload, Payload::Hello(_)) && self.vault_life == 0 {
            return self.knocking.push((id, payload));
        }
        let link = &mut self.links[conn.node];
        if link.cut[way as usize].is_some() {
            return link.held[way as usize].push((id, stream, payload));
        }
        let times = random.between(1, link.slow[way as usize] + 1) as u32;
        let delay = (self.delay(random) * times).min(DELAY_MAX);
        self.deliver(now.after(delay), id, way, stream, payload, queue);
    }

    fn deliver(&mut self, at: Time, id: ConnId, way: Way, stream: Stream, payload: Payload, queue: &mut Queue) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let newest = conn.newest.entry((stream, way)).or_default();
        *newest = at.max(Time(newest.0 + 1));
        let at = *newest;
        match way {
            Way::Up => queue.put(at, Event::Vault(VaultEvent::Arrived { conn: id, stream, payload })),
            Way::Down => {
                let event = NodeEvent::Arrived { conn: id, stream, payload };
                queue.put(at, Event::Node { node: conn.node, life: conn.life, event });
            }
        }
    }

    /// Whether what arrives at the end towards which `way` leads is still taken there.
    pub(crate) fn is_open(&self, id: ConnId, way: Way) -> bool {
        self.conns.get(&id).is_some_and(|conn| match way {
            Way::Up => conn.vault_open && conn.vault_life == self.vault_life,
            Way::Down => conn.node_open,
        })
    }

    /// The end from which `from` leads is closed; the other hears of it soon if told and not cut off, else by the silence.
    pub(crate) fn close(
        &mut self,
        now: Time,
        id: ConnId,
        from: Way,
        told: bool,
        random: &mut Random,
        queue: &mut Queue,
    ) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match from {
            Way::Up => conn.node_open = false,
            Way::Down => conn.vault_open = false,
        }
        let (node, life) = (conn.node, conn.life);
        if !conn.node_open && !conn.vault_open {
            self.conns.remove(&id);
            return;
        }
        let passes = self.links[node].cut[from as usize].is_none();
        let wait = if told && passes { self.delay(random) } else { IDLE_MAX + random.millis(0, 40) };
        let at = now.after(wait);
        match from {
            Way::Up => queue.put(at, Event::Vault(VaultEvent::Lost { conn: id })),
            Way::Down => queue.put(at, Event::Node { node, life, event: NodeEvent::LinkLost { conn: id } }),
        }
    }

    /// Nothing passes in this direction any more; returns the number of the cut.
    pub(crate) fn cut(&mut self, now: Time, node: usize, way: Way, queue: &mut Queue) -> u64 {
        self.cuts += 1;
        self.links[node].cut[way as usize] = Some(self.cuts);
        let cut = self.cuts;
        queue.put(now.after(IDLE_MAX), Event::Net(NetEvent::Silent { node, way, cut }));
        cut
    }

    pub(crate) fn on(&mut self, now: Time, event: NetEvent, random: &mut Random, queue: &mut Queue) {
        match event {
            NetEvent::Silent { node, way, cut } if self.links[node].cut[way as usize] == Some(cut) => {
                // The end that hears nothing gives up first.
                let deaf = if way == Way::Up { Way::Down } else { Way::Up };
                for id in self.of_node(node) {
                    self.lose(now, id, deaf, random, queue);
                }
            }
            NetEvent::Heal { node, way, cut } if self.links[node].cut[way as usize] == Some(cut) => {
                self.heal(now, node, way, random, queue);
            }
            NetEvent::Silent { .. } | NetEvent::Heal { .. } => {}
        }
    }

    pub(crate) fn heal(&mut self, now: Time, node: usize, way: Way, random: &mut Random, queue: &mut Queue) {
        let link = &mut self.links[node];
        link.cut[way as usize] = None;
        for (id, stream, payload) in std::mem::take(&mut link.held[way as usize]) {
            // The sender repeats what was lost, after pauses that have grown.
            self.deliver(now.after(random.millis(0, 30)), id, way, stream, payload, queue);
        }
    }

    /// The end from which `end` leads loses the connection by silence: its own process is told, the other end is not.
    pub(crate) fn lose(&mut self, now: Time, id: ConnId, end: Way, random: &mut Random, queue: &mut Queue) {
        let Some(conn) = self.conns.get(&id) else { return };
        match end {
            Way::Up => {
                let (node, life) = (conn.node, conn.life);
                queue.put(now, Event::Node { node, life, event: NodeEvent::LinkLost { conn: id } });
            }
            Way::Down => queue.put(now, Event::Vault(VaultEvent::Lost { conn: id })),
        }
        self.close(now, id, end, false, random, queue);
    }

    /// Messages that a cut delays.
    pub(crate) fn held(&self) -> usize {
        self.links.iter().flat_map(|link| &link.held).map(Vec::len).sum()
    }
}
