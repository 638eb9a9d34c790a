//! `tanist status`: asks the vault and every node separately, and shows their answers, and which of them do not answer.

mod table;
mod view;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use redis::aio::MultiplexedConnection;
use tanist_db_core::clock::{Clock, SystemClock};
use tanist_db_core::level::Levels;
use tanist_replication::transport::address::HostPort;
use tanist_replication::transport::dial::{Endpoints, dial};
use tanist_replication::transport::principal::Principal;
use tanist_replication::transport::quic::ALPN_VAULT;
use tanist_replication::transport::rpc::ControlClient;
use tanist_replication::transport::tls::Credentials;
use tanist_replication::wire::message::{Answer, Hello, Peer, Request, StatusView};

use super::args::NodesArgs;
use super::ask::{ask, ask_at_length, connect};
use super::{certs, print};
use crate::admin::NodeReport;
use crate::cluster_file::{ClusterFile, DataFolder};
use crate::config::{Layer, NodeLayer, Password};
use crate::exit::Failure;

use view::Asked;
pub(super) use view::{ClusterStatus, NodeStatus};

/// Longest wait for an answer: whoever needs longer is shown as silent.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// Pause between two looks at who is primary.
const SETTLE_PAUSE: Duration = Duration::from_millis(10);
/// For so long the tool looks who is primary, before and after a change of roles.
const SETTLE_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// Print JSON, as described in docs/operations.md
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nodes: NodesArgs,
}

pub(super) fn run(args: StatusArgs) -> Result<(), Failure> {
    let asker = Asker::from_args(args.nodes)?;
    super::block_on(async move {
        let status = asker.status().await;
        print(&if args.json {
            serde_json::to_string_pretty(&status).map_err(|e| Failure::Runtime(e.to_string()))? + "\n"
        } else {
            table::table(&status, SystemClock::new().unix())
        });
        if status.is_silent() {
            return Err(Failure::Runtime(status.silence()));
        }
        Ok(())
    })
}

/// Asks the processes of one cluster for their status.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    whom: Whom,
    password: Password,
}

#[derive(Clone, Debug)]
enum Whom {
    /// Everyone in `cluster.toml`.
    Cluster(Arc<Known>),
    /// Nodes at these addresses. The vault talks only to those who have the cluster's certificates.
    Nodes(Vec<HostPort>),
}

#[derive(Debug)]
struct Known {
    folder: DataFolder,
    cluster: ClusterFile,
    credentials: Credentials,
}

impl Asker {
    pub(super) fn from_args(args: NodesArgs) -> Result<Asker, Failure> {
        let NodesArgs { addresses, requirepass, tool } = args;
        let node = NodeLayer { requirepass, ..NodeLayer::default() };
        let config = tool.config(Layer { node, ..Layer::default() })?;
        if addresses.is_empty() {
            Asker::new(&DataFolder::new(&config.common.data), config.node.requirepass)
        } else {
            Ok(Asker { whom: Whom::Nodes(addresses), password: config.node.requirepass })
        }
    }

    pub(super) fn new(folder: &DataFolder, password: Password) -> Result<Asker, Failure> {
        let cluster = folder.cluster()?;
        let credentials = certs::load(folder, &cluster, &Principal::Tool)?;
        Ok(Asker { whom: Whom::Cluster(Arc::new(Known { folder: folder.clone(), cluster, credentials })), password })
    }

    /// What everybody says.
    pub(super) async fn status(&self) -> ClusterStatus {
        match &self.whom {
            Whom::Cluster(known) => {
                let nodes = known.cluster.nodes.iter().map(|(name, address)| {
                    self.node(name, &address.resp.advertised, address.quic.advertised.to_string())
                });
                let (vault, nodes) = join(known.vault(), join_all(nodes)).await;
                let (cluster, address) =
                    (known.cluster.cluster.to_string(), known.cluster.vault.quic.advertised.to_string());
                let mut status = ClusterStatus::merge(cluster, address, vault, nodes);
                known.name_processes(&mut status);
                status
            }
            Whom::Nodes(addresses) => {
                let nodes = addresses.iter().map(|address| self.node("", address, String::new()));
                let nodes = join_all(nodes).await;
                let told = nodes.iter().filter_map(|asked| asked.said.as_ref().ok());
                let cluster = told.map(|report| report.cluster.clone()).next().unwrap_or_default();
                let vault = Err("not asked: that needs the certificates in the data folder, see --data".into());
                ClusterStatus::merge(cluster, String::new(), vault, nodes)
            }
        }
    }

    /// The cluster's status as soon as a node that fits says that it is primary; after [`SETTLE_WAIT`], whatever it is
    /// then. The vault moves the lease first, the successor serves a moment later.
    pub(super) async fn with_primary(&self, fits: impl Fn(&NodeStatus) -> bool) -> ClusterStatus {
        let mut status = self.status().await;
        let clock = SystemClock::new();
        let begun = clock.monotonic();
        while !status.is_refused()
            && !status.primary().is_some_and(&fits)
            && clock.monotonic().since(begun) < SETTLE_WAIT
        {
            tokio::time::sleep(SETTLE_PAUSE).await;
            status = self.status().await;
        }
        status
    }

    /// The vault's view of the cluster, or why there is none.
    pub(super) async fn vault(&self) -> Result<StatusView, String> {
        match &self.whom {
            Whom::Cluster(known) => known.vault().await,
            Whom::Nodes(_) => Err("not known".into()),
        }
    }

    /// Sends `words` to the node at `address`; waits `wait` for the answer.
    pub(super) async fn tell(&self, address: &str, words: &[&str], wait: Duration) -> Result<String, String> {
        ask_at_length(address, &self.password, words, wait).await
    }

    /// A connection for several questions, each answered within `wait`.
    pub(super) async fn connect(&self, address: &str, wait: Duration) -> Result<MultiplexedConnection, String> {
        connect(address, &self.password, wait).await
    }

    /// What the nodes may want to know first.
    pub(super) fn password(&self) -> &Password {
        &self.password
    }

    async fn node(&self, name: &str, resp: &HostPort, quic: String) -> Asked {
        let resp = resp.to_string();
        let answer = ask(&resp, &self.password, &["TANIST", "STATUS"], ANSWER_WAIT).await;
        let said = answer.and_then(|json| {
            let report: NodeReport =
                serde_json::from_str(&json).map_err(|e| format!("it answers with no report: {e}"))?;
            match name.is_empty() || report.name == name {
                true => Ok(report),
                false => Err(format!("node '{}' answers there", report.name)),
            }
        });
        Asked { name: name.to_owned(), resp, quic, said }
    }
}

impl Known {
    async fn vault(&self) -> Result<StatusView, String> {
        let (at, endpoints) = (&self.cluster.vault.quic.advertised, Endpoints::default());
        let connection = dial(&endpoints, &self.credentials, ALPN_VAULT, &Principal::Vault, at).await?;
        let hello = Hello {
            levels: Levels::OWN,
            cluster: self.cluster.cluster.0,
            peer: Peer::Tool,
            node: String::new(),
            incarnation: 0,
            pid: std::process::id(),
            resp_address: String::new(),
            quic_address: String::new(),
        };
        let (client, _) = ControlClient::open(connection, &hello, |_| {}).await.map_err(|e| e.to_string())?;
        match client.call(Request::Status, ANSWER_WAIT).await.map_err(|e| e.to_string())? {
            Answer::Status(view) => Ok(*view),
            Answer::Refused { why } => Err(why),
            other => Err(format!("unexpected answer {other:?}")),
        }
    }

    /// Adds what the locks of the data folder tell about processes on this machine.
    fn name_processes(&self, status: &mut ClusterStatus) {
        if status.vault.pid.is_none() {
            status.vault.pid = self.folder.holder("vault.lock");
        }
        for node in &mut status.nodes {
            node.supervisor_pid = self.folder.holder(&format!("node-{}.lock", node.name));
        }
    }
}
