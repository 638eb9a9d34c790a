//! Comparison benchmarks: real servers on one machine, alternating, ratios in one run.
//!
//! Times mean little on a shared machine; the ratio of two servers that took turns on it means something. Beside each
//! throughput stands the server's own processor time per million commands, which the load generator does not blur.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

mod load;
mod server;
mod table;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use load::{Kind, Load, Outcome};
use server::{Server, System};
use table::Table;

#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// The `tanist` program to measure.
    #[arg(long, default_value = "target/release/tanist", global = true)]
    tanist: PathBuf,
    /// Turns for each server; the median of each figure is shown.
    #[arg(long, default_value_t = 3, global = true)]
    turns: usize,
    /// Seconds of load a turn.
    #[arg(long, default_value_t = 3.0, global = true)]
    seconds: f64,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Throughput, latency and processor time of SET, GET, INCR, MSET and a mix, at pipelines 1, 16 and 64.
    Throughput {
        #[arg(long, default_value_t = 1_000_000)]
        keys: u64,
        #[arg(long, default_value_t = 100)]
        value_bytes: usize,
        #[arg(long, default_value_t = 50)]
        connections: usize,
        #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
        pipelines: Vec<usize>,
        #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Set, Kind::Get])]
        commands: Vec<Kind>,
        #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Redis, System::TanistRelaxed])]
        systems: Vec<System>,
    },
    /// Resident bytes per key of a filled server.
    Memory {
        #[arg(long, default_value_t = 1_000_000)]
        keys: u64,
        #[arg(long, default_value_t = 100)]
        value_bytes: usize,
        #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Redis, System::TanistRelaxed])]
        systems: Vec<System>,
    },
}

fn main() {
    let mut arguments = Arguments::parse();
    // Servers are started in folders of their own.
    arguments.tanist =
        arguments.tanist.canonicalize().expect("the program is there; build it with: cargo build --release");
    match &arguments.what {
        What::Throughput { keys, value_bytes, connections, pipelines, commands, systems } => {
            let mut servers: Vec<Server> =
                systems.iter().map(|system| Server::start(*system, &arguments.tanist)).collect();
            for server in &servers {
                load::fill(server.port, *keys, *value_bytes);
            }
            let mut table = Table::new(&[
                "command", "pipeline", "server", "k/s", "ratio", "cpu s/M", "ratio", "p50 us", "p99 us", "p99.9 us",
            ]);
            for kind in commands {
                for pipeline in pipelines {
                    let load = Load {
                        kind: *kind,
                        keys: *keys,
                        value_bytes: *value_bytes,
                        connections: *connections,
                        pipeline: *pipeline,
                        seconds: arguments.seconds,
                    };
                    compare(&mut table, &mut servers, &load, arguments.turns);
                }
            }
            table.print();
        }
        What::Memory { keys, value_bytes, systems } => {
            let mut table = Table::new(&["server", "resident MB", "bytes per key"]);
            for system in systems {
                let server = Server::start(*system, &arguments.tanist);
                let before = server.resident_bytes();
                load::fill(server.port, *keys, *value_bytes);
                let resident = server.resident_bytes();
                let per_key = (resident - before) as f64 / *keys as f64;
                table.row(&[system.name().into(), (resident >> 20).to_string(), format!("{per_key:.0}")]);
            }
            table.print();
        }
    }
}

/// Lets the servers take turns under one load and adds a row each, ratios against the first.
fn compare(table: &mut Table, servers: &mut [Server], load: &Load, turns: usize) {
    let mut outcomes: Vec<Vec<Outcome>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..turns {
        for (server, outcomes) in servers.iter().zip(&mut outcomes) {
            let cpu = server.cpu_seconds();
            let mut outcome = load.run(server.port);
            outcome.cpu_per_million = (server.cpu_seconds() - cpu) / (outcome.commands as f64 / 1e6);
            outcomes.push(outcome);
        }
    }
    let medians: Vec<Outcome> = outcomes.iter_mut().map(|outcomes| Outcome::median(outcomes)).collect();
    let first = &medians[0];
    for (server, outcome) in servers.iter().zip(&medians) {
        table.row(&[
            format!("{:?}", load.kind).to_uppercase(),
            load.pipeline.to_string(),
            server.system.name().into(),
            format!("{:.0}", outcome.per_second / 1e3),
            format!("{:.2}", outcome.per_second / first.per_second),
            format!("{:.2}", outcome.cpu_per_million),
            format!("{:.2}", outcome.cpu_per_million / first.cpu_per_million),
            outcome.p50_us.to_string(),
            outcome.p99_us.to_string(),
            outcome.p999_us.to_string(),
        ]);
    }
}
