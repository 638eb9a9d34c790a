//! What it costs to ask the standby, which has the primary execute.

use serde_json::json;

use super::turns::{Figures, take_turns_at};
use crate::load::{Group, Kind, Pace, Prepared, fill};
use crate::report::Report;
use crate::system::{Server, System};
use crate::table::figure;
use crate::{Arguments, Fallible};

/// SET and GET sent to the primary, and sent to the standby, which forwards them
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 100_000)]
    pub(crate) keys: u64,
    #[arg(long, default_value_t = 100)]
    pub(crate) value_bytes: usize,
    #[arg(long, value_delimiter = ',', default_values_t = [1, 50])]
    pub(crate) connections: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    pub(crate) pipelines: Vec<usize>,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::TanistDurable])]
    pub(crate) systems: Vec<System>,
}

const HEADING: [&str; 12] = [
    "command",
    "connections",
    "pipeline",
    "server",
    "sent to",
    "k/s",
    "ratio",
    "cpu all s/M",
    "ratio",
    "p50 us",
    "ratio",
    "p99 us",
];

/// Who is asked, by the distance of its port from the server's.
const WAYS: [(&str, u16); 2] = [("primary", 0), ("standby", 1)];

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<Report> {
    let mut report = Report::new("forwarding", &HEADING);
    for system in options.systems.iter().filter(|system| system.is_tanist()) {
        let server = Server::start_with(&arguments.programs(), *system, &[])?;
        fill(server.port, 0, options.keys, options.value_bytes)?;
        for kind in [Kind::Set, Kind::Get] {
            for (&connections, &pipeline) in
                options.connections.iter().flat_map(|c| options.pipelines.iter().map(move |p| (c, p)))
            {
                let (keys, value_bytes) = (options.keys, options.value_bytes);
                let group = Group { kind, connections, pipeline, keys, value_bytes, pace: Pace::Closed };
                let ways = WAYS.map(|(_, distance)| (&server, server.port + distance));
                let figures = take_turns_at(arguments, &ways, &Prepared::new(std::slice::from_ref(&group)))?;
                let figures: Vec<Figures> = figures.iter().map(|groups| groups[0]).collect();
                add(&mut report, &server, &group, &figures);
            }
        }
    }
    report.notes.push(
        "Ratios are against the primary. The processor time is that of all processes: both nodes, their supervisors, the vault."
            .to_owned(),
    );
    Ok(report)
}

fn add(report: &mut Report, server: &Server, group: &Group, figures: &[Figures]) {
    let direct = figures[0];
    for ((way, _), f) in WAYS.iter().zip(figures) {
        report.table.row(&[
            group.kind.name().into(),
            group.connections.to_string(),
            group.pipeline.to_string(),
            server.name().into(),
            (*way).into(),
            figure(f.per_second / 1e3),
            figure(f.per_second / direct.per_second),
            figure(f.all_cpu_per_million),
            figure(f.all_cpu_per_million / direct.all_cpu_per_million),
            figure(f.p50_us),
            figure(f.p50_us / direct.p50_us),
            figure(f.p99_us),
        ]);
        report.results.push(json!({
            "command": group.kind.name(), "connections": group.connections, "pipeline": group.pipeline,
            "server": server.name(), "sent_to": way, "figures": f, "ratio": f.per_second / direct.per_second,
            "cpu_ratio": f.all_cpu_per_million / direct.all_cpu_per_million, "p50_ratio": f.p50_us / direct.p50_us,
        }));
    }
}
