//! The address of a node.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use crate::error::Error;
use crate::limits;

/// The address of a node: a host name or an IP address, and a port; written `host:port`, an IPv6 address in brackets.
///
/// A name is resolved each time the node is dialled, and all of its addresses are tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeAddress(Arc<str>);

impl NodeAddress {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The addresses that it stands for now: at least one, at most [`limits::DIAL_ADDRESSES_MAX`].
    pub(crate) async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let found = tokio::time::timeout(limits::RESOLVE_WAIT, tokio::net::lookup_host(self.as_str())).await;
        let found = found.map_err(|_| "its name could not be resolved in time".to_owned())?;
        let found = found.map_err(|error| format!("its name cannot be resolved: {error}"))?;
        let mut addresses = Vec::new();
        for address in found {
            if addresses.len() < limits::DIAL_ADDRESSES_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() { Err("its name has no address".to_owned()) } else { Ok(addresses) }
    }
}

impl FromStr for NodeAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<NodeAddress, Error> {
        let wrong = || Error::Options(format!("'{}' is no address of a node: write host:port", text.escape_debug()));
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port_is_good = port.parse::<u16>().is_ok_and(|port| port > 0);
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host_is_good = match bracketed {
            Some(ip) => ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
            None => {
                let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
                (1..=limits::HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(named)
            }
        };
        if port_is_good && host_is_good { Ok(NodeAddress(text.into())) } else { Err(wrong()) }
    }
}

impl From<SocketAddr> for NodeAddress {
    fn from(address: SocketAddr) -> NodeAddress {
        NodeAddress(address.to_string().into())
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for text in ["localhost:6379", "db_a.example-1.org:1", "10.0.0.1:65535", "[::1]:6379"] {
            assert_eq!(text.parse::<NodeAddress>().unwrap().as_str(), text);
        }
        for text in ["", "db", "db:", ":1", "db:0", "db:70000", "::1:6379", "[db]:1", "a b:1", "http://db:1"] {
            let refused = text.parse::<NodeAddress>().expect_err(text).to_string();
            assert!(refused.contains("host:port"), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_name_is_resolved_when_it_is_needed() {
        let local: NodeAddress = "localhost:7".parse().unwrap();
        let found = local.resolve().await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
        let nobody: NodeAddress = "nobody.invalid:7".parse().unwrap();
        let why = nobody.resolve().await.unwrap_err();
        assert!(why.contains("name"), "{why}");
    }
}
