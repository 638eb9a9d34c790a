//! Tanist's database engine: keyspace, commands, redo records, snapshots. It does not know about networks, roles or other nodes.

pub mod arena;
pub mod clock;
pub mod command;
pub mod effect;
pub mod engine;
pub mod ids;
pub mod image;
pub mod keyspace;
pub mod level;
pub mod limits;
pub mod planted;
pub(crate) mod random;
pub mod rdb;
pub mod redo;
pub(crate) mod structure;
pub mod types;
pub mod value;
