//! What the examples take from the command line.

use std::time::Duration;

use tanist_client::{NodeAddress, Options};

/// The cluster, and how long to run: `[TLS-FOLDER ADDRESS...] [SECONDS]`. Without an address it is that of `tanist up`.
pub(crate) fn read(example: &str) -> Result<(Options, Duration), String> {
    let usage = format!("usage: {example} [TLS-FOLDER ADDRESS [ADDRESS...]] [SECONDS]");
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let seconds = words.last().and_then(|last| last.parse().ok());
    if seconds.is_some() {
        words.pop();
    }
    if words.is_empty() {
        words = ["tanist-data/tls", "127.0.0.1:6379", "127.0.0.1:6380"].map(str::to_owned).to_vec();
    }
    let nodes: Result<Vec<NodeAddress>, _> = words[1..].iter().map(|node| node.parse()).collect();
    match nodes {
        Ok(nodes) if !nodes.is_empty() => {
            Ok((Options::new(nodes, &words[0]), Duration::from_secs(seconds.unwrap_or(20))))
        }
        _ => Err(format!("{usage}\nan ADDRESS is like 127.0.0.1:6379 or db-a.example:6379")),
    }
}
