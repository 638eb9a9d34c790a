//! The cluster's feature level (protocol version): what may be written, so that every process of the cluster can read it.
//!
//! It is the newest level that the vault and all nodes support. Every node counts that has ever connected; a node that is away
//! counts with the levels that it last reported. The level only rises, and a node that does not support it is refused; so an
//! admitted node understands whatever it will be sent. A node's levels are durable before the node is admitted, and the cluster's
//! level is durable before anyone learns of it: a vault that forgot either could raise the level beyond a node that is about to
//! follow.
//!
//! A node that has never connected does not count. It has nothing to lose: it is refused, and the error says which release it
//! needs.

use tanist_db_core::level::{Level, LevelError, Levels};
use tanist_db_core::planted::planted;

use super::{LeaseAuthority, Ruling, Why};
use crate::limits::NODES_MAX;
use crate::vault::catalog::{KnownNode, LeaseRecord};
use crate::vault::lease::roster::Caller;
use crate::wire::message::{Answer, Peer};

impl LeaseRecord {
    /// The cluster's feature level, in a vault that knows `levels`.
    #[must_use]
    pub fn level(&self, levels: Levels) -> Level {
        Level(self.level).max(levels.oldest)
    }

    /// Nodes that are not among `names` no longer belong to the cluster, and no longer limit its level.
    pub fn forget_others(&mut self, names: &[String]) {
        self.nodes.retain(|known| names.contains(&known.node));
    }

    /// The record after the database process of `node` has come, which knows levels up to `newest`.
    ///
    /// # Errors
    /// A sentence: there are too many nodes.
    fn with_node(&self, node: &str, newest: Level, levels: Levels) -> Result<LeaseRecord, String> {
        let mut record = self.clone();
        let at = record.nodes.iter().position(|known| known.node == node);
        match at {
            Some(at) => record.nodes[at].newest_level = newest.0,
            None if record.nodes.len() >= NODES_MAX => {
                return Err(format!(
                    "the vault has seen {NODES_MAX} nodes, and {node} is one more: remove those that are gone from the vault's cluster.toml and start it again"
                ));
            }
            None => record.nodes.push(KnownNode { node: node.to_owned(), newest_level: newest.0 }),
        }
        let known = record.nodes.iter().map(|known| Level(known.newest_level)).fold(levels.newest, Level::min);
        record.level = known.max(self.level(levels)).0;
        Ok(record)
    }
}

impl LeaseAuthority {
    /// The feature levels that the vault knows.
    #[must_use]
    pub const fn levels(&self) -> Levels {
        self.levels
    }

    /// The cluster's feature level, as everyone may know it.
    #[must_use]
    pub fn level(&self) -> Level {
        self.lease.level(self.levels)
    }

    /// Rules on a peer that has come: `None` if it may [enter](LeaseAuthority::enter) at once, and if anything has to be made durable before,
    /// it may when that is done.
    pub fn announce(&mut self, caller: &Caller) -> Option<Ruling> {
        if caller.hello.peer != Peer::Database {
            return None;
        }
        let newest = self.change.as_ref().map_or(&self.lease, |change| &change.record);
        let (node, theirs) = (&caller.hello.node, caller.hello.levels);
        if let Err(error) = theirs.check(newest.level(self.levels)) {
            return Some(Ruling::Answer(Answer::Refused { why: unknown(node, error) }));
        }
        let record = match newest.with_node(node, theirs.newest, self.levels) {
            Ok(record) => record,
            Err(why) => return Some(Ruling::Answer(Answer::Refused { why })),
        };
        if record == *newest {
            return None;
        }
        if self.change.is_some() {
            return Some(Ruling::Wait);
        }
        if planted("a node's feature level is not remembered") {
            self.lease = record;
            return None;
        }
        Some(self.begin(record, Why::Levels))
    }
}

#[cfg(feature = "next-level")]
impl LeaseAuthority {
    /// Returns the reply to a rehearsal, or a refusal where the connection's level is below that of rehearsals.
    pub(super) fn rehearse(&self, caller: &Caller, number: u64) -> Answer {
        let needed = tanist_db_core::level::since::REHEARSAL;
        match self.levels.common(caller.hello.levels) {
            Some(level) if level >= needed => {
                tracing::info!(node = caller.hello.node, number, "rehearsed");
                Answer::Rehearsed { number }
            }
            level => {
                let level = level.unwrap_or_default();
                let why = format!("a rehearsal needs feature level {needed}, and this connection is of level {level}");
                Answer::Refused { why }
            }
        }
    }
}

fn unknown(node: &str, error: LevelError) -> String {
    let LevelError { level, known } = error;
    format!(
        "the cluster is at feature level {level}, and this release of node {node} knows {known}: {}",
        error.remedy()
    )
}
