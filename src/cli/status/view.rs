//! The cluster as `tanist status` shows it, combined from the answers of the processes.

use serde::Serialize;
use tanist_replication::wire::message::{FollowerView, HealthView, StatusView};

use crate::admin::NodeReport;
use crate::cli::ask::{NOBODY, is_refusal};

/// Everything that `tanist status --json` prints; described in docs/operations.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ClusterStatus {
    pub(crate) cluster: String,
    pub(crate) vault: VaultStatus,
    pub(crate) nodes: Vec<NodeStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct VaultStatus {
    pub(crate) address: String,
    pub(crate) pid: Option<u32>,
    pub(crate) reachable: bool,
    /// Why it cannot be reached; empty if it can.
    pub(crate) why: String,
    pub(crate) epoch: u64,
    /// Who holds the lease; empty if nobody does at the moment.
    pub(crate) holder: String,
    pub(crate) durable_lsn: u64,
    pub(crate) oldest_lsn: u64,
    pub(crate) log_bytes: u64,
    pub(crate) images: Vec<ImageStatus>,
    /// What is wrong with it, by its own words or, if it is silent, by the last that a node has heard of it.
    pub(crate) no_room_since_unix_ms: u64,
    pub(crate) refused_appends: u64,
    pub(crate) refused_images: u64,
    pub(crate) trouble: String,
    /// Feature level of the cluster, and the newest that the vault knows; 0 if it cannot be reached.
    pub(crate) level: u16,
    pub(crate) newest_level: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ImageStatus {
    pub(crate) cut: u64,
    pub(crate) epoch: u64,
    pub(crate) chunks: u32,
    pub(crate) bytes: u64,
    pub(crate) stored_unix_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct NodeStatus {
    pub(crate) name: String,
    pub(crate) role: String,
    /// The database process.
    pub(crate) pid: Option<u32>,
    /// Known if the supervisor runs on this machine.
    pub(crate) supervisor_pid: Option<u32>,
    pub(crate) resp: String,
    pub(crate) quic: String,
    pub(crate) epoch: u64,
    pub(crate) applied_lsn: u64,
    pub(crate) durable_lsn: u64,
    /// Records that are durable and not yet applied here.
    pub(crate) lag_records: u64,
    /// It is the primary and executes commands, as it says itself.
    pub(crate) serves: bool,
    /// What keeps the node from what its role asks of it, in its own words; empty if nothing does.
    pub(crate) trouble: String,
    pub(crate) last_takeover: String,
    pub(crate) freeze_pause_us_max: u64,
    /// Newest feature level that it knows; 0 if that is not known.
    pub(crate) newest_level: u16,
    /// True if the node itself has answered.
    pub(crate) reachable: bool,
    /// Why it has not; empty if it has.
    pub(crate) why: String,
}

/// What a process said, or why it said nothing.
pub(super) type ProbeResult<T> = Result<T, String>;

/// A node that was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Empty if only the node itself could tell.
    pub(super) name: String,
    pub(super) resp: String,
    pub(super) quic: String,
    pub(super) said: ProbeResult<NodeReport>,
}

impl ClusterStatus {
    /// Puts together what the vault and the nodes say. A node that is silent is shown as the vault last heard of it.
    pub(super) fn merge(
        cluster: String,
        vault_address: String,
        vault: ProbeResult<StatusView>,
        nodes: Vec<Asked>,
    ) -> Self {
        let connected = vault.as_ref().map(|vault| vault.nodes.clone()).unwrap_or_default();
        let reports = nodes.iter().filter_map(|asked| asked.said.as_ref().ok());
        let vault = VaultStatus::new(vault_address, vault, heard(reports));
        let nodes = nodes.into_iter().map(|asked| {
            let seen = connected.iter().find(|node| node.node == asked.name);
            NodeStatus::new(asked, seen)
        });
        let mut status = ClusterStatus { cluster, nodes: nodes.collect(), vault };
        let durable = status.nodes.iter().map(|node| node.durable_lsn).fold(status.vault.durable_lsn, u64::max);
        for node in status.nodes.iter_mut().filter(|node| !node.role.is_empty()) {
            node.lag_records = durable.saturating_sub(node.applied_lsn);
        }
        status
    }

    /// The node that says of itself that it is primary, under the newest epoch if an older one has not noticed yet.
    pub(crate) fn primary(&self) -> Option<&NodeStatus> {
        self.nodes.iter().filter(|node| node.reachable && node.role == "primary").max_by_key(|node| node.epoch)
    }

    /// Why there is no [`primary`](Self::primary), in a sentence that tells of each node.
    pub(crate) fn no_primary(&self) -> String {
        let said: Vec<String> = self.nodes.iter().map(NodeStatus::says).collect();
        format!("no node says that it is primary: {}", said.join("; "))
    }

    /// Whether every node refuses whoever asks: it is of no use to wait for a primary.
    pub(crate) fn is_refused(&self) -> bool {
        self.nodes.iter().all(|node| !node.reachable && is_refusal(&node.why))
    }

    /// Why nobody answered: that nothing runs is one cause, and not the only one.
    pub(crate) fn silence(&self) -> String {
        let said: Vec<String> = self.nodes.iter().map(NodeStatus::says).collect();
        let stopped = self.nodes.iter().all(|node| node.why == NOBODY);
        let advice = if stopped { ": `tanist up` starts them" } else { "" };
        format!("no process of this cluster answers ({}){advice}", said.join("; "))
    }

    /// True if nothing answered at all.
    pub(crate) fn is_silent(&self) -> bool {
        !self.vault.reachable && self.nodes.iter().all(|node| !node.reachable)
    }
}

impl VaultStatus {
    fn new(address: String, said: ProbeResult<StatusView>, heard: HealthView) -> VaultStatus {
        let health = said.as_ref().map_or(heard, |view| view.health.clone());
        let status = VaultStatus {
            address,
            no_room_since_unix_ms: health.no_room_since_unix_ms,
            refused_appends: health.refused_appends,
            refused_images: health.refused_images,
            trouble: health.why,
            ..VaultStatus::default()
        };
        match said {
            Err(why) => VaultStatus { why, ..status },
            Ok(view) => VaultStatus {
                pid: Some(view.pid),
                reachable: true,
                epoch: view.lease.epoch,
                holder: if view.lease.remaining_us > 0 { view.lease.holder } else { String::new() },
                durable_lsn: view.durable,
                oldest_lsn: view.oldest,
                log_bytes: view.log_bytes,
                images: view
                    .images
                    .iter()
                    .map(|image| ImageStatus {
                        cut: image.cut,
                        epoch: image.epoch,
                        chunks: image.chunks,
                        bytes: image.bytes,
                        stored_unix_ms: image.stored_unix_ms,
                    })
                    .collect(),
                level: view.lease.level,
                newest_level: view.newest_level,
                ..status
            },
        }
    }
}

/// What the nodes have heard of the vault's troubles: the newest count.
fn heard<'a>(reports: impl Iterator<Item = &'a NodeReport>) -> HealthView {
    let newest = reports.max_by_key(|report| (report.vault_no_room_since_unix_ms, report.vault_refused_appends));
    newest.map_or_else(HealthView::default, |report| HealthView {
        no_room_since_unix_ms: report.vault_no_room_since_unix_ms,
        refused_appends: report.vault_refused_appends,
        refused_images: report.vault_refused_images,
        why: report.vault_trouble.clone(),
    })
}

impl NodeStatus {
    /// How the node stands, or why that is not known.
    pub(crate) fn says(&self) -> String {
        let who =
            if self.name.is_empty() { format!("the node at {}", self.resp) } else { format!("node {}", self.name) };
        match (self.reachable, self.trouble.as_str()) {
            (false, _) => format!("{who} cannot be asked ({})", self.why),
            (true, "") => format!("{who} is {}", self.role),
            (true, trouble) => format!("{who} is {}, {trouble}", self.role),
        }
    }

    fn new(asked: Asked, seen: Option<&FollowerView>) -> NodeStatus {
        let Asked { name, resp, quic, said } = asked;
        match (said, seen) {
            (Ok(report), _) => NodeStatus {
                name: if name.is_empty() { report.name } else { name },
                serves: report.role == "primary" && report.trouble.is_empty(),
                trouble: report.trouble,
                role: report.role,
                pid: Some(report.pid),
                resp,
                quic: if quic.is_empty() { report.quic } else { quic },
                epoch: report.epoch,
                applied_lsn: report.applied_lsn,
                durable_lsn: report.durable_lsn,
                last_takeover: report.last_takeover,
                freeze_pause_us_max: report.freeze_pause_us_max,
                newest_level: report.newest_level,
                reachable: true,
                ..NodeStatus::default()
            },
            (Err(why), Some(seen)) => NodeStatus {
                name,
                role: seen.progress.role.clone(),
                pid: Some(seen.pid),
                resp,
                quic,
                epoch: seen.progress.epoch,
                applied_lsn: seen.progress.applied,
                durable_lsn: seen.progress.durable,
                last_takeover: seen.progress.last_takeover.clone(),
                newest_level: seen.newest_level,
                why,
                ..NodeStatus::default()
            },
            (Err(why), None) => NodeStatus { name, resp, quic, why, ..NodeStatus::default() },
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tanist_replication::wire::message::{ImageView, LeaseView, Progress};

    use super::*;

    pub(in super::super) fn merge(
        vault: ProbeResult<StatusView>,
        node: impl Fn(&str) -> ProbeResult<NodeReport>,
    ) -> ClusterStatus {
        let nodes = [("a", "127.0.0.1:6379"), ("b", "127.0.0.1:6380")];
        let asked =
            |(name, at): (&str, &str)| Asked { name: name.into(), resp: at.into(), quic: at.into(), said: node(name) };
        ClusterStatus::merge("5".repeat(32), "127.0.0.1:6381".into(), vault, nodes.map(asked).into())
    }

    pub(in super::super) fn vault() -> StatusView {
        StatusView {
            pid: 10,
            lease: LeaseView {
                epoch: 3,
                holder: "a".into(),
                remaining_us: 1_900_000,
                level: 1,
                ..LeaseView::default()
            },
            durable: 1000,
            oldest: 400,
            log_bytes: 5 << 20,
            images: vec![ImageView {
                cut: 399,
                epoch: 3,
                chunks: 2,
                bytes: 1 << 21,
                stored_unix_ms: 1_700_000_000_000,
            }],
            health: HealthView::default(),
            newest_level: 1,
            nodes: vec![FollowerView {
                node: "b".into(),
                pid: 12,
                progress: Progress { role: "standby".into(), applied: 990, durable: 995, ..Progress::default() },
                ..FollowerView::default()
            }],
        }
    }

    pub(in super::super) fn primary() -> NodeReport {
        NodeReport {
            name: "a".into(),
            role: "primary".into(),
            pid: 11,
            epoch: 3,
            applied_lsn: 1002,
            durable_lsn: 1000,
            last_takeover: "took over from b in 120 ms".into(),
            freeze_pause_us_max: 77,
            ..NodeReport::default()
        }
    }

    #[test]
    fn a_silent_node_is_shown_as_the_vault_knows_it() {
        let status = merge(Ok(vault()), |name| match name {
            "a" => Ok(primary()),
            _ => Err("nobody answers there".into()),
        });
        let [a, b] = &status.nodes[..] else { panic!("two nodes") };
        assert_eq!((a.reachable, a.pid, a.lag_records, a.freeze_pause_us_max), (true, Some(11), 0, 77));
        assert_eq!((b.reachable, b.pid, b.lag_records, b.role.as_str()), (false, Some(12), 10, "standby"));
        assert_eq!(b.why, "nobody answers there");
        assert_eq!(status.primary().map(|node| node.name.as_str()), Some("a"));
        assert!(!status.is_silent());
    }

    #[test]
    fn of_two_that_say_primary_the_newer_epoch_is() {
        let status =
            merge(Err("stopped".into()), |name| Ok(NodeReport { epoch: if name == "b" { 4 } else { 3 }, ..primary() }));
        assert_eq!(status.primary().map(|node| node.name.as_str()), Some("b"));
    }

    /// A full disk was seen in the vault's log alone.
    #[test]
    fn what_is_wrong_with_the_vault_is_told_by_itself_or_by_a_node() {
        let health = HealthView {
            no_room_since_unix_ms: 5,
            refused_appends: 9,
            refused_images: 1,
            why: "no room left".to_owned(),
        };
        let status = merge(Ok(StatusView { health, ..vault() }), |_| Ok(primary()));
        let told = |status: &ClusterStatus| {
            let VaultStatus { no_room_since_unix_ms, refused_appends, refused_images, trouble, .. } = &status.vault;
            (*no_room_since_unix_ms, *refused_appends, *refused_images, trouble.clone())
        };
        assert_eq!(told(&status), (5, 9, 1, "no room left".to_owned()));
        let report = NodeReport {
            vault_no_room_since_unix_ms: 7,
            vault_refused_appends: 3,
            vault_trouble: "full".to_owned(),
            ..primary()
        };
        let heard = |name: &str| Ok(if name == "a" { report.clone() } else { primary() });
        assert_eq!(told(&merge(Err("not asked".into()), heard)), (7, 3, 0, "full".to_owned()));
        assert_eq!(told(&merge(Ok(vault()), heard)), (0, 0, 0, String::new()), "the vault knows better");
    }

    /// "No node says that it is primary" was all that a tool said to whoever had not given the password.
    #[test]
    fn silence_has_its_causes() {
        let status = merge(Err("nobody".into()), |_| Err(NOBODY.into()));
        assert!(status.is_silent() && status.primary().is_none());
        assert_eq!(
            status.silence(),
            "no process of this cluster answers (node a cannot be asked (nobody listens there); node b cannot be asked (nobody \
             listens there)): `tanist up` starts them"
        );
        let status = merge(Err("nobody".into()), |name| match name {
            "a" => Err("it refuses, NOAUTH: set TANIST_REQUIREPASS to its password".into()),
            _ => Ok(NodeReport { role: "standby".into(), trouble: "does not follow".into(), ..primary() }),
        });
        assert_eq!(
            status.no_primary(),
            "no node says that it is primary: node a cannot be asked (it refuses, NOAUTH: set TANIST_REQUIREPASS to its \
             password); node b is standby, does not follow"
        );
        assert!(!status.silence().contains("tanist up"));
    }
}
