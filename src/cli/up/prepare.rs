//! What must be true before anything is started: settings that agree, a folder that is ours, ports that are free.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use super::child::ChildSpec;
use crate::cli::args::{CHILD, EVENTS_JSON, own_program};
use crate::cli::certs;
use crate::cluster_file::{ClusterFile, DataFolder, FolderLock};
use crate::config::{Config, ForChild, Layer};
use crate::exit::Failure;

/// Children of an `up` that was killed stop at once, but not instantly: so long their ports may still be taken.
const PORTS_WAIT: Duration = Duration::from_secs(3);
const PORTS_RETRY: Duration = Duration::from_millis(50);

/// A cluster that is ready to be started.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) folder: DataFolder,
    pub(super) cluster: ClusterFile,
    /// True if the cluster was made just now.
    pub(super) new: bool,
    pub(super) vault: ChildSpec,
    /// In the order of their names.
    pub(super) nodes: Vec<(String, ChildSpec)>,
    _lock: FolderLock,
}

/// Makes the cluster if there is none, and checks everything that can be checked without starting it.
pub(super) fn prepare(layer: Layer) -> Result<Prepared, Failure> {
    let config = layer.clone().resolve()?;
    let root = std::path::absolute(&config.common.data)
        .map_err(|e| Failure::Config(format!("{} is no path of a data folder: {e}", config.common.data.display())))?;
    let folder = DataFolder::new(&root);
    folder.create()?;
    let lock = folder.lock("lock", Duration::ZERO)?;
    let new = folder.is_unborn()?;
    let cluster = if new {
        ClusterFile::new(config.cluster.bind, config.cluster.port, config.cluster.shards)
    } else {
        existing(&folder, &layer)?
    };
    ports_are_free(&cluster)?;
    certs::ensure(&folder, &cluster, new)?;
    std::fs::create_dir_all(folder.logs())
        .map_err(|e| Failure::Config(format!("cannot make {}: {e}", folder.logs().display())))?;
    cluster.save(&folder.cluster_toml())?;
    let vault = vault_spec(&layer, &folder)?;
    let nodes = cluster.nodes.keys().map(|name| Ok((name.clone(), node_spec(&layer, &folder, name)?)));
    let nodes = nodes.collect::<Result<_, Failure>>()?;
    Ok(Prepared { config, folder, cluster, new, vault, nodes, _lock: lock })
}

/// The cluster of the folder, moved to other ports if that was asked for.
fn existing(folder: &DataFolder, layer: &Layer) -> Result<ClusterFile, Failure> {
    let mut cluster = folder.cluster()?;
    if let Some(shards) = layer.cluster.shards
        && shards != cluster.shards
    {
        return Err(Failure::Config(format!(
            "shards is {shards}, but the cluster in {} was made with {}, which cannot be changed: leave shards out",
            folder.root().display(),
            cluster.shards
        )));
    }
    if (layer.cluster.port, layer.cluster.bind) != (None, None) {
        let now = cluster.nodes.values().next().map(|node| node.resp);
        let bind = layer.cluster.bind.or(now.map(|at| at.ip()));
        let port = layer.cluster.port.or(now.map(|at| at.port()));
        if let (Some(bind), Some(port)) = (bind, port) {
            cluster.listen_on(bind, port);
        }
    }
    Ok(cluster)
}

fn ports_are_free(cluster: &ClusterFile) -> Result<(), Failure> {
    let tcp = cluster.nodes.values().map(|node| (node.resp, "TCP"));
    let udp = cluster.nodes.values().map(|node| node.quic).chain([cluster.vault.quic]).map(|at| (at, "UDP"));
    for (at, kind) in tcp.chain(udp) {
        let mut waited = Duration::ZERO;
        while let Err(e) = try_port(at, kind) {
            if e.kind() != io::ErrorKind::AddrInUse {
                return Err(Failure::Config(format!("cannot listen on {at} ({kind}): {e}")));
            }
            if waited >= PORTS_WAIT {
                return Err(Failure::Config(format!(
                    "port {} ({kind}) on {} is in use by another program: stop it, or choose other ports with --port",
                    at.port(),
                    at.ip()
                )));
            }
            pause();
            waited += PORTS_RETRY;
        }
    }
    Ok(())
}

fn try_port(at: SocketAddr, kind: &str) -> io::Result<()> {
    if kind == "TCP" { TcpListener::bind(at).map(drop) } else { UdpSocket::bind(at).map(drop) }
}

#[expect(clippy::disallowed_methods, reason = "start-up, before any arbiter exists")]
fn pause() {
    std::thread::sleep(PORTS_RETRY);
}

fn vault_spec(layer: &Layer, folder: &DataFolder) -> Result<ChildSpec, Failure> {
    let mut child = ForChild::default();
    layer.lease.for_child(&mut child);
    spec(layer, folder, "vault", "vault", &["vault"], child)
}

fn node_spec(layer: &Layer, folder: &DataFolder, name: &str) -> Result<ChildSpec, Failure> {
    let mut child = ForChild::default();
    layer.lease.for_child(&mut child);
    layer.node.for_child(&mut child);
    spec(layer, folder, &format!("node {name}"), &format!("node-{name}"), &["node", "--name", name], child)
}

fn spec(
    layer: &Layer,
    folder: &DataFolder,
    who: &str,
    log: &str,
    command: &[&str],
    mut child: ForChild,
) -> Result<ChildSpec, Failure> {
    layer.log.for_child(&mut child);
    let mut args: Vec<OsString> = command.iter().map(Into::into).collect();
    args.extend([CHILD.into(), EVENTS_JSON.into(), "--data".into(), folder.root().into()]);
    args.append(&mut child.args);
    Ok(ChildSpec {
        who: who.to_owned(),
        program: own_program()?,
        args,
        env: child.env,
        log: folder.logs().join(format!("{log}.log")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(data: &std::path::Path, port: u16) -> Layer {
        let mut layer = Layer::default();
        layer.common.data = Some(data.to_owned());
        layer.cluster.port = Some(port);
        layer
    }

    #[test]
    fn a_port_in_use_is_named_and_no_cluster_is_made() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let taken = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
        let port = taken.local_addr().expect("bound").port();
        let failure = prepare(layer(dir.path(), port)).expect_err("the port is taken");
        assert!(failure.to_string().contains(&format!("port {port} (UDP)")), "{failure}");
        assert!(!dir.path().join("cluster.toml").exists());
    }
}
