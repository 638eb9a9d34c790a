//! `tanist node`: the supervisor of one node.

use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;

use tanist_replication::supervisor::{SupervisorError, SupervisorOptions, supervise};

use super::args::{CHILD, EVENTS_JSON, Server, ServerArgs, node_name, own_program, shutdown};
use super::certs;
use crate::cluster_file::{LOCK_WAIT, database_lock};
use crate::config::{ForChild, Layer, LeaseLayer, NodeLayer};
use crate::exit::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct NodeArgs {
    /// Name of the node, as in cluster.toml
    #[arg(long, value_parser = node_name)]
    name: String,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    lease: LeaseLayer,
    #[command(flatten)]
    node: NodeLayer,
}

pub(super) fn run(args: NodeArgs) -> Result<(), Failure> {
    let NodeArgs { name, server: flags, lease, node } = args;
    let (child, events_json) = (flags.child, flags.events_json);
    let layer = Layer { lease, node, ..Layer::default() };
    let server = flags.server(layer, &format!("node {name}"), Layer::resolve)?;
    server.cluster.node(&name)?;
    let _lock = server.folder.lock(&format!("node-{name}.lock"), LOCK_WAIT)?;
    let database = Database::new(&server, &name, events_json)?;
    super::block_on(watch(server, name, database, child))
}

async fn watch(server: Server, name: String, database: Database, child: bool) -> Result<(), Failure> {
    let shutdown = shutdown(child)?;
    let predecessor = server.folder.dead_holder(&database_lock(&name));
    let credentials = certs::load(&server.folder, &server.cluster, &certs::node(&name)?)?;
    let options = SupervisorOptions {
        node: name,
        credentials: Arc::new(credentials),
        vault: server.cluster.vault.quic.advertised.clone(),
        clock: Arc::new(crate::clock::machine()),
        predecessor,
    };
    supervise(options, |incarnation| database.command(incarnation), async move { shutdown.asked().await })
        .await
        .map_err(|e| match e {
            SupervisorError::Settings(_) => Failure::SaidByChild,
            SupervisorError::Start { .. } => Failure::Runtime(e.to_string()),
        })
}

/// How the database process is started.
struct Database {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
}

impl Database {
    fn new(server: &Server, name: &str, events_json: bool) -> Result<Database, Failure> {
        let mut child = ForChild::default();
        server.layer.lease.for_child(&mut child);
        server.layer.node.for_child(&mut child);
        server.layer.log.for_child(&mut child);
        let mut args: Vec<OsString> = ["database", "--name", name, CHILD].map(Into::into).into();
        if events_json {
            args.push(EVENTS_JSON.into());
        }
        args.extend(["--data".into(), server.folder.root().into()]);
        args.append(&mut child.args);
        Ok(Database { program: own_program()?, args, env: child.env })
    }

    fn command(&self, incarnation: u64) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).arg("--incarnation").arg(incarnation.to_string());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}
