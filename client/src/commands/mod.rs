//! Typed commands, a trait for each group, of everything that executes commands ([`Execute`]): a [`Client`](crate::Client).
//!
//! ```no_run
//! # async fn run(client: tanist_client::Client) -> Result<(), tanist_client::Error> {
//! use std::time::Duration;
//! use tanist_client::commands::*;
//!
//! client.hset("king", &[("name", "Brian"), ("born", "941")]).await?;
//! let name: Option<String> = client.hget("king", "name").await?;
//! client.zadd_with("scores", ZaddOptions::default().only_if_greater(), &[(7.5, "Brian")]).await?;
//! let best: Vec<(String, f64)> = client.zrange_with_scores("scores", ZRange::ranks(0, 9).reversed()).await?;
//! let job: Option<(String, String)> = client.blpop("jobs", Some(Duration::from_secs(5))).await?;
//! let mut users = client.scan::<String>().matching("user:*").count(100);
//! while let Some(user) = users.next().await? {
//!     println!("{user}");
//! }
//! # Ok(()) }
//! ```
//!
//! - A method is named as its command and documents what comes back. Numbers, flags and structure have fixed types; data (values, members,
//!   fields) is of the type that the caller asks for, see [`FromRedisValue`](redis::FromRedisValue). `None` is what is not there.
//! - Arguments are what can be written as such, see [`ToRedisArgs`](redis::ToRedisArgs): where several are taken, a slice, a `Vec`
//!   or a reference to an array of them; pairs are tuples, or a map.
//! - Options are a value: [`SetOptions`], [`SortOptions`], [`ZaddOptions`], [`ZRange`], [`GeoSearch`].
//! - A timeout is `Some(duration)`, or `None` to wait forever. A command that blocks holds up no other of the same client.
//! - Nothing is sent before the call is awaited. [`Call::into_command`] puts it into a pipeline or a transaction of the `redis` crate
//!   instead.
//!
//! Errors are those of the client ([`Error`](crate::Error)). Whether a command is repeated when its reply is lost depends on its name alone,
//! however it is sent: see [`READS`](crate::READS). So `Error::Unknown` can come from each command that changes something, blocking
//! pops included.
//!
//! A command that is not here is sent by its words: [`Client::command`](crate::Client::command), or [`call`].

mod bits;
mod blocking;
mod call;
mod field_expiry;
mod geo;
mod hashes;
mod hyperloglog;
mod increx;
mod keys;
mod lists;
mod scan;
mod sets;
mod sort;
mod sorted_sets;
mod streams;
mod strings;
mod zcombine;
mod zrange;

pub use bits::{BitCommands, BitFields, BitOperation, BitOverflow, BitPosition, BitRange};
pub use blocking::BlockingCommands;
pub use call::{Call, Execute, call};
pub use field_expiry::{FieldChange, FieldExpiry, FieldExpiryCommands};
pub use geo::{GeoCommands, GeoPlace, GeoSearch, GeoUnit};
pub use hashes::HashCommands;
pub use hyperloglog::HyperLogLogCommands;
pub use increx::IncrexOptions;
pub use keys::{ExpireIf, KeyCommands, KeyKind, RestoreOptions, TimeToLive};
pub use lists::{End, ListCommands, Place};
pub use scan::Scan;
pub use sets::SetCommands;
pub use sort::SortOptions;
pub use sorted_sets::{Extreme, Scored, SortedSetCommands, ZaddOptions};
pub use streams::{StreamCommands, StreamReadOptions, StreamTrim, XaddOptions};
pub use strings::{Expiry, SetOptions, StringCommands, ValueIf};
pub use zcombine::{ScoreAggregate, ZCombine};
pub use zrange::{ScoreRange, ZRange};
