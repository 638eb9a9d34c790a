//! The advertised address of a process, which others dial: a host and a port. The listen address, which is one of its own
//! machine, can differ: with a wildcard, a container's port mapping, or a host name.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::HOST_BYTES_MAX;

/// A host, by its name or its IP address, and a port; written `host:port`, an IPv6 address in brackets.
///
/// A name is resolved when it is dialled, each time anew ([`super::dial`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    /// Without brackets.
    host: String,
    port: u16,
}

impl HostPort {
    /// `host` is a name or an IP address without brackets.
    ///
    /// # Errors
    /// A sentence: nobody can be dialled there.
    pub fn new(host: &str, port: u16) -> Result<HostPort, String> {
        check_host(host)?;
        if port == 0 {
            return Err("port 0 cannot be dialled: choose one from 1 to 65535".into());
        }
        Ok(HostPort { host: host.to_owned(), port })
    }

    /// The name or the IP address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The IP address, if the host is given by one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

fn check_host(host: &str) -> Result<(), String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return match ip.is_unspecified() {
            true => Err(format!(
                "{ip} stands for all addresses of a machine and cannot be dialled: name one, or a host name"
            )),
            false => Ok(()),
        };
    }
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    match host.len() {
        1..=HOST_BYTES_MAX if host.bytes().all(named) => Ok(()),
        0..=HOST_BYTES_MAX => Err(format!("'{}' is no host name and no IP address", host.escape_debug())),
        length => Err(format!("a host name of {length} bytes is too long: it may have {HOST_BYTES_MAX}")),
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<HostPort, String> {
        let wrong = |why: &str| format!("'{}' is no address: write host:port{why}", text.escape_debug());
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong(""))?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(|| wrong(", the port from 1 to 65535"))?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bracketed.is_none() && host.contains(':') {
            return Err(wrong(", an IPv6 address in brackets"));
        }
        HostPort::new(bracketed.unwrap_or(host), port).map_err(|why| wrong(&format!(" ({why})")))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostPort { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> HostPort {
        HostPort { host: address.ip().to_string(), port: address.port() }
    }
}

impl From<HostPort> for String {
    fn from(address: HostPort) -> String {
        address.to_string()
    }
}

impl TryFrom<String> for HostPort {
    type Error = String;

    fn try_from(text: String) -> Result<HostPort, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("localhost:6379", "localhost", 6379),
            ("tanist_a.db-1.example:1", "tanist_a.db-1.example", 1),
            ("10.0.0.1:65535", "10.0.0.1", 65535),
            ("[::1]:6379", "::1", 6379),
        ] {
            let address: HostPort = text.parse().unwrap();
            assert_eq!((address.host(), address.port(), address.to_string().as_str()), (host, port, text));
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_what_to_write() {
        let long = format!("{}:1", "a".repeat(HOST_BYTES_MAX + 1));
        for wrong in [
            "",
            "notanaddress",
            "host:",
            ":6379",
            "host:0",
            "host:70000",
            "host:port",
            "[]:1",
            "[::1:1",
            "::1:6379",
            "a b:1",
            "0.0.0.0:6379",
            "[::]:6379",
            "a\r\nb:1",
            &long,
        ] {
            let refused = wrong.parse::<HostPort>().expect_err(wrong);
            assert!(refused.contains("host:port") && !refused.contains('\n'), "{wrong}: {refused}");
        }
    }
}
