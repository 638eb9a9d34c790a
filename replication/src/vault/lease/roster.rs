//! The connected peers, their permissions, and the newest status report of each.

use std::collections::BTreeMap;

use tanist_db_core::clock::Monotonic;

use crate::limits;
use crate::transport::principal::Principal;
use crate::wire::message::{FollowerView, Hello, Peer, Progress, Request};

/// A connection, numbered by the vault in the order of their coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What the other end of a connection is, by its certificate and its first message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Its connection.
    pub connection: ConnectionId,
    /// Its first message.
    pub hello: Hello,
}

impl Caller {
    /// Checks a first message against the vault's `cluster` and the party that the certificate speaks for.
    ///
    /// # Errors
    /// A sentence that tells a person what does not match.
    pub fn admit(connection: ConnectionId, hello: Hello, cluster: u128, certified: &Principal) -> Result<Self, String> {
        let claimed = match hello.peer {
            Peer::Database | Peer::Supervisor => Principal::node(&hello.node),
            Peer::Tool => Some(Principal::Tool),
        };
        let text_max = hello.resp_address.len().max(hello.quic_address.len());
        if hello.cluster != cluster {
            return Err(format!("you belong to cluster {:032x}, this vault to {cluster:032x}", hello.cluster));
        }
        if claimed.as_ref() != Some(certified) {
            let claimed = claimed.map_or_else(|| "a node without a proper name".to_owned(), |party| party.to_string());
            return Err(format!("you say you are {claimed}, but your certificate is {certified}'s"));
        }
        if text_max > limits::PEER_TEXT_BYTES_MAX {
            return Err(format!("an address may have {} bytes at most", limits::PEER_TEXT_BYTES_MAX));
        }
        Ok(Self { connection, hello })
    }

    /// Whether this kind of peer may ask for this at all.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn may_ask(&self, request: &Request) -> Result<(), String> {
        match (self.hello.peer, request) {
            (_, Request::Status) => Ok(()),
            (Peer::Database, Request::Obituary { .. }) => {
                Err("only the supervisor that reaped a process may report its death".to_owned())
            }
            (Peer::Database, _) => Ok(()),
            (Peer::Supervisor, Request::Obituary { node, .. }) if *node == self.hello.node => Ok(()),
            (Peer::Supervisor, _) => Err("a supervisor may only report the death of its own node's process".to_owned()),
            (Peer::Tool, _) => Err("a tool may only ask for status".to_owned()),
        }
    }

    /// Whether it is this start of this node's database process.
    #[must_use]
    pub fn is(&self, node: &str, incarnation: u64) -> bool {
        self.hello.peer == Peer::Database && self.hello.node == node && self.hello.incarnation == incarnation
    }
}

/// A connected database process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Member {
    caller: Caller,
    progress: Progress,
    reported_at: Monotonic,
}

/// The connected database processes by the name of their node: one each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roster {
    members: BTreeMap<String, Member>,
}

impl Roster {
    /// A database process has connected. Returns the connection that it replaces: an older one of the same node.
    pub fn enter(&mut self, now: Monotonic, caller: &Caller) -> Option<ConnectionId> {
        let member = Member { caller: caller.clone(), progress: Progress::default(), reported_at: now };
        let replaced = self.members.insert(caller.hello.node.clone(), member);
        replaced.map(|member| member.caller.connection)
    }

    /// A connection has ended.
    pub fn leave(&mut self, connection: ConnectionId) {
        self.members.retain(|_, member| member.caller.connection != connection);
    }

    /// A process has died, whatever its connection still says.
    pub fn bury(&mut self, node: &str, incarnation: u64) {
        self.members.retain(|_, member| !member.caller.is(node, incarnation));
    }

    /// A database process tells how it stands. A report on a connection that was replaced changes nothing.
    pub fn report(&mut self, now: Monotonic, caller: &Caller, mut progress: Progress) {
        progress.role.truncate(floor_char(&progress.role, limits::PEER_TEXT_BYTES_MAX));
        progress.last_takeover.truncate(floor_char(&progress.last_takeover, limits::PEER_TEXT_BYTES_MAX));
        if let Some(member) = self.members.get_mut(&caller.hello.node)
            && member.caller.connection == caller.connection
        {
            member.progress = progress;
            member.reported_at = now;
        }
    }

    /// The member of that name: who it is, and its newest report.
    #[must_use]
    pub fn member(&self, node: &str) -> Option<(&Caller, &Progress)> {
        self.members.get(node).map(|member| (&member.caller, &member.progress))
    }

    /// All members but `except`, for people and nodes.
    #[must_use]
    pub fn views(&self, now: Monotonic, except: &str) -> Vec<FollowerView> {
        self.members
            .values()
            .filter(|member| member.caller.hello.node != except)
            .map(|member| member.view(now))
            .collect()
    }
}

impl Member {
    fn view(&self, now: Monotonic) -> FollowerView {
        let hello = self.caller.hello.clone();
        FollowerView {
            node: hello.node,
            incarnation: hello.incarnation,
            progress: self.progress.clone(),
            pid: hello.pid,
            resp_address: hello.resp_address,
            quic_address: hello.quic_address,
            newest_level: hello.levels.newest.0,
            age_us: u64::try_from(now.since(self.reported_at).as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// The largest character boundary of `text` that is not beyond `at`.
fn floor_char(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}
