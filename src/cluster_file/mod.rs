//! The data folder of a cluster and its description, `cluster.toml`.
//!
//! ```text
//! DIR/cluster.toml     identity, what is fixed at birth, addresses   (written last: where it stands, the folder is whole)
//! DIR/lock             held by `tanist up`
//! DIR/tls/             certificate authority, one certificate and key for each process
//! DIR/vault/           log, images, catalog
//! DIR/begin-vault      the vault may begin with nothing; gone once it has
//! DIR/vault.lock       held by `tanist vault`
//! DIR/node-a.lock      held by `tanist node --name a`   DIR/node-a.database.lock   held by its database process
//! DIR/logs/            what each process says
//! ```
//!
//! A node keeps nothing of its own: what it must not lose is in the vault. Several machines may each have a copy of
//! `cluster.toml` and of `tls/`; addresses ([`ServiceAddress`]) are looked up nowhere else.

mod address;
mod folder;
mod private;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tanist_replication::text_file;
use tanist_replication::transport::principal::NodeName;

use crate::config::check_shards;
use crate::config::limits::FILE_BYTES_MAX;
use crate::exit::Failure;

pub use address::{NodeAddress, ServiceAddress, VaultAddress};
pub use folder::{DataFolder, FolderLock, LOCK_WAIT, database_lock};
pub(crate) use private::make_files_private;

/// Version of `cluster.toml` that this program writes and reads.
const FORMAT: u32 = 1;
/// Nodes of a cluster: as many as the client library follows.
const NODES_MAX: usize = tanist_client::limits::NODES_MAX;
/// Names of the nodes of a cluster that `tanist up` makes, in the order of their ports.
pub const NODES: [&str; 2] = ["a", "b"];

/// `cluster.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterFile {
    format: u32,
    /// The cluster's identity: certificates, files and messages of another cluster are refused.
    pub cluster: ClusterId,
    /// Parts of the key space. Fixed at birth: replay gives the same bytes only with the same number of shards.
    pub shards: u16,
    /// Seed of the hash of keys. Fixed at birth for the same reason, and drawn so that no client can know it.
    pub hash_seed: HashSeed,
    /// Where the vault is.
    pub vault: VaultAddress,
    /// Where the nodes are, by name.
    pub nodes: BTreeMap<String, NodeAddress>,
}

/// Identity of a cluster, drawn at its birth; written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(pub u128);

/// Seed of the hash of keys; written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HashSeed(pub u64);

impl std::fmt::Display for ClusterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<ClusterId> for String {
    fn from(id: ClusterId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for ClusterId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let right = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let id = u128::from_str_radix(&text, 16).ok().filter(|_| right);
        id.map(ClusterId).ok_or_else(|| format!("'{text}' is no cluster identity of 32 hexadecimal digits"))
    }
}

impl From<HashSeed> for String {
    fn from(seed: HashSeed) -> String {
        format!("{:016x}", seed.0)
    }
}

impl TryFrom<String> for HashSeed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let right = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let seed = u64::from_str_radix(&text, 16).ok().filter(|_| right);
        seed.map(HashSeed).ok_or_else(|| format!("'{text}' is no hash seed of 16 hexadecimal digits"))
    }
}

impl ClusterFile {
    /// A new cluster on one machine: nodes a and b on `port` and the next one, the vault on the one after that. They listen on
    /// `bind` and are dialled at `advertise` (see [`ServiceAddress::new`]).
    ///
    /// # Errors
    /// A sentence: nobody can be dialled at `advertise`.
    pub fn new(bind: IpAddr, port: u16, advertise: Option<&str>, shards: u16) -> Result<ClusterFile, String> {
        let vault = VaultAddress { quic: SocketAddr::new(bind, 0).into() };
        let (cluster, hash_seed) = (ClusterId(rand::random()), HashSeed(rand::random()));
        let mut file = ClusterFile { format: FORMAT, cluster, shards, hash_seed, vault, nodes: BTreeMap::new() };
        file.move_to(bind, port, advertise)?;
        Ok(file)
    }

    /// Moves a cluster on one machine to other addresses.
    ///
    /// # Errors
    /// As [`ClusterFile::new`]; nothing has changed.
    pub fn move_to(&mut self, bind: IpAddr, port: u16, advertise: Option<&str>) -> Result<(), String> {
        let at = |offset: u16| ServiceAddress::new(SocketAddr::new(bind, port + offset), advertise);
        let node =
            |(offset, name): (u16, &str)| Ok((name.to_owned(), NodeAddress { resp: at(offset)?, quic: at(offset)? }));
        let vault = VaultAddress { quic: at(NODES.len() as u16)? };
        self.nodes = (0u16..).zip(NODES).map(node).collect::<Result<_, String>>()?;
        self.vault = vault;
        Ok(())
    }

    /// Reads `cluster.toml`.
    ///
    /// # Errors
    /// It is missing, unreadable, damaged or of a later version.
    pub fn load(path: &Path) -> Result<ClusterFile, Failure> {
        let shown = path.display();
        let text = text_file::read(path, FILE_BYTES_MAX).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Failure::Config(format!(
                "there is no {shown}: `tanist up --data DIR` makes a new cluster, --data names an existing one"
            )),
            _ => Failure::Config(format!("cannot read {shown}: {e}")),
        })?;
        Self::parse(&text).map_err(|why| Failure::Config(format!("{shown} is damaged or not from this release: {why}")))
    }

    /// What the file's text says.
    ///
    /// # Errors
    /// It is damaged or of a later version; in one line.
    pub fn parse(text: &str) -> Result<ClusterFile, String> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let one_line = |e: toml::de::Error| e.message().replace('\n', " ");
        let version: Version = toml::from_str(text).map_err(one_line)?;
        if version.format != FORMAT {
            return Err(format!(
                "its format is {}, and this program knows format {FORMAT}: start the release that wrote it, or a newer one",
                version.format
            ));
        }
        let file: ClusterFile = toml::from_str(text).map_err(one_line)?;
        check_shards(file.shards)?;
        if !(1..=NODES_MAX).contains(&file.nodes.len()) {
            return Err(format!("it names {} nodes: a cluster has 1 to {NODES_MAX}", file.nodes.len()));
        }
        if let Some(wrong) = file.nodes.keys().find(|name| NodeName::new(name).is_none()) {
            // It will stand in file names and certificates.
            return Err(format!("'{}' is no name for a node", wrong.escape_debug()));
        }
        Ok(file)
    }

    /// Writes `cluster.toml` whole or not at all.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        let text =
            toml::to_string(self).map_err(|e| Failure::Runtime(format!("cannot write {}: {e}", path.display())))?;
        let text = format!(
            "# Made by tanist. Identity, shards and hash_seed are fixed; addresses may be changed while it is stopped.\n{text}"
        );
        folder::write_whole(path, text.as_bytes())
            .map_err(|e| Failure::Runtime(format!("cannot write {}: {e}", path.display())))
    }

    /// The address of node `name`.
    ///
    /// # Errors
    /// The cluster has no such node; the sentence names those it has.
    pub fn node(&self, name: &str) -> Result<NodeAddress, Failure> {
        self.nodes.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = self.nodes.keys().map(String::as_str).collect();
            Failure::Config(format!("this cluster has no node '{name}': its nodes are {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ClusterFile {
        ClusterFile::new(IpAddr::from([127, 0, 0, 1]), 7000, None, 16).expect("it can be dialled")
    }

    #[test]
    fn a_saved_file_is_loaded_as_it_was() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("cluster.toml");
        let file = file();
        file.save(&path).expect("writable");
        assert_eq!(ClusterFile::load(&path).expect("just written"), file);
        assert_eq!(file.nodes["b"].resp.listen.port(), 7001);
        assert_eq!(file.vault.quic.advertised.to_string(), "127.0.0.1:7002");
        let text = std::fs::read_to_string(&path).expect("just written");
        assert!(!text.contains("listen"), "the same is written once: {text}");
    }

    #[test]
    fn a_cluster_that_listens_on_all_addresses_is_dialled_on_one() {
        let wildcard = IpAddr::from([0, 0, 0, 0]);
        let mut file = ClusterFile::new(wildcard, 7000, None, 16).expect("loopback can be dialled");
        let node = |file: &ClusterFile| {
            let at = &file.nodes["a"].quic;
            (at.listen.to_string(), at.advertised.to_string())
        };
        assert_eq!(node(&file), ("0.0.0.0:7000".into(), "127.0.0.1:7000".into()));
        file.move_to(wildcard, 7010, Some("db.example")).expect("a name");
        assert_eq!(node(&file), ("0.0.0.0:7010".into(), "db.example:7010".into()));
        file.move_to(wildcard, 7020, Some("::")).expect_err("nobody is there");
        assert_eq!(node(&file).0, "0.0.0.0:7010", "nothing has changed");
    }

    #[test]
    fn two_clusters_are_not_the_same() {
        assert_ne!(file().cluster, file().cluster);
        assert_ne!(file().hash_seed, file().hash_seed);
    }

    #[test]
    fn every_kind_of_damage_is_refused_with_the_files_name() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("cluster.toml");
        file().save(&path).expect("writable");
        let good = std::fs::read_to_string(&path).expect("just written");
        let cluster = file().cluster.to_string();
        for (damage, bad) in [
            ("truncated", good[..good.len() / 2].to_owned()),
            ("emptied", String::new()),
            ("of a later version", good.replace("format = 1", "format = 2")),
            ("unknown key", format!("extra = 1\n{good}")),
            ("short identity", good.replace("cluster = \"", &format!("cluster = \"{}", &cluster[..1]))),
            ("shards", good.replace("shards = 16", "shards = 15")),
            ("shards that the engine does not take", good.replace("shards = 16", "shards = 512")),
            ("a name that is a path", good.replace("[nodes.a]", "[nodes.\"../a\"]")),
            ("not text", good.replace("shards = 16", "shards = 16 # \0")),
            ("endless", good.clone() + &"#\n".repeat(600_000)),
        ] {
            std::fs::write(&path, bad).expect("writable");
            let failure = ClusterFile::load(&path).expect_err(damage);
            assert!(failure.to_string().contains("cluster.toml"), "{damage}: {failure}");
            assert_eq!(failure.code(), crate::exit::EXIT_CONFIG, "{damage}");
        }
    }

    #[test]
    fn another_format_is_refused_with_both_whatever_else_the_file_says() {
        let why = ClusterFile::parse("format = 2\nunknown = 1\n").expect_err("a later format");
        let wanted =
            "its format is 2, and this program knows format 1: start the release that wrote it, or a newer one";
        assert_eq!(why, wanted);
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let failure = file().node("c").expect_err("there is no c");
        assert_eq!(failure.to_string(), "this cluster has no node 'c': its nodes are a, b");
    }
}
