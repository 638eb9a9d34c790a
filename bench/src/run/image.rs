//! What a snapshot costs while it is under way: throughput, latency, memory.

use serde_json::json;
use tanist_plot::{Axis, Lines, Panel};

use super::watch::{Sight, Watch};
use crate::load::{Group, Kind, Moment, Outcome, Pace, Prepared, SLICE_MICROS, Tally, Timing, fill, pause};
use crate::report::Report;
use crate::system::{Server, System};
use crate::table::figure;
use crate::{Arguments, Fallible};

/// SET before and while an image is shipped, beside BGSAVE: at full speed and at 80 % of it
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Keys and values together, in units of 1,000,000,000 bytes
    #[arg(long, value_delimiter = ',', default_values_t = [1.0])]
    pub(crate) gigabytes: Vec<f64>,
    #[arg(long, default_value_t = 100)]
    pub(crate) value_bytes: usize,
    #[arg(long, default_value_t = 50)]
    pub(crate) connections: usize,
    /// Of the runs at full speed; the run at 80 % has the first
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    pub(crate) pipelines: Vec<usize>,
    /// Time between two snapshots, seconds for each gigabyte
    #[arg(long, default_value_t = 25.0)]
    pub(crate) interval: f64,
    /// Snapshots in each run
    #[arg(long, default_value_t = 2)]
    pub(crate) snapshots: usize,
    /// Part of the full speed that the open pace has
    #[arg(long, default_value_t = 0.8)]
    pub(crate) share: f64,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Redis, System::Valkey, System::TanistRelaxed])]
    pub(crate) systems: Vec<System>,
}

const HEADING: [&str; 17] = [
    "GB",
    "load",
    "server",
    "k/s before",
    "during",
    "kept",
    "p50 us before",
    "p99",
    "max",
    "p50 us during",
    "p99",
    "max",
    "p99 ratio",
    "pause us",
    "pause us/GB",
    "extra MB",
    "MB/s",
];

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<Report> {
    let mut report = Report::new("image", &HEADING);
    for gigabytes in &options.gigabytes {
        let mut runs: Vec<(String, Vec<(System, Run)>)> = Vec::new();
        // One server at a time: several of this size would not fit beside each other.
        for system in options.systems.iter().filter(|system| system.is_there()) {
            for (number, (load, run)) in measure(arguments, options, *system, *gigabytes)?.into_iter().enumerate() {
                if runs.len() <= number {
                    runs.push((load, Vec::new()));
                }
                runs[number].1.push((*system, run));
            }
        }
        for (number, (load, runs)) in runs.iter().enumerate() {
            runs.iter().for_each(|(system, run)| add(&mut report, *system, load, *gigabytes, run));
            let title = format!("SET while snapshots are taken, {gigabytes} GB, {load}");
            report.plots.push((format!("image-{:.0}mb-{number}", gigabytes * 1e3), title.clone(), plot(title, runs)));
        }
    }
    report.notes.push(
        "*pause* is the longest freeze or fork. *extra* is the highest anonymous memory of the serving process, for a neighbour \
         with what was copied for its child, above the empty process and what the server counts as its data; in brackets \
         its ratio to these data. *MB/s* are the bytes of the image or dump by the time from freeze or fork to the end."
            .into(),
    );
    Ok(report)
}

/// What a slice of time belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No snapshot has been begun yet.
    Before,
    /// A snapshot is under way in a part of it.
    During,
    /// A snapshot has ended; what was late may still be made up.
    After,
}

/// What a run has shown.
pub(super) struct Run {
    outcome: Outcome,
    phases: Vec<Phase>,
    snapshots: Vec<(f64, f64)>,
    megabytes_per_second: f64,
    pause_us: u64,
    extra_bytes: u64,
    rest: Rest,
}

/// The serving process without a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Rest {
    /// Anonymous resident memory of the empty process.
    pub(super) empty_bytes: u64,
    /// What the server counts as its data.
    pub(super) data_bytes: u64,
}

fn measure(arguments: &Arguments, options: &Options, system: System, gigabytes: f64) -> Fallible<Vec<(String, Run)>> {
    let every = options.interval * gigabytes;
    let server = start(arguments, system, every)?;
    let (empty_bytes, empty_data) = (server.resident().anonymous, data_bytes(&server)?);
    let keys = ((gigabytes * 1e9) as u64 / (16 + options.value_bytes as u64)).max(1);
    fill(server.port, 0, keys, options.value_bytes)?;
    let rest = Rest { empty_bytes, data_bytes: data_bytes(&server)?.saturating_sub(empty_data) };
    let group = |pipeline, pace| Group {
        kind: Kind::Set,
        connections: options.connections,
        pipeline,
        keys,
        value_bytes: options.value_bytes,
        pace,
    };
    let timing =
        Timing { warm_up_seconds: arguments.warm_up, seconds: every * (options.snapshots as f64 + 0.9), slices: true };
    let mut runs = Vec::new();
    for pipeline in &options.pipelines {
        let run = one(&server, &group(*pipeline, Pace::Closed), timing, every, rest)?;
        runs.push((format!("full speed, x {pipeline}"), run));
    }
    let per_second = runs.first().map_or(0.0, |(_, run)| run.part(Phase::Before).per_second) * options.share;
    let open = group(options.pipelines.first().copied().unwrap_or(1), Pace::Open { per_second });
    runs.push((format!("at {:.0} %", options.share * 100.0), one(&server, &open, timing, every, rest)?));
    Ok(runs)
}

/// A server that takes an image each `every` seconds, if it does so by itself.
pub(super) fn start(arguments: &Arguments, system: System, every: f64) -> Fallible<Server> {
    let extra = if system.is_tanist() {
        let every = ((every * 1e3) as u64).max(1).to_string();
        // Only time causes images here, so that they come as regularly as the neighbours' snapshots.
        ["--image-log-bytes", "1024gb", "--image-interval-ms", &every].map(str::to_owned).to_vec()
    } else {
        Vec::new()
    };
    Server::start_with(&arguments.programs(), system, &extra)
}

pub(super) fn one(server: &Server, group: &Group, timing: Timing, every: f64, rest: Rest) -> Fallible<Run> {
    let load = Prepared::new(std::slice::from_ref(group));
    let_an_image_pass(server)?;
    let watch = Watch::start(server, every)?;
    let clock = watch.clock;
    let mut begin = 0;
    let outcome = load.run(server.port, timing, &mut |moment| {
        if moment == Moment::Begin {
            begin = clock.micros();
        }
    });
    let sight = watch.stop()?;
    let outcome = outcome?.remove(0);
    if sight.snapshots.is_empty() {
        return Err(format!("{}: no snapshot came by", server.name()).into());
    }
    Ok(Run::new(outcome, &sight, begin, rest))
}

fn data_bytes(server: &Server) -> Fallible<u64> {
    server.client()?.info_number("memory", "used_memory")
}

/// Lets an image come by, so that the next is due a whole interval later.
fn let_an_image_pass(server: &Server) -> Fallible<()> {
    if !server.system.is_tanist() {
        return Ok(());
    }
    let newest = || -> Fallible<u64> { Ok(server.status()?["vault"]["images"][0]["cut"].as_u64().unwrap_or(0)) };
    let old = newest()?;
    server.client()?.ask(&["SET", "k-bench-wrote", "1"])?;
    while newest()? == old {
        pause(200);
    }
    Ok(())
}

impl Run {
    fn new(outcome: Outcome, sight: &Sight, begin: u64, rest: Rest) -> Self {
        let since = |at: u64| (at as f64 - begin as f64) / 1e6;
        let end = outcome.seconds;
        let slice = SLICE_MICROS as f64 / 1e6;
        let snapshots: Vec<(f64, f64)> = sight
            .snapshots
            .iter()
            .map(|seen| (since(seen.from).max(0.0), seen.to.map_or(end, since).min(end)))
            .filter(|(from, to)| to > from)
            .collect();
        let phase = |i: usize| {
            let (begin, end) = (i as f64 * slice, (i + 1) as f64 * slice);
            let during = snapshots.iter().any(|(from, to)| *from < end && *to > begin);
            match snapshots.first() {
                _ if during => Phase::During,
                Some((first, _)) if end > *first => Phase::After,
                _ => Phase::Before,
            }
        };
        let rates = sight.snapshots.iter().filter_map(|seen| {
            let micros = seen.to?.saturating_sub(seen.from).max(1);
            Some(seen.bytes as f64 / micros as f64)
        });
        Self {
            phases: (0..(end / slice) as usize).map(phase).collect(),
            megabytes_per_second: super::turns::median(rates),
            pause_us: sight.pause_us_max,
            extra_bytes: sight.resident_max.saturating_sub(rest.empty_bytes + rest.data_bytes) + sight.copied_max,
            rest,
            snapshots,
            outcome,
        }
    }

    /// The slices of one phase together.
    pub(super) fn part(&self, phase: Phase) -> Part {
        let mut all = Tally::new(2);
        let slices = (0..self.phases.len()).filter(|i| self.phases[*i] == phase);
        let count = slices.clone().count();
        // A slice in which nothing was answered is missing at the end of the series, or empty.
        slices.filter_map(|i| self.outcome.slices.get(i)).for_each(|slice| all.add(slice));
        let seconds = count as f64 * SLICE_MICROS as f64 / 1e6;
        Part { per_second: all.commands as f64 / seconds, tally: all }
    }
}

pub(super) struct Part {
    pub(super) per_second: f64,
    pub(super) tally: Tally,
}

impl Part {
    fn latencies(&self) -> [f64; 3] {
        [self.tally.micros(0.5) as f64, self.tally.micros(0.99) as f64, self.tally.latency.max() as f64]
    }
}

fn add(report: &mut Report, system: System, load: &str, gigabytes: f64, run: &Run) {
    let (before, during) = (run.part(Phase::Before), run.part(Phase::During));
    let (b, d) = (before.latencies(), during.latencies());
    let kept = during.per_second / before.per_second;
    let extra_share = run.extra_bytes as f64 / run.rest.data_bytes as f64;
    report.table.row(&[
        gigabytes.to_string(),
        load.to_owned(),
        system.name().into(),
        figure(before.per_second / 1e3),
        figure(during.per_second / 1e3),
        figure(kept),
        figure(b[0]),
        figure(b[1]),
        figure(b[2]),
        figure(d[0]),
        figure(d[1]),
        figure(d[2]),
        figure(d[1] / b[1]),
        run.pause_us.to_string(),
        figure(run.pause_us as f64 / gigabytes),
        format!("{:.0} ({:.0} %)", run.extra_bytes as f64 / 1e6, extra_share * 100.0),
        figure(run.megabytes_per_second),
    ]);
    report.results.push(json!({
        "gigabytes": gigabytes, "load": load, "server": system.name(),
        "per_second_before": before.per_second, "per_second_during": during.per_second, "kept": kept,
        "p50_p99_max_us_before": b, "p50_p99_max_us_during": d, "p99_ratio": d[1] / b[1],
        "pause_us": run.pause_us, "pause_us_per_gb": run.pause_us as f64 / gigabytes,
        "extra_bytes": run.extra_bytes, "data_bytes": run.rest.data_bytes, "extra_share": extra_share,
        "megabytes_per_second": run.megabytes_per_second,
        "share_of_time": run.phases.iter().filter(|phase| **phase == Phase::During).count() as f64 / run.phases.len() as f64,
    }));
}

fn plot(title: String, runs: &[(System, Run)]) -> String {
    let series = |of: fn(&Tally) -> f64| {
        let points = |run: &Run| {
            let time = |i: usize| i as f64 * SLICE_MICROS as f64 / 1e6;
            let slices = run.outcome.slices.iter().take(run.phases.len()).enumerate();
            slices.map(|(i, slice)| (time(i), of(slice))).collect()
        };
        runs.iter().map(|(system, run)| (system.name().to_owned(), points(run))).collect()
    };
    let marked = runs.iter().enumerate();
    let marked = marked.flat_map(|(number, (_, run))| run.snapshots.iter().map(move |(from, to)| (*from, *to, number)));
    Lines {
        title,
        x: Axis { name: "seconds".into(), logarithmic: false },
        panels: vec![
            Panel {
                y: Axis { name: "thousand commands/s".into(), logarithmic: false },
                series: series(|slice| slice.commands as f64 * 1e3 / SLICE_MICROS as f64),
            },
            Panel {
                y: Axis { name: "p99 of 100 ms, ms".into(), logarithmic: true },
                series: series(|slice| slice.micros(0.99) as f64 / 1e3),
            },
        ],
        marked: marked.collect(),
        mark: "bars at the foot: a snapshot is under way".into(),
    }
    .svg()
}
