//! Throughput, latency and processor time at the closed pace.

use serde_json::json;
use tanist_plot::Bars;

use super::turns::{Figures, take_turns};
use crate::load::{Group, Kind, Pace, Prepared, fill, key, push_command, send_all};
use crate::report::Report;
use crate::system::{Server, System};
use crate::table::figure;
use crate::{Arguments, Fallible, machine};

/// Throughput, latency and processor time of SET, GET, INCR, MSET and a mix, at pipelines 1, 16 and 64
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Different keys
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000])]
    pub(crate) keys: Vec<u64>,
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000])]
    pub(crate) value_bytes: Vec<usize>,
    #[arg(long, default_value_t = 50)]
    pub(crate) connections: usize,
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    pub(crate) pipelines: Vec<usize>,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Set, Kind::Get, Kind::Incr, Kind::Mset, Kind::Mix])]
    pub(crate) commands: Vec<Kind>,
    /// Ratios are against the first
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Redis, System::Valkey, System::TanistRelaxed])]
    pub(crate) systems: Vec<System>,
}

const HEADING: [&str; 14] = [
    "command", "value", "keys", "pipeline", "server", "k/s", "ratio", "cpu s/M", "ratio", "cpu all", "ratio", "p50 us",
    "p99 us", "p99.9 us",
];

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<Report> {
    let mut report = Report::new("throughput", &HEADING);
    for keys in &options.keys {
        for value_bytes in &options.value_bytes {
            let systems = options.systems.iter().filter(|system| system.is_there());
            let bytes = systems.map(|system| system.memory_bytes(*keys, *value_bytes as u64)).sum();
            if machine::has_room_for(bytes) {
                with_data(arguments, options, *keys, *value_bytes, &mut report)?;
            } else {
                report.notes.push(format!("{keys} keys of {value_bytes} B: more memory than this machine has."));
            }
        }
    }
    Ok(report)
}

/// All loads over one set of data.
fn with_data(
    arguments: &Arguments,
    options: &Options,
    keys: u64,
    value_bytes: usize,
    report: &mut Report,
) -> Fallible<()> {
    let servers = Server::start_all(&arguments.programs(), &options.systems)?;
    // The value does not matter to INCR.
    let counts = value_bytes == options.value_bytes[0];
    let kinds = options.commands.iter().filter(|kind| counts || **kind != Kind::Incr);
    for server in &servers {
        fill(server.port, 0, keys, value_bytes)?;
        if counts && options.commands.contains(&Kind::Incr) {
            let zero = |out: &mut Vec<u8>, number| push_command(out, &[b"SET", &key(b'n', number), b"0"]);
            send_all(server.port, 0..keys, zero)?;
        }
    }
    let mut plots = Plots::new(&servers, keys, value_bytes);
    for kind in kinds {
        for pipeline in &options.pipelines {
            let group = Group {
                kind: *kind,
                connections: options.connections,
                pipeline: *pipeline,
                keys,
                value_bytes,
                pace: Pace::Closed,
            };
            let figures = take_turns(arguments, &servers, &Prepared::new(std::slice::from_ref(&group)))?;
            let figures: Vec<Figures> = figures.iter().map(|groups| groups[0]).collect();
            add(report, &servers, &group, &figures);
            plots.add(&group, &figures);
        }
    }
    plots.finish(report, keys, value_bytes);
    Ok(())
}

/// Adds a row for each server, ratios against the first.
fn add(report: &mut Report, servers: &[Server], group: &Group, figures: &[Figures]) {
    let first = figures[0];
    for (server, f) in servers.iter().zip(figures) {
        report.table.row(&[
            group.kind.name().into(),
            if group.kind == Kind::Incr { String::new() } else { group.value_bytes.to_string() },
            group.keys.to_string(),
            group.pipeline.to_string(),
            server.name().into(),
            figure(f.per_second / 1e3),
            figure(f.per_second / first.per_second),
            figure(f.cpu_per_million),
            figure(f.cpu_per_million / first.cpu_per_million),
            figure(f.all_cpu_per_million),
            figure(f.all_cpu_per_million / first.all_cpu_per_million),
            figure(f.p50_us),
            figure(f.p99_us),
            figure(f.p999_us),
        ]);
        report.results.push(json!({
            "command": group.kind.name(), "value_bytes": group.value_bytes, "pipeline": group.pipeline,
            "keys": group.keys, "connections": group.connections, "server": server.name(), "figures": f,
            "ratio": f.per_second / first.per_second, "cpu_ratio": f.cpu_per_million / first.cpu_per_million,
        }));
    }
}

/// Ratios against the first server as bars.
struct Plots {
    throughput: Bars,
    cpu: Bars,
}

impl Plots {
    fn new(servers: &[Server], keys: u64, value_bytes: usize) -> Self {
        let first = servers[0].name();
        let series: Vec<(String, Vec<f64>)> =
            servers[1..].iter().map(|server| (server.name().to_owned(), Vec::new())).collect();
        let bars = |title: String, y: &str| Bars {
            title,
            y: y.to_owned(),
            groups: Vec::new(),
            series: series.clone(),
            line: Some((1.0, first.to_owned())),
        };
        let of = format!("{value_bytes} B values, {keys} keys");
        Self {
            throughput: bars(format!("Throughput, {of}"), &format!("commands/s, ratio to {first}")),
            cpu: bars(format!("Processor time of the server, {of}"), &format!("seconds per million, ratio to {first}")),
        }
    }

    fn add(&mut self, group: &Group, figures: &[Figures]) {
        fn push(bars: &mut Bars, label: &str, figures: &[Figures], of: impl Fn(&Figures) -> f64) {
            bars.groups.push(label.to_owned());
            for (series, beside) in bars.series.iter_mut().zip(&figures[1..]) {
                series.1.push(of(beside) / of(&figures[0]));
            }
        }
        let label = format!("{}\nx {}", group.kind.name(), group.pipeline);
        push(&mut self.throughput, &label, figures, |f| f.per_second);
        push(&mut self.cpu, &label, figures, |f| f.cpu_per_million);
    }

    fn finish(self, report: &mut Report, keys: u64, value_bytes: usize) {
        if self.throughput.series.is_empty() {
            return;
        }
        for (name, bars) in [("throughput", self.throughput), ("cpu", self.cpu)] {
            report.plots.push((format!("{name}-{keys}-{value_bytes}"), bars.title.clone(), bars.svg()));
        }
    }
}
