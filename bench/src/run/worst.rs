//! Large values at their worst: written at full speed while snapshots are taken, and deleted.

use serde_json::json;

use super::image::{Phase, Rest, one, start};
use crate::load::{CollectionCommand, Deed, Group, Kind, Moment, Pace, Prepared, SLICE_MICROS, Timing, fill, pause};
use crate::report::Report;
use crate::system::{Server, System};
use crate::table::figure;
use crate::{Arguments, Fallible};

/// Writes to a large value of each type before and while an image is shipped, beside BGSAVE; the pause of others when it is deleted
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Elements of each collection
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) elements: u64,
    /// Length of the string, in units of 2^20 bytes
    #[arg(long, default_value_t = 256)]
    pub(crate) megabytes: u64,
    #[arg(long, default_value_t = 50)]
    pub(crate) connections: usize,
    /// Seconds between two snapshots
    #[arg(long, default_value_t = 10.0)]
    pub(crate) interval: f64,
    /// Snapshots for each type
    #[arg(long, default_value_t = 2)]
    pub(crate) snapshots: usize,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Redis, System::Valkey, System::TanistRelaxed])]
    pub(crate) systems: Vec<System>,
}

const HEADING: [&str; 11] = [
    "writes",
    "server",
    "k/s before",
    "during",
    "p99.9 us before",
    "during",
    "ratio",
    "max us during",
    "pause us of DEL",
    "without",
    "DEL us",
];

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<Report> {
    let mut report = Report::new("worst", &HEADING);
    for deed in Deed::EACH_TYPE {
        let elements = if deed == Deed::Setrange { options.megabytes } else { options.elements };
        let operation = CollectionCommand { deed, large: true, elements };
        for system in options.systems.iter().filter(|system| system.is_there()) {
            measure(arguments, options, *system, operation, &mut report)?;
        }
    }
    report.notes.push(
        "*before* and *during* are slices of 100 ms without and with a snapshot under way. *pause* is the longest time that one connection \
         waited for a `GET` from the `DEL` of the value on, *without* the same before it, *DEL* the time until its reply."
            .into(),
    );
    Ok(report)
}

fn measure(
    arguments: &Arguments,
    options: &Options,
    system: System,
    operation: CollectionCommand,
    report: &mut Report,
) -> Fallible<()> {
    let server = start(arguments, system, options.interval)?;
    let empty_bytes = server.resident().anonymous;
    operation.fill(server.port, 1)?;
    let group = Group {
        kind: Kind::On(operation),
        connections: options.connections,
        pipeline: 1,
        keys: 1,
        value_bytes: 0,
        pace: Pace::Closed,
    };
    let seconds = options.interval * (options.snapshots as f64 + 0.9);
    let timing = Timing { warm_up_seconds: arguments.warm_up, seconds, slices: true };
    let run = one(&server, &group, timing, options.interval, Rest { empty_bytes, data_bytes: 1 })?;
    let (before, during) = (run.part(Phase::Before), run.part(Phase::During));
    let [p_before, p_during] = [&before, &during].map(|part| part.tally.micros(0.999) as f64);
    let deletion = delete(&server, operation)?;
    report.table.row(&[
        operation.deed.name().into(),
        server.name().into(),
        figure(before.per_second / 1e3),
        figure(during.per_second / 1e3),
        figure(p_before),
        figure(p_during),
        figure(p_during / p_before),
        during.tally.latency.max().to_string(),
        deletion.pause_us.to_string(),
        deletion.without_us.to_string(),
        deletion.own_us.to_string(),
    ]);
    report.results.push(json!({
        "writes": operation.deed.name(), "server": server.name(), "per_second_before": before.per_second,
        "per_second_during": during.per_second, "p999_us_before": p_before, "p999_us_during": p_during,
        "p999_ratio": p_during / p_before, "max_us_during": during.tally.latency.max(),
        "pause_us": deletion.pause_us, "pause_us_without": deletion.without_us, "deletion_us": deletion.own_us,
    }));
    Ok(())
}

struct Deletion {
    pause_us: u64,
    without_us: u64,
    own_us: u64,
}

/// Deletes the value while a client asks for small ones.
fn delete(server: &Server, operation: CollectionCommand) -> Fallible<Deletion> {
    /// Of the load: before the deletion, and in all.
    const SECONDS: (f64, f64) = (2.0, 4.0);
    let group =
        Group { kind: Kind::Get, connections: 1, pipeline: 1, keys: 10_000, value_bytes: 100, pace: Pace::Closed };
    fill(server.port, 0, group.keys, group.value_bytes)?;
    let (mut client, load) = (server.client()?, Prepared::new(&[group]));
    let (begin, begun) = std::sync::mpsc::sync_channel(1);
    let deletion = std::thread::spawn(move || {
        begun.recv().map_err(|error| error.to_string())?;
        pause((SECONDS.0 * 1e3) as u64);
        let (clock, key) = (crate::load::Clock::start(), operation.key(0));
        let done = client.ask(&["DEL", &String::from_utf8_lossy(&key)]).map_err(|error| error.to_string());
        done.map(|_| clock.micros())
    });
    let timing = Timing { warm_up_seconds: 0.0, seconds: SECONDS.1, slices: true };
    let outcome = load.run(server.port, timing, &mut |moment| {
        if moment == Moment::Begin {
            let _it_waits = begin.send(());
        }
    })?;
    let own_us = deletion.join().map_err(|_| "the deletion has ended early")??;
    // The slice before the deletion may be begun late: it belongs to it.
    let first = (SECONDS.0 * 1e6) as usize / SLICE_MICROS as usize - 1;
    let max = |slices: &[crate::load::Tally]| slices.iter().map(|slice| slice.latency.max()).max().unwrap_or(0);
    let slices = &outcome[0].slices;
    let (without, with) = slices.split_at(first.min(slices.len()));
    Ok(Deletion { pause_us: max(with), without_us: max(without), own_us })
}
