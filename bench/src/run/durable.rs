//! What it costs to have a write on disk before the reply, and what readers notice of it.

use serde_json::json;
use tanist_plot::Bars;

use super::turns::{Figures, take_turns};
use crate::load::{Group, Kind, Pace, Prepared, fill};
use crate::report::Report;
use crate::system::{Server, System};
use crate::table::figure;
use crate::{Arguments, Fallible};

/// SET with the reply after the disk has it, beside the same without; GET beside durable writers
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 100_000)]
    pub(crate) keys: u64,
    #[arg(long, default_value_t = 100)]
    pub(crate) value_bytes: usize,
    #[arg(long, default_value_t = 50)]
    pub(crate) connections: usize,
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    pub(crate) pipelines: Vec<usize>,
    /// Connections that SET beside those that GET
    #[arg(long, default_value_t = 8)]
    pub(crate) writers: usize,
    /// Ratios are against the first
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [
        System::RedisAlways, System::RedisReplica, System::Redis, System::ValkeyAlways, System::ValkeyReplica,
        System::Valkey, System::TanistDurable, System::TanistRelaxed,
    ])]
    pub(crate) systems: Vec<System>,
}

const HEADING: [&str; 12] = [
    "load", "pipeline", "server", "k/s", "ratio", "cpu s/M", "ratio", "cpu all", "p50 us", "p99 us", "p99.9 us",
    "max us",
];

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<Report> {
    let mut report = Report::new("durable", &HEADING);
    let servers = Server::start_all(&arguments.programs(), &options.systems)?;
    for server in &servers {
        fill(server.port, 0, options.keys, options.value_bytes)?;
    }
    let first = servers.first().ok_or("none of these systems is there")?.name();
    let mut bars = Bars {
        title: format!("SET, {} connections, {} B values", options.connections, options.value_bytes),
        y: "commands/s, ratio".into(),
        groups: Vec::new(),
        series: servers[1..].iter().map(|server| (server.name().to_owned(), Vec::new())).collect(),
        line: Some((1.0, first.to_owned())),
    };
    for pipeline in &options.pipelines {
        let load = Prepared::new(&[options.group(Kind::Set, options.connections, *pipeline)]);
        let figures = take_turns(arguments, &servers, &load)?;
        add(&mut report, &servers, "SET", *pipeline, &figures, 0);
        bars.groups.push(format!("SET\nx {pipeline}"));
        for (series, of) in bars.series.iter_mut().zip(&figures[1..]) {
            series.1.push(of[0].per_second / figures[0][0].per_second);
        }
    }
    report.plots.push(("durable".into(), bars.title.clone(), bars.svg()));
    readers(arguments, options, &servers, &mut report)?;
    Ok(report)
}

/// GET alone, and beside connections that SET.
fn readers(arguments: &Arguments, options: &Options, servers: &[Server], report: &mut Report) -> Fallible<()> {
    let get = options.group(Kind::Get, options.connections, 1);
    let set = options.group(Kind::Set, options.writers, 1);
    let alone = take_turns(arguments, servers, &Prepared::new(std::slice::from_ref(&get)))?;
    add(report, servers, "GET alone", 1, &alone, 0);
    let beside = take_turns(arguments, servers, &Prepared::new(&[get, set]))?;
    add(report, servers, &format!("GET beside {} SET", options.writers), 1, &beside, 0);
    add(report, servers, &format!("{} SET beside GET", options.writers), 1, &beside, 1);
    Ok(())
}

impl Options {
    fn group(&self, kind: Kind, connections: usize, pipeline: usize) -> Group {
        Group { kind, connections, pipeline, keys: self.keys, value_bytes: self.value_bytes, pace: Pace::Closed }
    }
}

/// Adds a row for each server with the figures of one group, ratios against the first server.
fn add(report: &mut Report, servers: &[Server], load: &str, pipeline: usize, all: &[Vec<Figures>], group: usize) {
    let first = all[0][group];
    for (server, f) in servers.iter().zip(all) {
        let f = f[group];
        report.table.row(&[
            load.into(),
            pipeline.to_string(),
            server.name().into(),
            figure(f.per_second / 1e3),
            figure(f.per_second / first.per_second),
            figure(f.cpu_per_million),
            figure(f.cpu_per_million / first.cpu_per_million),
            figure(f.all_cpu_per_million),
            figure(f.p50_us),
            figure(f.p99_us),
            figure(f.p999_us),
            figure(f.max_us),
        ]);
        report.results.push(json!({"load": load, "pipeline": pipeline, "server": server.name(), "figures": f}));
    }
}
