//! The configuration file and the cluster's own file.

use std::net::{IpAddr, Ipv4Addr};

use tanist::cluster_file::ClusterFile;
use tanist::config::Layer;

/// The bytes as text of either file: accepted, or refused in one line.
pub fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = Layer::from_toml(text).and_then(Layer::resolve) {
        assert!(!error.0.is_empty() && !error.0.contains('\n'), "{error:?}");
    }
    match ClusterFile::parse(text) {
        Ok(file) => assert!(file.shards.is_power_of_two() && !file.nodes.is_empty()),
        Err(why) => assert!(!why.is_empty() && !why.contains('\n'), "{why}"),
    }
}

/// One file of each with everything in it.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let settings = "[lease]\nlease_ms = 3000\nrenew_ms = 250\n[cluster]\nport = 6379\nshards = 16\n[node]\nmaxmemory = \"1gb\"\n\
        durability = \"relaxed\"\nrequirepass = \"secret\"\nmaxclients = 5\nimage_interval_ms = 500\n[log]\nlog_level = \"info\"\n";
    let cluster =
        ClusterFile::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 6379, Some("db.example"), 16).expect("an address");
    vec![settings.as_bytes().to_vec(), toml::to_string(&cluster).expect("it is plain data").into_bytes()]
}
