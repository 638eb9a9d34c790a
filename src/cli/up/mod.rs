//! `tanist up`: a cluster on this machine. Starts the vault and, when it answers, the nodes; keeps all of them running, prints
//! events, and stops them in order: standby, primary, vault. So a clean stop needs no takeover and no recovery.
//!
//! Until the cluster has been ready once, `up` gives up when a child ends: an operator must see the cause (a damaged file, a port
//! in use). After that a child that ends is always restarted.

mod child;
mod narrator;
mod prepare;

use std::time::Duration;

use futures_util::future::select_all;
use tanist_replication::transport::address::HostPort;
use tanist_replication::wire::message::FollowerView;
use tokio::time::{Instant, sleep, timeout};

use self::child::{Child, ChildState};
use self::narrator::Narrator;
use self::prepare::Prepared;
use super::args::FileArgs;
use super::status::{Asker, ClusterStatus, NodeStatus};
use crate::config::{ClusterLayer, CommonLayer, Layer, LeaseLayer, LogLayer, NodeLayer};
use crate::exit::{EXIT_CONFIG, Failure};
use crate::shutdown::Shutdown;

/// Pause between two looks at a cluster that is starting.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// How often a person is told what is being waited for.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How long the first node is given to become primary before the second one is started.
const FIRST_ALONE_MAX: Duration = Duration::from_secs(5);
/// Longest wait for the answer to who is primary when stopping: without it nodes stop in the reverse order of their names.
const WHO_IS_PRIMARY_MAX: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct UpArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    common: CommonLayer,
    #[command(flatten)]
    cluster: ClusterLayer,
    #[command(flatten)]
    lease: LeaseLayer,
    #[command(flatten)]
    node: NodeLayer,
    #[command(flatten)]
    log: LogLayer,
}

pub(super) fn run(args: UpArgs) -> Result<(), Failure> {
    let UpArgs { file, common, cluster, lease, node, log } = args;
    let layer = file.under(Layer { common, cluster, lease, node, log })?;
    super::block_on(async move {
        let narrator = Narrator::start()?;
        let outcome = prepare_and_serve(layer, &narrator).await;
        narrator.finish().await;
        outcome
    })
}

async fn prepare_and_serve(layer: Layer, narrator: &Narrator) -> Result<(), Failure> {
    // May wait, and blocks its thread meanwhile: nothing else runs here yet, and a Ctrl-C still ends the process.
    let prepared = prepare::prepare(layer, |text| narrator.say("tanist", text))?;
    let asker = Asker::new(&prepared.folder, prepared.config.node.requirepass.clone())?;
    let shutdown = super::args::shutdown(false)?;
    let (made, cluster) = (if prepared.new { "made" } else { "found" }, prepared.cluster.cluster);
    narrator
        .say("tanist", &format!("{made} cluster {cluster} in {} (times are UTC)", prepared.folder.root().display()));
    let mut up = Up { asker, narrator: narrator.clone(), shutdown, vault: None, nodes: Vec::new() };
    let outcome = up.serve(&prepared).await;
    up.stop().await;
    outcome
}

/// A cluster that is running, or on its way.
struct Up {
    asker: Asker,
    narrator: Narrator,
    shutdown: Shutdown,
    vault: Option<Child>,
    /// By name.
    nodes: Vec<(String, Child)>,
}

impl Up {
    /// Starts everything and returns when it shall be stopped, or could not be started.
    async fn serve(&mut self, prepared: &Prepared) -> Result<(), Failure> {
        self.vault = Some(Child::start(prepared.vault.clone(), self.narrator.clone()));
        if !self.wait_for("the vault", |asker| async move { asker.vault().await.map(drop) }).await? {
            return Ok(());
        }
        // Whose process has the lease still, after everything was killed: its supervisor can tell the vault that it is dead.
        let holder = self.asker.vault().await.map(|vault| vault.lease).ok().filter(|lease| lease.remaining_us > 0);
        let mut nodes: Vec<_> = prepared.nodes.iter().collect();
        nodes.sort_by_key(|(name, _)| holder.as_ref().is_none_or(|lease| lease.holder != *name));
        for (name, spec) in nodes {
            self.nodes.push((name.clone(), Child::start(spec.clone(), self.narrator.clone())));
            // The first one becomes primary, so that a person finds it on the first port; unless it takes too long to load.
            let first =
                timeout(FIRST_ALONE_MAX, self.wait_for("a primary", |asker| async move { has_primary(&asker).await }));
            if let Ok(there) = first.await
                && !there?
            {
                return Ok(());
            }
        }
        if !self.wait_for("a primary and its standby", |asker| async move { is_ready(&asker.status().await) }).await? {
            return Ok(());
        }
        self.narrator.say("tanist", &what_next(&self.asker.status().await, prepared));
        self.shutdown.asked().await;
        Ok(())
    }

    /// Waits until `what` is there (true) or until the cluster shall stop (false). `look` says why it is not there yet.
    async fn wait_for<F: Future<Output = Result<(), String>>>(
        &mut self,
        what: &str,
        look: impl Fn(Asker) -> F,
    ) -> Result<bool, Failure> {
        let (asker, narrator, shutdown) = (self.asker.clone(), self.narrator.clone(), self.shutdown.clone());
        let looks = async {
            let mut said = Instant::now();
            while let Err(why) = look(asker.clone()).await {
                if said.elapsed() > SILENCE_MAX {
                    narrator.say("tanist", &format!("still waiting for {what}: {why}"));
                    said = Instant::now();
                }
                sleep(LOOK_PAUSE).await;
            }
        };
        tokio::select! {
            () = looks => Ok(true),
            () = shutdown.asked() => Ok(false),
            failure = self.first_death() => Err(failure),
        }
    }

    /// Ends when a child has died, with a sentence about it.
    async fn first_death(&mut self) -> Failure {
        let children = self.vault.iter_mut().chain(self.nodes.iter_mut().map(|(_, child)| child));
        let deaths = children.map(|child| {
            let who = child.who.clone();
            Box::pin(async move { (who, child.died().await) })
        });
        let ((who, ChildState { why, code, .. }), ..) = select_all(deaths).await;
        let sentence = format!("{who} ended before the cluster was ready: {why}");
        if code == Some(EXIT_CONFIG.into()) { Failure::Config(sentence) } else { Failure::Runtime(sentence) }
    }

    /// Stops the standby, then the primary, then the vault.
    async fn stop(&mut self) {
        if self.shutdown.is_asked() {
            self.narrator.say("tanist", "stopping");
        }
        let vault = match self.nodes.is_empty() {
            false => timeout(WHO_IS_PRIMARY_MAX, self.asker.vault()).await.ok().and_then(Result::ok),
            true => None,
        };
        let primary = vault.map(|vault| vault.lease.holder).unwrap_or_default();
        let mut nodes: Vec<_> = self.nodes.drain(..).rev().collect();
        nodes.sort_by_key(|(name, _)| *name == primary);
        for (_, node) in nodes {
            self.stop_child(node).await;
        }
        if let Some(vault) = self.vault.take() {
            self.stop_child(vault).await;
        }
    }

    async fn stop_child(&self, child: Child) {
        let who = child.who.clone();
        child.stop().await;
        self.narrator.say(&who, "stopped");
    }
}

/// Whether the lease is held by a process that is there. After a crash it may still run for one that is not.
async fn has_primary(asker: &Asker) -> Result<(), String> {
    let vault = asker.vault().await?;
    let lease = &vault.lease;
    let holds = |node: &FollowerView| node.node == lease.holder && node.incarnation == lease.incarnation;
    if lease.remaining_us == 0 {
        Err("no node has the lease yet".into())
    } else if vault.nodes.iter().any(holds) {
        Ok(())
    } else {
        Err(format!("a process of node {} that is gone still has the lease", lease.holder))
    }
}

/// Whether one node is primary and every other its standby, by their own words, and the vault agrees.
fn is_ready(status: &ClusterStatus) -> Result<(), String> {
    let standby = |node: &&NodeStatus| node.reachable && node.role == "standby";
    let standbys = status.nodes.iter().filter(standby).count();
    let primary = status.primary().is_some_and(|primary| primary.name == status.vault.holder);
    if primary && standbys + 1 == status.nodes.len() {
        return Ok(());
    }
    let nodes = status.nodes.iter().map(|node| match node.reachable {
        true if node.trouble.is_empty() => format!("node {} is {}", node.name, node.role),
        true => format!("node {} is {}, {}", node.name, node.role, node.trouble),
        false => format!("node {} is silent: {}", node.name, node.why),
    });
    let vault = &status.vault;
    let lease = match &vault.why {
        why if !why.is_empty() => format!("the vault is silent: {why}"),
        _ if vault.holder.is_empty() => "no node has the lease".into(),
        _ => format!("node {} has the lease", vault.holder),
    };
    Err(nodes.chain([lease]).collect::<Vec<_>>().join("; "))
}

/// The flags by which `redis-cli` reaches `at`; it looks on 127.0.0.1 by itself.
fn redis_cli(at: &HostPort) -> String {
    match at.host() {
        "127.0.0.1" => format!(" -p {}", at.port()),
        host => format!(" -h {host} -p {}", at.port()),
    }
}

/// The last line of a start: what a person may do now.
fn what_next(status: &ClusterStatus, prepared: &Prepared) -> String {
    let primary = status.primary();
    let at = primary.and_then(|node| node.resp.parse().ok()).map_or_else(String::new, |at: HostPort| redis_cli(&at));
    let auth = if prepared.config.node.requirepass.0.is_empty() { "" } else { " -a PASSWORD" };
    let mut text = format!("ready; use it:       redis-cli{at}{auth}");
    let program = std::env::args_os().next().unwrap_or_else(|| "tanist".into());
    let (program, data) = (program.display(), prepared.folder.root().display());
    text += &format!("\nlook at it:          {program} status --data {data}");
    if let Some((name, pid)) = primary.and_then(|node| Some((&node.name, node.pid?))) {
        text += &format!("\nsee a takeover:      kill -9 {pid}   (the database process of node {name}, the primary)");
    }
    text + "\nstop it:             Ctrl-C"
}
