//! Client library for Tanist over QUIC: finds the primary, follows it, pipelines.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use redis::AsyncCommands;
//! use tanist_client::{Client, Options};
//!
//! let nodes = vec!["127.0.0.1:6379".parse()?, "127.0.0.1:6380".parse()?];
//! let mut client = Client::connect(Options::new(nodes, "data/tls")).await?;
//! let _: () = client.set("king", "Brian").await?;
//! let reply = client.command(&["TANIST", "STATUS"]).await?;
//! # Ok(()) }
//! ```
//!
//! What a caller may rely on:
//! - A command that a node refused because it is not primary, or that was never sent, is brought to the primary, until
//!   the deadline. During a planned switchover no operation fails.
//! - When a connection breaks while a command is under way, reads are repeated; a write fails with [`Error::Unknown`],
//!   because it may have been executed or not.
//! - Commands of one task, each awaited before the next, are executed in that order. Commands of one pipeline are executed
//!   in order, and an atomic pipeline is one transaction.
//!
//! Where things are: `wire` what crosses the stream; `scout` a task per node that waits for it to be primary; `link` one
//! stream and what is under way on it; `driver` the task that brings the one to the other; `retry` what may be repeated.

mod client;
mod dial;
mod driver;
mod error;
pub mod limits;
mod link;
mod request;
mod retry;
mod scout;
mod tls;
pub mod wire;

pub use client::{Client, Options, Primary};
pub use error::Error;
