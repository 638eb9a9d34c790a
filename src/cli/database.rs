//! `tanist database`: the database process of a node. Started by its supervisor with the supervisor's own flags.

use super::args::{Server, ServerArgs, node_name, shutdown};
use crate::cluster_file::{LOCK_WAIT, database_lock};
use crate::config::{Layer, LeaseLayer, NodeLayer};
use crate::exit::Failure;
use crate::node::DatabaseOptions;

#[derive(Debug, clap::Args)]
pub(super) struct DatabaseArgs {
    /// Name of the node
    #[arg(long, value_parser = node_name)]
    name: String,
    /// Number of this start; the supervisor names it in an obituary
    #[arg(long)]
    incarnation: u64,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    lease: LeaseLayer,
    #[command(flatten)]
    node: NodeLayer,
}

pub(super) fn run(args: DatabaseArgs) -> Result<(), Failure> {
    let child = args.server.child;
    let who = format!("node {}", args.name);
    let flags = Layer { lease: args.lease, node: args.node, ..Layer::default() };
    let Server { config, folder, cluster, .. } = args.server.server(flags, &who, Layer::resolve)?;
    cluster.node(&args.name)?;
    // A predecessor whose supervisor was killed may still be on its way out, and has the ports until then.
    let _lock = folder.lock_as(&database_lock(&args.name), args.incarnation, LOCK_WAIT)?;
    let options = DatabaseOptions { name: args.name, incarnation: args.incarnation, cluster, folder, config };
    super::block_on(async move { crate::node::run(options, shutdown(child)?).await })
}
