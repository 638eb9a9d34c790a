//! Tanist: an in-memory database that speaks the Redis protocol, with a hot standby that loses no acknowledged write.
//!
//! This package connects the engine (`tanist-db-core`) with replication (`tanist-replication`), and adds the protocol fronts and
//! the command line; it has no algorithm of its own. `docs/ARCHITECTURE.md` has the map.

pub mod admin;
pub mod cli;
pub mod clock;
pub mod cluster_file;
pub mod config;
pub mod exit;
pub mod files;
pub mod front;
pub mod node;
pub mod rank;
pub mod resp;
pub mod shutdown;
pub mod telemetry;
