//! Addresses in `cluster.toml`: the listen address of a process, and its advertised address, which others dial.
//!
//! ```toml
//! [nodes.a]
//! resp = "db-a.example:6379"          # what others dial: a host name or an IP address
//! listen_resp = "0.0.0.0:6379"        # what it listens on, where that is another
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use tanist_replication::transport::address::HostPort;

/// One way into a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    /// What others dial. Resolved each time it is dialled.
    pub advertised: HostPort,
    /// What the process listens on: an address of its own machine, or a wildcard.
    pub listen: SocketAddr,
}

/// Where the vault is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "VaultTable", into = "VaultTable")]
pub struct VaultAddress {
    /// UDP, for nodes, supervisors and tools.
    pub quic: ServiceAddress,
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "NodeTable", into = "NodeTable")]
pub struct NodeAddress {
    /// TCP, for clients that speak the Redis protocol.
    pub resp: ServiceAddress,
    /// UDP, for the client library.
    pub quic: ServiceAddress,
}

/// The vault's table as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VaultTable {
    quic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    listen_quic: Option<SocketAddr>,
}

/// A node's table as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeTable {
    resp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    listen_resp: Option<SocketAddr>,
    quic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    listen_quic: Option<SocketAddr>,
}

impl ServiceAddress {
    /// A process that listens on `listen` and is dialled at `host`; without a host, at the same address, or on this machine's
    /// loopback if it listens on a wildcard.
    ///
    /// # Errors
    /// A sentence: `host` cannot be dialled.
    pub fn new(listen: SocketAddr, host: Option<&str>) -> Result<ServiceAddress, String> {
        let advertised = match host {
            Some(host) => HostPort::new(host, listen.port())?,
            None => SocketAddr::new(dialled(listen.ip()), listen.port()).into(),
        };
        Ok(ServiceAddress { advertised, listen })
    }

    /// What a table says under the name `name`.
    fn read(name: &str, advertised: &str, listen: Option<SocketAddr>) -> Result<ServiceAddress, String> {
        if listen.is_some_and(|listen| listen.port() == 0) {
            return Err(format!("listen_{name} has port 0: choose one from 1 to 65535"));
        }
        match (listen, advertised.parse::<SocketAddr>()) {
            (None, Ok(both)) if both.port() > 0 => ServiceAddress::new(both, None),
            (Some(listen), _) => Ok(ServiceAddress { advertised: advertised.parse()?, listen }),
            (None, _) => {
                let advertised: HostPort = advertised.parse()?;
                Err(format!(
                    "{name} is the name {advertised}: say in listen_{name} which address its process listens on, like \
                     \"0.0.0.0:{}\"",
                    advertised.port()
                ))
            }
        }
    }

    /// Written apart from what is dialled only where it is another.
    fn listen_apart(&self) -> Option<SocketAddr> {
        (HostPort::from(self.listen) != self.advertised).then_some(self.listen)
    }
}

/// An address of this machine by which a process that listens on `ip` is reached.
fn dialled(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

impl From<SocketAddr> for ServiceAddress {
    /// The same for both; a wildcard is dialled on loopback.
    fn from(listen: SocketAddr) -> ServiceAddress {
        let advertised = SocketAddr::new(dialled(listen.ip()), listen.port()).into();
        ServiceAddress { advertised, listen }
    }
}

impl TryFrom<VaultTable> for VaultAddress {
    type Error = String;

    fn try_from(table: VaultTable) -> Result<VaultAddress, String> {
        Ok(VaultAddress { quic: ServiceAddress::read("quic", &table.quic, table.listen_quic)? })
    }
}

impl From<VaultAddress> for VaultTable {
    fn from(VaultAddress { quic }: VaultAddress) -> VaultTable {
        VaultTable { listen_quic: quic.listen_apart(), quic: quic.advertised.into() }
    }
}

impl TryFrom<NodeTable> for NodeAddress {
    type Error = String;

    fn try_from(table: NodeTable) -> Result<NodeAddress, String> {
        Ok(NodeAddress {
            resp: ServiceAddress::read("resp", &table.resp, table.listen_resp)?,
            quic: ServiceAddress::read("quic", &table.quic, table.listen_quic)?,
        })
    }
}

impl From<NodeAddress> for NodeTable {
    fn from(NodeAddress { resp, quic }: NodeAddress) -> NodeTable {
        NodeTable {
            listen_resp: resp.listen_apart(),
            resp: resp.advertised.into(),
            listen_quic: quic.listen_apart(),
            quic: quic.advertised.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(toml: &str) -> Result<VaultAddress, String> {
        toml::from_str(toml).map_err(|error| error.message().to_owned())
    }

    fn shown(toml: &str) -> (String, String) {
        let VaultAddress { quic } = vault(toml).expect(toml);
        (quic.advertised.to_string(), quic.listen.to_string())
    }

    /// What is listened on was written down as what is dialled: with a wildcard nothing came up.
    #[test]
    fn what_is_dialled_and_what_is_listened_on_are_two_things() {
        let is = |dialled: &str, listen: &str| (dialled.to_owned(), listen.to_owned());
        assert_eq!(shown("quic = '10.0.0.1:7'"), is("10.0.0.1:7", "10.0.0.1:7"));
        assert_eq!(shown("quic = 'db:9'\nlisten_quic = '[::]:7'"), is("db:9", "[::]:7"));
        // As an `up --bind` of a wildcard left it.
        assert_eq!(shown("quic = '0.0.0.0:7'"), is("127.0.0.1:7", "0.0.0.0:7"));
        assert_eq!(shown("quic = '[::]:7'"), is("[::1]:7", "[::]:7"));
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for toml in ["quic = \"10.0.0.1:7\"\n", "quic = \"db:9\"\nlisten_quic = \"[::]:7\"\n"] {
            assert_eq!(toml::to_string(&vault(toml).expect(toml)).expect("a table"), toml);
        }
    }

    #[test]
    fn an_address_of_no_use_is_refused_with_what_to_write() {
        for (toml, expected) in [
            ("quic = 'db:9'", "listen_quic"),
            ("quic = 'db'", "host:port"),
            ("quic = '127.0.0.1:0'", "from 1 to 65535"),
            ("quic = '0.0.0.0:7'\nlisten_quic = '0.0.0.0:7'", "cannot be dialled"),
            ("quic = 'db:9'\nlisten_quic = '0.0.0.0:0'", "listen_quic has port 0"),
            ("quic = 'db:9'\nlisten_quic = 'db:9'", "socket address"),
        ] {
            let refused = vault(toml).expect_err(toml);
            assert!(refused.contains(expected), "{toml}: {refused}");
        }
    }
}
