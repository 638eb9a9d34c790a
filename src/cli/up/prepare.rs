//! Checks before anything is started: consistent settings, a data folder of this cluster, free ports.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use super::child::ChildSpec;
use crate::cli::args::{CHILD, EVENTS_JSON, own_program};
use crate::cli::certs;
use crate::cluster_file::{ClusterFile, DataFolder, FolderLock, ServiceAddress};
use crate::config::{BasePort, Cluster, ClusterLayer, Config, ForChild, Layer, NodeLayer};
use crate::exit::Failure;

/// The lock of a running `up`.
const LOCK: &str = "lock";
/// Children of an `up` that was killed notice it at once; a primary whose vault goes first needs some seconds to give up.
const LEFTOVERS_WAIT: Duration = Duration::from_secs(15);
/// A process that ends lets go of its lock and of its ports, in no certain order.
const PORTS_WAIT: Duration = Duration::from_millis(500);
const RETRY: Duration = Duration::from_millis(50);

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

/// Makes the cluster if there is none, and checks everything that can be checked without starting it. `say` is told what takes
/// its time. A refusal leaves no new folder behind.
pub(super) fn prepare(layer: Layer, say: impl Fn(&str)) -> Result<Prepared, Failure> {
    let config = layer.clone().resolve()?;
    let root = std::path::absolute(&config.common.data)
        .map_err(|e| Failure::Config(format!("{} is no path of a data folder: {e}", config.common.data.display())))?;
    let folder = DataFolder::new(&root);
    let made = folder.create()?;
    let lock = folder.lock(LOCK, Duration::ZERO)?;
    let prepared = prepare_locked(&layer, config, &folder, lock, say);
    if prepared.is_err() {
        folder.take_back(&made, LOCK);
    }
    prepared
}

fn prepare_locked(
    layer: &Layer,
    config: Config,
    folder: &DataFolder,
    lock: FolderLock,
    say: impl Fn(&str),
) -> Result<Prepared, Failure> {
    let new = folder.is_unborn()?;
    folder.close().sentences().iter().for_each(|sentence| say(sentence));
    let cluster = if new {
        let Cluster { bind, port, advertise, shards } = &config.cluster;
        ClusterFile::new(*bind, port.get(), advertise.get(), *shards).map_err(Failure::Config)?
    } else {
        existing(folder, layer)?
    };
    leftovers_have_gone(folder, &cluster, say)?;
    ports_are_free(&cluster)?;
    certs::ensure(folder, &cluster, new)?;
    folder.make_logs()?;
    if new {
        folder.let_vault_begin()?;
    }
    cluster.save(&folder.cluster_toml())?;
    let vault = vault_spec(layer, folder)?;
    let threads = threads(layer, cluster.nodes.len());
    let nodes = cluster.nodes.keys().map(|name| Ok((name.clone(), node_spec(layer, folder, name, threads)?)));
    let nodes = nodes.collect::<Result<_, Failure>>()?;
    Ok(Prepared { config, folder: folder.clone(), cluster, new, vault, nodes, _lock: lock })
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
    move_addresses(&mut cluster, &layer.cluster).map_err(Failure::Config)?;
    Ok(cluster)
}

/// Moves a cluster to where it is asked to be. If it is there already its addresses stay as they are: a person may have written
/// others into its file for single processes.
fn move_addresses(cluster: &mut ClusterFile, asked: &ClusterLayer) -> Result<(), String> {
    let Some(now) = cluster.nodes.values().next().map(|node| node.resp.clone()) else { return Ok(()) };
    let bind = asked.bind.unwrap_or(now.listen.ip());
    let port = asked.port.map_or(now.listen.port(), BasePort::get);
    let chosen = now.advertised != ServiceAddress::from(now.listen).advertised;
    let advertise = match &asked.advertise {
        Some(host) => host.get(),
        None => chosen.then(|| now.advertised.host()),
    };
    let new = ServiceAddress::new(SocketAddr::new(bind, port), advertise)?;
    if new.listen == now.listen && new.advertised.host() == now.advertised.host() {
        return Ok(());
    }
    let new_ports = BasePort::try_from(port)?;
    cluster.move_to(bind, new_ports.get(), advertise)
}

/// Waits for processes of this folder that have outlived their `up`: they still use its ports, and stop by themselves.
fn leftovers_have_gone(folder: &DataFolder, cluster: &ClusterFile, say: impl Fn(&str)) -> Result<(), Failure> {
    let mut left = leftovers(folder, cluster);
    if left.is_empty() {
        return Ok(());
    }
    say(&format!("processes of an earlier start are still stopping, waiting for them: {}", left.join(", ")));
    let mut waited = Duration::ZERO;
    while waited < LEFTOVERS_WAIT {
        pause();
        waited += RETRY;
        left = leftovers(folder, cluster);
        if left.is_empty() {
            return Ok(());
        }
    }
    Err(Failure::Config(format!(
        "processes of this data folder are still running and do not stop: {}; stop them first, or choose another folder with \
         --data",
        left.join(", ")
    )))
}

/// Who holds a lock of the folder, with its process id.
fn leftovers(folder: &DataFolder, cluster: &ClusterFile) -> Vec<String> {
    let node = |name: &String| {
        let supervisor = (format!("supervisor of node {name}"), format!("node-{name}.lock"));
        [supervisor, (format!("node {name}"), format!("node-{name}.database.lock"))]
    };
    let locks = cluster.nodes.keys().flat_map(node).chain([("vault".into(), "vault.lock".into())]);
    locks.filter_map(|(who, lock)| folder.holder(&lock).map(|pid| format!("{who} (process {pid})"))).collect()
}

fn ports_are_free(cluster: &ClusterFile) -> Result<(), Failure> {
    let tcp = cluster.nodes.values().map(|node| (node.resp.listen, "TCP"));
    let udp = cluster.nodes.values().map(|node| &node.quic).chain([&cluster.vault.quic]).map(|at| (at.listen, "UDP"));
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
            waited += RETRY;
        }
    }
    Ok(())
}

fn try_port(at: SocketAddr, kind: &str) -> io::Result<()> {
    if kind == "TCP" { TcpListener::bind(at).map(drop) } else { UdpSocket::bind(at).map(drop) }
}

#[expect(clippy::disallowed_methods, reason = "start-up, before any arbiter exists")]
fn pause() {
    std::thread::sleep(RETRY);
}

fn vault_spec(layer: &Layer, folder: &DataFolder) -> Result<ChildSpec, Failure> {
    let mut child = ForChild::default();
    layer.lease.for_child(&mut child);
    spec(layer, folder, "vault", "vault", &["vault"], child)
}

/// Threads of each of `nodes` nodes on this machine: more than there are processors for would only take turns.
fn threads(layer: &Layer, nodes: usize) -> u16 {
    match layer.node.threads {
        None | Some(0) => {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            u16::try_from((processors / nodes).max(1)).unwrap_or(u16::MAX)
        }
        Some(threads) => threads,
    }
}

fn node_spec(layer: &Layer, folder: &DataFolder, name: &str, threads: u16) -> Result<ChildSpec, Failure> {
    let mut child = ForChild::default();
    layer.lease.for_child(&mut child);
    NodeLayer { threads: Some(threads), ..layer.node.clone() }.for_child(&mut child);
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
    use std::cell::Cell;
    use std::path::Path;

    use super::*;

    fn layer(data: &Path, port: u16) -> Layer {
        let mut layer = Layer::default();
        layer.common.data = Some(data.to_owned());
        layer.cluster.port = Some(port.to_string().parse().expect("a port with two more after it"));
        layer
    }

    fn taken() -> (UdpSocket, u16) {
        let taken = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
        let port = taken.local_addr().expect("bound").port();
        (taken, port)
    }

    #[test]
    fn a_port_in_use_is_named_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (_taken, port) = taken();
        let data = dir.path().join("deep").join("data");
        let failure = prepare(layer(&data, port), |_| {}).expect_err("the port is taken");
        assert!(failure.to_string().contains(&format!("port {port} (UDP)")), "{failure}");
        assert!(!dir.path().join("deep").exists());

        prepare(layer(dir.path(), port), |_| {}).expect_err("still taken");
        assert!(dir.path().exists(), "a folder that was there stays");
        assert!(!dir.path().join("cluster.toml").exists());
    }

    #[test]
    fn an_address_of_another_machine_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut layer = layer(&dir.path().join("data"), 7000);
        // Of the block for documentation: no machine has it.
        layer.cluster.bind = Some([203, 0, 113, 1].into());
        let failure = prepare(layer, |_| {}).expect_err("not an address of this machine");
        assert!(failure.to_string().contains("cannot listen on 203.0.113.1:7000"), "{failure}");
        assert!(!dir.path().join("data").exists());
    }

    #[test]
    fn an_existing_cluster_is_moved_only_where_it_is_asked_to() {
        let addresses = |cluster: &ClusterFile| {
            let node = &cluster.nodes["b"].resp;
            (node.listen.to_string(), node.advertised.to_string())
        };
        let is = |listen: &str, advertised: &str| (listen.to_owned(), advertised.to_owned());
        let mut cluster = ClusterFile::new([127, 0, 0, 1].into(), 7000, None, 16).expect("an address");
        let mut moved = |bind: Option<&str>, port: Option<&str>, advertise: Option<&str>| {
            let asked = ClusterLayer {
                bind: bind.map(|bind| bind.parse().expect("an address")),
                port: port.map(|port| port.parse().expect("a port")),
                advertise: advertise.map(|host| host.parse().expect("a host")),
                shards: None,
            };
            move_addresses(&mut cluster, &asked).expect("it can be dialled");
            addresses(&cluster)
        };
        assert_eq!(moved(Some("0.0.0.0"), None, None), is("0.0.0.0:7001", "127.0.0.1:7001"));
        assert_eq!(moved(None, Some("8000"), Some("db")), is("0.0.0.0:8001", "db:8001"));
        assert_eq!(
            moved(Some("127.0.0.1"), None, None),
            is("127.0.0.1:8001", "db:8001"),
            "a name that was chosen stays"
        );
        assert_eq!(moved(None, None, Some("")), is("127.0.0.1:8001", "127.0.0.1:8001"));

        let other = ServiceAddress {
            advertised: "gate:19001".parse().expect("an address"),
            listen: cluster.nodes["b"].resp.listen,
        };
        cluster.nodes.get_mut("b").expect("a node").resp = other;
        let same = ClusterLayer { port: Some("8000".parse().expect("a port")), ..ClusterLayer::default() };
        move_addresses(&mut cluster, &same).expect("nothing is asked for");
        assert_eq!(addresses(&cluster), is("127.0.0.1:8001", "gate:19001"), "what a person has written stays");
    }

    #[test]
    fn a_process_that_has_outlived_its_parent_is_named_and_waited_for() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let folder = DataFolder::new(dir.path());
        let cluster = ClusterFile::new([127, 0, 0, 1].into(), 7000, None, 16).expect("an address");
        leftovers_have_gone(&folder, &cluster, |text| panic!("nobody is left, but: {text}")).expect("nobody");
        let left = Cell::new(Some(folder.lock("node-b.database.lock", Duration::ZERO).expect("free")));
        let named = format!("node b (process {})", std::process::id());
        leftovers_have_gone(&folder, &cluster, |text| {
            assert!(text.contains(&named), "{text}");
            drop(left.take());
        })
        .expect("it has gone");
        assert!(left.take().is_none(), "it was told");
    }
}
