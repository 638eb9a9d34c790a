//! Bytes per key, and per element of a collection.

mod shape;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tanist_plot::Bars;

use crate::load::{push_command, send_all};
use crate::report::Report;
use crate::system::{Server, System};
use crate::table::figure;
use crate::{Arguments, Fallible, machine};

use shape::Shape;

/// Bytes per key of several shapes and per element of collections, in pages and resident, also after deletes and refills
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000])]
    pub(crate) keys: Vec<u64>,
    /// Keys that are deleted and replaced after the first measurement
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) churn: u64,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Shape::ALL)]
    pub(crate) shapes: Vec<Shape>,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Redis, System::Valkey, System::TanistRelaxed])]
    pub(crate) systems: Vec<System>,
}

const HEADING: [&str; 10] = [
    "keys",
    "shape",
    "server",
    "data",
    "in pages",
    "over the data",
    "resident",
    "ratio",
    "in pages after churn",
    "resident after churn",
];

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<Report> {
    let mut report = Report::new("memory", &HEADING);
    for keys in &options.keys {
        let systems: Vec<System> = options.systems.iter().copied().filter(|system| system.is_there()).collect();
        let mut bars = Bars {
            title: format!("Resident memory, {keys} keys"),
            y: "bytes per key".into(),
            groups: Vec::new(),
            series: systems.iter().map(|system| (system.name().to_owned(), Vec::new())).collect(),
            line: None,
        };
        for shape in &options.shapes {
            if !systems.iter().all(|system| machine::has_room_for(system.memory_bytes(*keys, shape.value_bytes_max())))
            {
                report.notes.push(format!("{keys} keys of {}: more memory than this machine has.", shape.words()));
                continue;
            }
            bars.groups.push(shape.words().replace(" + ", " +\n"));
            let mut first = None;
            for (system, (_, series)) in systems.iter().zip(&mut bars.series) {
                let server = Server::start(&arguments.programs(), *system)?;
                let bytes = measure(&server, *shape, *keys, options.churn)?;
                let first = *first.get_or_insert(bytes[0].resident);
                add(&mut report, *keys, *shape, *system, bytes, first);
                series.push(bytes[0].resident);
            }
        }
        report.plots.push((format!("memory-{keys}"), bars.title.clone(), bars.svg()));
    }
    report.notes.push(format!(
        "*keys* are keys, small collections, or elements of the only large one. Bytes are those of a key, or of an element. *data* is what a \
         client has sent of it: key and value, or the element with its share of the key; of a sorted set the member without its \
         score. *churn*: {} keys were deleted in random order, half of all keys at a time, and as many others set.",
        options.churn
    ));
    Ok(report)
}

/// Bytes per key above an empty server.
#[derive(Clone, Copy)]
struct PerKey {
    in_pages: f64,
    resident: f64,
}

/// After the fill, and after the churn.
fn measure(server: &Server, shape: Shape, keys: u64, churn: u64) -> Fallible<[PerKey; 2]> {
    let empty = bytes(server)?;
    let per_key = || -> Fallible<PerKey> {
        let now = bytes(server)?;
        let of = |now: u64, empty: u64| now.saturating_sub(empty) as f64 / (keys * shape.units()) as f64;
        Ok(PerKey { in_pages: of(now.0, empty.0), resident: of(now.1, empty.1) })
    };
    send_all(server.port, 0..keys, |out, number| shape.push(out, number, keys))?;
    let full = per_key()?;
    if churn == 0 || !shape.is_plain() {
        return Ok([full, PerKey { in_pages: f64::NAN, resident: f64::NAN }]);
    }
    let mut live: Vec<u64> = (0..keys).collect();
    let mut rng = SmallRng::seed_from_u64(keys);
    let (half, mut next) = ((keys as usize).div_ceil(2), keys);
    while next < keys + churn {
        live.shuffle(&mut rng);
        let gone = &mut live[..half];
        send_all(server.port, 0..half as u64, |out, i| push_command(out, &[b"DEL", &shape.key(gone[i as usize])]))?;
        gone.iter_mut().for_each(|number| {
            *number = next;
            next += 1;
        });
        // New keys come in an order of their own.
        let turn = rng.random_range(0..half);
        gone.rotate_left(turn);
        send_all(server.port, 0..half as u64, |out, i| shape.push(out, gone[i as usize], keys))?;
    }
    Ok([full, per_key()?])
}

/// What the server counts as its data, and what the kernel counts.
fn bytes(server: &Server) -> Fallible<(u64, u64)> {
    let used = server.client()?.info_number("memory", "used_memory")?;
    Ok((used, server.resident().all))
}

fn add(report: &mut Report, keys: u64, shape: Shape, system: System, [full, churned]: [PerKey; 2], first: f64) {
    report.table.row(&[
        keys.to_string(),
        shape.words().into(),
        system.name().into(),
        figure(shape.data_bytes()),
        figure(full.in_pages),
        figure(full.in_pages - shape.data_bytes()),
        figure(full.resident),
        figure(full.resident / first),
        figure(churned.in_pages),
        figure(churned.resident),
    ]);
    report.results.push(json!({
        "keys": keys, "shape": shape.words(), "server": system.name(), "data": shape.data_bytes(),
        "in_pages": full.in_pages, "overhead": full.in_pages - shape.data_bytes(),
        "resident": full.resident, "ratio": full.resident / first,
        "in_pages_after_churn": churned.in_pages, "resident_after_churn": churned.resident,
    }));
}
