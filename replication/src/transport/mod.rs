//! How the processes of a cluster reach each other: QUIC under mutual TLS.
//!
//! ```text
//!   principal   who a certificate speaks for: vault, node-a, tool, client
//!   certs       the cluster's authority: create, issue, renew          (files in DIR/tls)
//!   tls         load and check; configurations; who is at the other end
//!   address     where a process is dialled: host and port
//!   dial        a name is resolved, its addresses are tried
//!   quic        endpoints, transport settings, connect, what went wrong in a sentence
//!   reset       how the connections of a process that was killed end when it is started again
//!   rpc         control streams: a call and its answer, news; further streams of a connection
//! ```
//!
//! A connection is driven on the arbiter (event-loop thread) whose code calls `accept` or `connect`: create endpoints on one that
//! never blocks. A lost connection proves nothing about a peer (see `lease`): these timeouts only decide when to reconnect.

pub mod address;
pub mod certs;
pub mod dial;
pub(crate) mod link;
pub mod principal;
pub mod quic;
pub mod reset;
pub mod rpc;
pub mod tls;

use time::OffsetDateTime;
use time::macros::format_description;

/// A moment for people.
fn spoken_date(unix_ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    let seconds = i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|date| date.format(format).ok());
    date.unwrap_or_else(|| format!("second {seconds} since 1970"))
}

#[cfg(test)]
mod tests;
