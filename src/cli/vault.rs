//! `tanist vault`.

use std::sync::Arc;
use std::time::Duration;

use tanist_replication::transport::principal::Principal;
use tanist_replication::transport::quic::{self, ALPN_VAULT};
use tanist_replication::{StorageError, VaultError, VaultOptions, start_vault};

use super::args::{Server, ServerArgs, shutdown};
use super::certs;
use crate::cluster_file::LOCK_WAIT;
use crate::config::{Layer, LeaseLayer};
use crate::exit::Failure;
use crate::telemetry::EVENT;

#[derive(Debug, clap::Args)]
pub(super) struct VaultArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    lease: LeaseLayer,
}

pub(super) fn run(args: VaultArgs) -> Result<(), Failure> {
    let child = args.server.child;
    let server =
        args.server.server(Layer { lease: args.lease, ..Layer::default() }, "vault", Layer::resolve_for_vault)?;
    let _lock = server.folder.lock("vault.lock", LOCK_WAIT)?;
    super::block_on(serve(server, child))
}

async fn serve(server: Server, child: bool) -> Result<(), Failure> {
    let shutdown = shutdown(child)?;
    let Server { config, folder, cluster, .. } = server;
    let credentials = certs::load(&folder, &cluster, &Principal::Vault)?;
    let address = cluster.vault.quic.listen;
    let endpoint = quic::listen(address, credentials.server_config(&[ALPN_VAULT]), credentials.reset_key())
        .map_err(|e| Failure::Config(e.to_string()))?;
    let lease = Duration::from_millis(config.lease.lease_ms);
    let options = VaultOptions {
        dir: folder.vault(),
        cluster: cluster.cluster.0,
        lease,
        permit: Some(folder.begin_vault()),
        nodes: Some(cluster.nodes.keys().cloned().collect()),
    };
    let vault = start_vault(options, endpoint, Arc::new(crate::clock::machine())).await.map_err(|e| match e {
        // These may be over at the next start.
        VaultError::Storage(e @ (StorageError::Full { .. } | StorageError::Io { .. })) => {
            Failure::Runtime(e.to_string())
        }
        VaultError::Storage(e) => Failure::Config(e.to_string()),
        VaultError::Thread(_) => Failure::Runtime(e.to_string()),
    })?;
    tracing::info!(target: EVENT, kind = "ready", "ready on {address}, lease {} ms", lease.as_millis());
    tokio::select! {
        () = shutdown.asked() => {}
        why = vault.failed() => return Err(Failure::Runtime(why)),
    }
    if shutdown.is_orphaned() {
        // The nodes have lost the same parent, and stop at this moment: a lease that is given up need not be waited for later.
        vault.outlast_nodes().await;
    }
    vault.stop().await;
    Ok(())
}
