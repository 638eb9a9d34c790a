//! The identity (principal) that a certificate proves.

use std::fmt;
use std::path::{Path, PathBuf};

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Suffix of every name in a certificate; not a public domain, so no other authority will ever vouch for it.
const SUFFIX: &str = "tanist";

/// Longest name of a node in bytes; with the prefix it is one DNS label of at most 63.
const NODE_NAME_BYTES_MAX: usize = 32;

/// A party of a cluster, as its certificate names it: `vault`, `node-a`, `tool`, `client`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// The vault.
    Vault,
    /// A node: its database process and that process's supervisor.
    Node(NodeName),
    /// A command line tool of the operator.
    Tool,
    /// A user of the database through the client library.
    Client,
}

/// A node's name: small letters, digits and inner hyphens, and no name that a file of another party bears.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(String);

impl NodeName {
    /// The name, if it may be one.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let ends = !name.starts_with('-') && !name.ends_with('-');
        let taken = matches!(name, "ca" | "vault" | "tool" | "client");
        let length = (1..=NODE_NAME_BYTES_MAX).contains(&name.len());
        (letters && ends && length && !taken).then(|| Self(name.to_owned()))
    }

    /// The name's letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Principal {
    /// The node `name`, if that may be a node's name.
    #[must_use]
    pub fn node(name: &str) -> Option<Self> {
        NodeName::new(name).map(Principal::Node)
    }

    /// The party that `Display` writes as `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "vault" => Some(Principal::Vault),
            "tool" => Some(Principal::Tool),
            "client" => Some(Principal::Client),
            node => Principal::node(node.strip_prefix("node-")?),
        }
    }

    /// The node's name without prefix; `None` for anyone but a node.
    #[must_use]
    pub fn node_name(&self) -> Option<&str> {
        match self {
            Principal::Node(name) => Some(name.as_str()),
            _ => None,
        }
    }

    /// The DNS name in this party's certificate, which is also the name to dial it by.
    #[must_use]
    pub fn server_name(&self, cluster: u128) -> String {
        format!("{self}.{cluster:032x}.{SUFFIX}")
    }

    /// Who `server_name` names, and in which cluster.
    #[must_use]
    pub(crate) fn from_server_name(server_name: &str) -> Option<(Self, u128)> {
        let (head, cluster) = server_name.strip_suffix(SUFFIX)?.strip_suffix('.')?.rsplit_once('.')?;
        let digits = cluster.len() == 32 && cluster.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        Some((Principal::parse(head)?, digits.then(|| u128::from_str_radix(cluster, 16).ok())??))
    }

    /// Who a certificate speaks for: its only name. Says nothing about whether the certificate is to be trusted.
    #[must_use]
    pub(crate) fn from_certificate(der: &[u8]) -> Option<(Self, u128)> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        match names.value.general_names.as_slice() {
            [GeneralName::DNSName(name)] => Self::from_server_name(name),
            _ => None,
        }
    }

    /// This party's certificate in the folder `tls`.
    #[must_use]
    pub fn certificate_file(&self, tls: &Path) -> PathBuf {
        tls.join(format!("{}.pem", self.file_stem()))
    }

    /// This party's private key in the folder `tls`.
    #[must_use]
    pub fn key_file(&self, tls: &Path) -> PathBuf {
        tls.join(format!("{}.key", self.file_stem()))
    }

    fn file_stem(&self) -> String {
        self.node_name().map_or_else(|| self.to_string(), str::to_owned)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Vault => f.write_str("vault"),
            Principal::Node(name) => write!(f, "node-{name}"),
            Principal::Tool => f.write_str("tool"),
            Principal::Client => f.write_str("client"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for text in ["vault", "node-a", "node-eu-1", "tool", "client"] {
            let principal = Principal::parse(text).unwrap();
            assert_eq!(principal.to_string(), text);
            let name = principal.server_name(0xFEED);
            assert_eq!(Principal::from_server_name(&name), Some((principal, 0xFEED)), "{name}");
        }
        assert_eq!(Principal::Vault.server_name(0x2a), "vault.0000000000000000000000000000002a.tanist");
    }

    #[test]
    fn names_that_could_mislead_are_none() {
        let long = "x".repeat(33);
        for name in
            ["", "A", "-a", "a-", "a.b", "a/b", "..", "../../x", "/x", "a\0", "ca", "vault", "tool", "client", &long]
        {
            assert_eq!(NodeName::new(name), None, "{name}");
        }
        let zeros = "0".repeat(31);
        for name in [
            format!("vault.{zeros}.tanist"),
            format!("vault.{zeros}G.tanist"),
            format!("vault.+{zeros}.tanist"),
            format!("vault.{zeros}0.tanist.example"),
            format!("vault.{zeros}0.nottanist"),
            format!("king.{zeros}0.tanist"),
            format!("node-../../x.{zeros}0.tanist"),
            format!("node-/x.{zeros}0.tanist"),
            format!("a.vault.{zeros}0.tanist"),
        ] {
            assert_eq!(Principal::from_server_name(&name), None, "{name}");
        }
    }

    #[test]
    fn files_bear_the_short_name() {
        let a = Principal::node("a").unwrap();
        assert_eq!(a.certificate_file(Path::new("tls")), Path::new("tls/a.pem"));
        assert_eq!(Principal::Vault.key_file(Path::new("tls")), Path::new("tls/vault.key"));
    }
}
