//! Client library for Tanist over QUIC: finds the primary, follows it, pipelines.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use tanist_client::commands::*;
//! use tanist_client::{Client, Options};
//!
//! let nodes = vec!["db-a.example:6379".parse()?, "db-b.example:6379".parse()?];
//! let client = Client::connect(Options::new(nodes, "data/tls")).await?;
//! client.set("king", "Brian").await?;
//! let king: Option<String> = client.get("king").await?;
//! let reply = client.command(&["TANIST", "STATUS"]).await?;
//! # Ok(()) }
//! ```
//!
//! What a caller may rely on:
//! - A command that a node refused because it is not primary, or that was never sent, is retried on the primary until the
//!   deadline. During a switchover (planned failover) no operation fails.
//! - When a connection breaks while a command is in flight, reads are retried; a write fails with [`Error::Unknown`], because it
//!   may have been executed or not.
//! - A command that blocks (`BLPOP` and the like) holds up no other: it has a connection of its own while it waits. Its timeout comes on top of
//!   the deadline. A switchover does not end the wait; a lost primary makes the outcome unknown, as of any write.
//! - Commands of one task, each awaited before the next, are executed in that order. Commands of one pipeline are executed
//!   in order, and an atomic pipeline is one transaction.
//!
//! Typed commands are in [`commands`]; what is not there, and pipelines and transactions, are those of the `redis` crate, or plain words
//! ([`Client::command`]).
//!
//! [`redis`] is the crate `redis` of crates.io, version 1. A program that wants more of its features (`json`, `streams`,
//! `num-bigint`, ...) depends on it as well and names them: cargo makes one crate of both, and this library works with any set of them.
//!
//! Through the traits of that crate an error is a [`redis::RedisError`]; [`outcome`] returns whether the command was executed. An
//! error of this library has the code [`OUTCOME_UNKNOWN`], [`NOT_EXECUTED`] or [`PARTLY_EXECUTED`], and does not request a retry.
//!
//! Modules: `commands` are typed calls, and `from_reply` makes values of replies; `class` knows what may be repeated and what blocks; `lanes` are
//! the connections of commands that block; `wire` is the protocol on the stream; `scout` is a task per node that waits until the node is primary; `link` is one
//! stream with its requests in flight; `driver` is the task that connects requests and links; `retry` decides what may be
//! repeated.

mod address;
mod class;
mod client;
pub mod commands;
mod dial;
mod driver;
mod error;
mod from_reply;
mod lanes;
pub mod limits;
mod link;
mod request;
mod retry;
mod scout;
mod tls;
pub mod wire;

pub use address::NodeAddress;
pub use class::{BLOCKING, READS, TimeoutPlace};
pub use client::{Client, Options, Primary};
pub use error::{Error, NOT_EXECUTED, OUTCOME_UNKNOWN, Outcome, PARTLY_EXECUTED, is_outcome_unknown, outcome};
/// The crate whose traits and types this one's speak: the same version, with the features that the program has asked for.
pub use redis;
