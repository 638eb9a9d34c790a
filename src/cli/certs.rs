//! `tanist certs`, and the certificates of a cluster that is being started.

use std::fs;
use std::io;
use std::sync::Arc;

use tanist_db_core::clock::Clock;
use tanist_replication::transport::certs;
use tanist_replication::transport::principal::Principal;
use tanist_replication::transport::tls::Credentials;

use super::args::ToolArgs;
use super::print;
use crate::cluster_file::{ClusterFile, DataFolder};
use crate::exit::Failure;

#[derive(Debug, clap::Subcommand)]
pub(super) enum CertsCommand {
    /// Make new certificates for every process of the cluster, signed by its own authority; processes take them up when they start
    Renew(ToolArgs),
}

pub(super) fn run(command: CertsCommand) -> Result<(), Failure> {
    let CertsCommand::Renew(tool) = command;
    let folder = tool.folder()?;
    let cluster = folder.cluster()?;
    let now = crate::clock::machine().unix();
    let mut renewed = certs::renew(&folder.tls(), now).map_err(|e| Failure::Config(e.to_string()))?;
    for principal in principals(&cluster)? {
        // A node that was added to cluster.toml has none yet.
        if !renewed.contains(&principal) {
            certs::issue(&folder.tls(), &principal, now).map_err(|e| Failure::Config(e.to_string()))?;
            renewed.push(principal);
        }
    }
    check(&folder, &cluster)?;
    let names: Vec<String> = renewed.iter().map(Principal::to_string).collect();
    print(&format!("renewed in {}: {}\n", folder.tls().display(), names.join(", ")));
    Ok(())
}

/// Makes the certificates of a new cluster, or checks those of an existing one.
pub(super) fn ensure(folder: &DataFolder, cluster: &ClusterFile, new: bool) -> Result<(), Failure> {
    if new {
        // What an interrupted first run made is of no cluster.
        match fs::remove_dir_all(folder.tls()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::Config(format!("cannot remove {}: {e}", folder.tls().display())));
            }
            _ => {}
        }
        certs::create(&folder.tls(), cluster.cluster.0, &principals(cluster)?, crate::clock::machine().unix())
            .map_err(|e| Failure::Config(e.to_string()))?;
    }
    check(folder, cluster)
}

/// What `principal` needs to speak within the cluster, checked.
pub(super) fn load(folder: &DataFolder, cluster: &ClusterFile, principal: &Principal) -> Result<Credentials, Failure> {
    let credentials = Credentials::load(&folder.tls(), principal, Arc::new(crate::clock::machine()))
        .map_err(|e| Failure::Config(e.to_string()))?;
    if credentials.cluster() != cluster.cluster.0 {
        return Err(Failure::Config(format!(
            "{} is of cluster {:032x}, but {} describes cluster {}: put the files of one cluster together",
            principal.certificate_file(&folder.tls()).display(),
            credentials.cluster(),
            folder.cluster_toml().display(),
            cluster.cluster
        )));
    }
    Ok(credentials)
}

fn check(folder: &DataFolder, cluster: &ClusterFile) -> Result<(), Failure> {
    principals(cluster)?.iter().try_for_each(|principal| load(folder, cluster, principal).map(drop))
}

/// Everyone who needs a certificate.
fn principals(cluster: &ClusterFile) -> Result<Vec<Principal>, Failure> {
    let nodes = cluster.nodes.keys().map(|name| node(name));
    [Principal::Vault, Principal::Tool, Principal::Client].into_iter().map(Ok).chain(nodes).collect()
}

/// The node `name` as its certificate names it.
pub(super) fn node(name: &str) -> Result<Principal, Failure> {
    Principal::node(name).ok_or_else(|| Failure::Config(format!("'{name}' cannot be the name of a node")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_another_cluster_are_refused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let folder = DataFolder::new(dir.path());
        let cluster = ClusterFile::new([127, 0, 0, 1].into(), 7000, None, 16).expect("an address");
        ensure(&folder, &cluster, true).expect("made");
        ensure(&folder, &cluster, false).expect("as made");
        let other = ClusterFile::new([127, 0, 0, 1].into(), 7000, None, 16).expect("an address");
        let failure = ensure(&folder, &other, false).expect_err("another cluster's");
        assert!(failure.to_string().contains(&other.cluster.to_string()), "{failure}");
        ensure(&folder, &other, true).expect("an interrupted first run is made anew");
        ensure(&folder, &other, false).expect("as made");
    }
}
