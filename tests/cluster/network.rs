//! Four hosts on one machine: a network namespace each, joined by a bridge in a fifth.
//!
//! A link is cut in one direction by giving the sender a wrong hardware address for the receiver: the frames go nowhere, and nobody
//! is told, as with a broken cable. Needs no packet filter. A namespace lives as long as a process in it; each is held by one that
//! ends with this test, however it ends.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tanist_test_support::skip;

/// Who talks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    A,
    B,
    Vault,
    Client,
}

impl Host {
    pub(crate) const ALL: [Host; 4] = [Host::A, Host::B, Host::Vault, Host::Client];
    pub(crate) const NODES: [Host; 2] = [Host::A, Host::B];

    /// As the node is named in `cluster.toml`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Host::A => "a",
            Host::B => "b",
            Host::Vault => "vault",
            Host::Client => "client",
        }
    }

    /// The other node.
    pub(crate) fn other(self) -> Host {
        if self == Host::A { Host::B } else { Host::A }
    }

    fn number(self) -> usize {
        self as usize + 1
    }
}

/// The hosts' network.
pub(crate) enum Network {
    Namespaces {
        hosts: Vec<Holder>,
        /// Has the bridge.
        _hub: Holder,
    },
    /// All hosts have addresses of the loopback network, the last two numbers but one drawn for each test.
    Loopback([u8; 2]),
}

impl Network {
    /// A network of its own; this thread, and those that it will start, are on the clients' host.
    pub(crate) fn new() -> Network {
        match Self::namespaces() {
            Ok(network) => network,
            Err(why) => {
                println!("hosts share the loopback interface, nothing is cut: {why}");
                Network::Loopback(rand::random())
            }
        }
    }

    fn namespaces() -> Result<Network, String> {
        let hub = Holder::start()?;
        ip(&hub, "link add hub type bridge\nlink set hub up\n")?;
        let mut hosts = Vec::new();
        for host in Host::ALL {
            let (holder, number) = (Holder::start()?, host.number());
            let pid = holder.child.id();
            let make = format!(
                "link add port{number} type veth peer name eth0 address {} netns {pid}\nlink set port{number} master hub up\n",
                hardware_address(number)
            );
            ip(&hub, &make)?;
            let mut up = format!("addr add {}/24 dev eth0\nlink set lo up\nlink set eth0 up\n", in_namespaces(host));
            for other in Host::ALL.into_iter().filter(|other| *other != host) {
                up += &neighbour(other, hardware_address(other.number()));
            }
            ip(&holder, &up)?;
            hosts.push(holder);
        }
        let network = Network::Namespaces { hosts, _hub: hub };
        network.enter(Host::Client)?;
        Ok(network)
    }

    fn enter(&self, host: Host) -> Result<(), String> {
        let Network::Namespaces { hosts, .. } = self else { return Ok(()) };
        let path = hosts[host as usize].path();
        let file = File::open(&path).map_err(|error| format!("{path}: {error}"))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|error| error.to_string())
    }

    /// Whether links can be cut; if not, says that `what` is left out.
    pub(crate) fn can_cut(&self, what: &str) -> bool {
        let can = matches!(self, Network::Namespaces { .. });
        if !can {
            skip(what, "network namespaces: root, and Debian's iproute2 and util-linux (ip, unshare, nsenter)");
        }
        can
    }

    pub(crate) fn address(&self, host: Host) -> Ipv4Addr {
        match self {
            Network::Namespaces { .. } => in_namespaces(host),
            Network::Loopback([x, y]) => Ipv4Addr::new(127, *x, *y, host.number() as u8),
        }
    }

    /// `program` as a command on `host`.
    pub(crate) fn command(&self, host: Host, program: &str) -> Command {
        let Network::Namespaces { hosts, .. } = self else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", hosts[host as usize].path())).arg(program);
        command
    }

    /// From now on nothing that `from` sends reaches `to`.
    pub(crate) fn block(&self, links: &[(Host, Host)]) {
        // Of nobody: locally administered, and outside the numbers of the hosts.
        self.set_neighbours(links, |_| hardware_address(255));
    }

    /// Undoes [`Network::block`].
    pub(crate) fn restore(&self, links: &[(Host, Host)]) {
        self.set_neighbours(links, |to| hardware_address(to.number()));
    }

    /// For each host at once: between the first link and the last of a cut there are a few milliseconds.
    fn set_neighbours(&self, links: &[(Host, Host)], address: impl Fn(Host) -> String) {
        let Network::Namespaces { hosts, .. } = self else { panic!("nothing can be cut on the loopback interface") };
        for host in Host::ALL {
            let from_host = links.iter().filter(|(from, _)| *from == host);
            let commands: String = from_host.map(|(_, to)| neighbour(*to, address(*to))).collect();
            if !commands.is_empty() {
                ip(&hosts[host as usize], &commands).expect("it was possible before");
            }
        }
    }
}

/// Both directions between each of `some` and each of `others`.
pub(crate) fn links<T: Copy + PartialEq>(some: &[T], others: &[T]) -> Vec<(T, T)> {
    let pairs = some.iter().flat_map(|one| others.iter().map(move |other| (*one, *other)));
    pairs.filter(|(one, other)| one != other).flat_map(|(one, other)| [(one, other), (other, one)]).collect()
}

fn in_namespaces(host: Host) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host.number() as u8)
}

fn hardware_address(number: usize) -> String {
    format!("02:00:00:00:00:{number:02x}")
}

fn neighbour(host: Host, address: String) -> String {
    format!("neigh replace {} lladdr {address} nud permanent dev eth0\n", in_namespaces(host))
}

/// `ip` in the namespace of `holder`, a command a line.
fn ip(holder: &Holder, commands: &str) -> Result<(), String> {
    let mut child = Command::new("nsenter")
        .args([&format!("--net={}", holder.path()), "ip", "-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("nsenter: {error}"))?;
    child.stdin.take().expect("a pipe").write_all(commands.as_bytes()).map_err(|error| error.to_string())?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip: {}", said.trim())) }
}

/// A process that has a network namespace and does nothing, until its standard input ends.
pub(crate) struct Holder {
    child: Child,
}

impl Holder {
    fn start() -> Result<Holder, String> {
        let child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut holder = Holder { child };
        let mut ready = String::new();
        let stdout = holder.child.stdout.as_mut().expect("a pipe");
        match BufReader::new(stdout).read_line(&mut ready) {
            Ok(read) if read > 0 => Ok(holder),
            _ => Err("a network namespace is not permitted".to_owned()),
        }
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.child.id())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
