//! Throughput, latency and processor time of commands on collections, at the closed pace.

use serde_json::json;

use super::turns::{Figures, take_turns};
use crate::load::{CollectionCommand, Deed, Group, Kind, Pace, Prepared};
use crate::report::Report;
use crate::system::{Server, System};
use crate::table::figure;
use crate::{Arguments, Fallible};

/// Throughput and processor time of commands on many small collections, on a large one, and in the middle of a long list
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Small collections of each type, of 10 elements
    #[arg(long, default_value_t = 100_000)]
    pub(crate) small: u64,
    /// Elements of a large one
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) large: u64,
    /// Elements of the long list; 0: none
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) long: u64,
    #[arg(long, default_value_t = 50)]
    pub(crate) connections: usize,
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    pub(crate) pipelines: Vec<usize>,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Deed::USUAL)]
    pub(crate) commands: Vec<Deed>,
    /// Ratios are against the first
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Redis, System::Valkey, System::TanistRelaxed])]
    pub(crate) systems: Vec<System>,
}

const HEADING: [&str; 11] =
    ["command", "elements", "pipeline", "server", "k/s", "ratio", "cpu s/M", "ratio", "cpu all", "p50 us", "p99 us"];

/// Elements of a small collection.
const FEW: u64 = 10;

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<Report> {
    let mut report = Report::new("collections", &HEADING);
    let servers = Server::start_all(&arguments.programs(), &options.systems)?;
    for large in [false, true] {
        let (collections, elements) = if large { (1, options.large) } else { (options.small, FEW) };
        for deed in &options.commands {
            let operation = CollectionCommand { deed: *deed, large, elements };
            // Of what it is about there are as many elements as at first, whoever was there before.
            for server in &servers {
                server.client()?.ask(&["FLUSHALL"])?;
                // HGETALL looks at hashes of 20, of which a large one is not long but has long values.
                let collections = if *deed == Deed::Hgetall { options.small } else { collections };
                operation.fill(server.port, collections)?;
            }
            let keys = if *deed == Deed::Hgetall { options.small } else { collections };
            for pipeline in &options.pipelines {
                let group = group(operation, keys, options.connections, *pipeline);
                measure(arguments, &servers, &group, &mut report)?;
            }
        }
    }
    if options.long > 0 {
        deep(arguments, options, &servers, &mut report)?;
    }
    Ok(report)
}

/// Commands at the end and in the middle of a long list, one at a time.
fn deep(arguments: &Arguments, options: &Options, servers: &[Server], report: &mut Report) -> Fallible<()> {
    let on = |deed| CollectionCommand { deed, large: true, elements: options.long };
    for server in servers {
        server.client()?.ask(&["FLUSHALL"])?;
        on(Deed::LindexEnd).fill(server.port, 1)?;
    }
    for deed in Deed::DEEP {
        measure(arguments, servers, &group(on(deed), 1, 1, 1), report)?;
    }
    Ok(())
}

fn group(operation: CollectionCommand, keys: u64, connections: usize, pipeline: usize) -> Group {
    Group { kind: Kind::On(operation), connections, pipeline, keys, value_bytes: 0, pace: Pace::Closed }
}

/// Adds a row for each server, ratios against the first.
fn measure(arguments: &Arguments, servers: &[Server], group: &Group, report: &mut Report) -> Fallible<()> {
    let Kind::On(operation) = group.kind else { return Err("a command on collections is measured".into()) };
    let figures = take_turns(arguments, servers, &Prepared::new(std::slice::from_ref(group)))?;
    let figures: Vec<Figures> = figures.iter().map(|groups| groups[0]).collect();
    let first = figures[0];
    for (server, f) in servers.iter().zip(&figures) {
        report.table.row(&[
            operation.deed.name().into(),
            operation.elements.to_string(),
            group.pipeline.to_string(),
            server.name().into(),
            figure(f.per_second / 1e3),
            figure(f.per_second / first.per_second),
            figure(f.cpu_per_million),
            figure(f.cpu_per_million / first.cpu_per_million),
            figure(f.all_cpu_per_million),
            figure(f.p50_us),
            figure(f.p99_us),
        ]);
        report.results.push(json!({
            "command": operation.deed.name(), "large": operation.large, "elements": operation.elements,
            "deep": Deed::DEEP.contains(&operation.deed),
            "pipeline": group.pipeline, "server": server.name(), "figures": f,
        }));
    }
    Ok(())
}
