//! Tanist: an in-memory database that speaks the Redis protocol, with a hot standby that loses no acknowledged write.
//!
//! This package wires the engine (`tanist-db-core`) to the machinery of roles and durability (`tanist-replication`) and puts
//! the protocol fronts and the command line before them; it holds no algorithm of its own. `docs/ARCHITECTURE.md` has the map.

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
