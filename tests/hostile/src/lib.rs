//! Whatever reads bytes that somebody else has made, as functions from bytes to nothing: they may refuse, they may not panic,
//! and what they accept must be sound. The fuzzer (`tests/fuzz`, `just fuzz TARGET SECONDS`) and the ordinary tests of this
//! package run the same functions; the tests over mutations of what is valid.
//!
//! A checksum keeps a fuzzer out. So where bytes are sealed, a target also seals what it is given: that is what a peer with a
//! valid certificate, or whoever may write to the vault's folder, can do.

pub mod client;
mod command;
pub mod config;
pub mod hyperloglog;
pub mod image;
pub mod mutate;
pub mod rdb;
pub mod redo;
pub mod resp;
pub mod restore;
pub mod wire;

/// One of the readers.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its fuzz target.
    pub name: &'static str,
    /// Reads the bytes.
    pub read: fn(&[u8]),
    /// Valid input to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target { name: "resp", read: resp::read, seeds: resp::seeds },
    Target { name: "redo", read: redo::read, seeds: redo::seeds },
    Target { name: "image", read: image::read, seeds: image::seeds },
    Target { name: "wire", read: wire::read, seeds: wire::seeds },
    Target { name: "client", read: client::read, seeds: client::seeds },
    Target { name: "rdb", read: rdb::read, seeds: rdb::seeds },
    Target { name: "restore", read: restore::read, seeds: restore::seeds },
    Target { name: "hyperloglog", read: hyperloglog::read, seeds: hyperloglog::seeds },
    Target { name: "config", read: config::read, seeds: config::seeds },
];
