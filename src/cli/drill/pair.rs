//! Whether a pair is healthy, and who takes over when it is not.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tanist_db_core::clock::{Clock, Monotonic};
use tokio::time::sleep;

use crate::admin::NodeReport;
use crate::cli::ask::put;
use crate::cli::status::{Asker, ClusterStatus, NodeStatus};

/// Pause between two looks at a pair: a fraction of what a restart takes, and much longer than a look, which opens connections to
/// all processes and must not slow down what clients see.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// Pause between two questions to a node whether it is primary: it bounds how exactly a takeover is timed.
const ASK_PAUSE: Duration = Duration::from_millis(2);
/// Longest wait for one answer; a paused process gives none.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// A primary and its standby.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) primary: NodeStatus,
    pub(super) standby: NodeStatus,
}

impl Pair {
    /// The two nodes, or what is wrong with the cluster.
    fn of(status: &ClusterStatus) -> Result<Pair, String> {
        if !status.vault.reachable {
            return Err(format!("the vault does not answer ({})", status.vault.why));
        }
        let primary = status.primary().ok_or_else(|| status.no_primary())?;
        if !primary.trouble.is_empty() {
            return Err(primary.says());
        }
        let standby = status.nodes.iter().find(|node| node.reachable && node.role == "standby");
        let standby = standby.ok_or_else(|| {
            let others = status.nodes.iter().filter(|node| node.name != primary.name);
            let others: Vec<String> = others.map(NodeStatus::says).collect();
            format!("node {} has no standby ({})", primary.name, others.join(", "))
        })?;
        Ok(Pair { primary: primary.clone(), standby: standby.clone() })
    }
}

/// Waits until there is a primary and a standby that follows: it has applied everything that was durable when the two were
/// first seen together.
///
/// # Errors
/// What was still wrong after `wait`.
pub(super) async fn healthy(asker: &Asker, clock: &dyn Clock, wait: Duration) -> Result<Pair, String> {
    let begun = clock.monotonic();
    let mut follow_to = None;
    loop {
        let status = asker.status().await;
        let why = match Pair::of(&status) {
            Ok(pair) => {
                let to = *follow_to.get_or_insert(status.vault.durable_lsn);
                if pair.standby.applied_lsn >= to {
                    return Ok(pair);
                }
                let missing = to - pair.standby.applied_lsn;
                format!("node {}, the standby, does not follow: {missing} records are missing", pair.standby.name)
            }
            Err(why) => why,
        };
        if status.is_refused() || clock.monotonic().since(begun) >= wait {
            return Err(why);
        }
        sleep(LOOK_PAUSE).await;
    }
}

/// A node that has become primary.
#[derive(Clone, Debug)]
pub(super) struct Successor {
    pub(super) report: NodeReport,
    pub(super) at: Monotonic,
}

/// Waits until the node at `address` says that it is primary under a newer epoch than `epoch`.
pub(super) async fn successor(asker: &Asker, clock: &dyn Clock, address: &str, epoch: u64) -> Successor {
    let mut open = None;
    loop {
        match report(asker, address, &mut open).await {
            Ok(report) if report.role == "primary" && report.epoch > epoch => {
                return Successor { report, at: clock.monotonic() };
            }
            Ok(_) => {}
            Err(_) => open = None,
        }
        sleep(ASK_PAUSE).await;
    }
}

/// Asks on a connection that is kept: a new one for each question would disturb what is being timed.
async fn report(asker: &Asker, address: &str, open: &mut Option<MultiplexedConnection>) -> Result<NodeReport, String> {
    let connection = match open {
        Some(connection) => connection,
        None => open.insert(asker.connect(address, ANSWER_WAIT).await?),
    };
    let answer = put(connection, &["TANIST", "STATUS"]).await?;
    serde_json::from_str(&answer).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(vault: bool, roles: [&str; 2]) -> ClusterStatus {
        let node = |(name, role): (&str, &str)| NodeStatus {
            name: name.into(),
            role: role.into(),
            reachable: !role.is_empty(),
            why: "nobody listens there".into(),
            ..NodeStatus::default()
        };
        let nodes = [("a", roles[0]), ("b", roles[1])].map(node).into();
        let mut status = ClusterStatus { cluster: String::new(), vault: Default::default(), nodes };
        (status.vault.reachable, status.vault.why) = (vault, "gone".into());
        status
    }

    #[test]
    fn a_pair_is_a_primary_a_standby_and_their_vault() {
        let pair = Pair::of(&status(true, ["standby", "primary"])).expect("healthy");
        assert_eq!((pair.primary.name.as_str(), pair.standby.name.as_str()), ("b", "a"));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (vault, roles, why) in [
            (false, ["primary", "standby"], "the vault does not answer (gone)"),
            (true, ["standby", "standby"], "no node says that it is primary: node a is standby; node b is standby"),
            (true, ["primary", "joining"], "node a has no standby (node b is joining)"),
            (true, ["primary", ""], "node a has no standby (node b cannot be asked (nobody listens there))"),
        ] {
            assert_eq!(Pair::of(&status(vault, roles)).expect_err(why), why);
        }
    }
}
