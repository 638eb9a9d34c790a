//! The whole path with real processes: `tanist up` started as a user would, killed, stopped, damaged, and asked afterwards.
//!
//! Each test starts its own cluster in a temporary folder on free loopback ports; only one runs at a time, so that the
//! printed times mean something on a small machine. Times are printed, never asserted. A failing test prints its seed
//! and keeps its folder (its path is in the message), with the log of every process.

#![expect(clippy::disallowed_methods, reason = "tests of real processes wait for real time")]
#![expect(clippy::print_stdout, reason = "what was measured, and the seed")]

mod harness;
mod programs;
mod redis;

mod addresses;
mod bad_input;
mod blocked;
mod commands;
mod connection;
mod damage;
mod data_folder;
mod descriptions;
mod disk;
mod drill;
mod examples;
mod export;
mod fencing;
mod first_command;
mod frozen_reads;
mod health;
mod images;
mod import;
mod kill;
mod large_values;
mod load;
mod logging;
mod refusals;
mod relaxed;
mod restart;
mod saves;
mod settings;
mod standby_reads;
mod stock_clients;
mod switchover;
mod typed_commands;
mod vault_away;
