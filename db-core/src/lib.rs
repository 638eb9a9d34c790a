//! Tanist's engine: knows no network, role or other node.

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
pub mod redo;
pub(crate) mod structure;
pub mod types;
pub mod value;
