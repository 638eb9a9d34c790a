//! The table of aims with what the stored figures say.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::report::{Report, replace_part};
use crate::table::figure;
use crate::{Arguments, Fallible};

/// The aims beside what the other commands have measured last
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {}

/// What an aim asks of its figure.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        }
    }
}

/// A line of the table.
struct Aim {
    figure: &'static str,
    aim: &'static str,
    bound: Bound,
    /// What was measured, each with its name; all must keep the bound.
    measured: fn(&Stored) -> Vec<(String, f64)>,
    unit: &'static str,
}

const AIMS: [Aim; 27] = [
    aim(
        "throughput, `relaxed`, pipeline 1, 50 connections, against Redis",
        ">= 1.0 (stretch 1.3)",
        Bound::AtLeast(1.0),
        |s| s.throughput(1, "ratio"),
        "",
    ),
    aim("throughput, pipeline 16", ">= 1.5 (stretch 2)", Bound::AtLeast(1.5), |s| s.throughput(16, "ratio"), ""),
    aim("throughput, pipeline 64", ">= 1.5 (stretch 2)", Bound::AtLeast(1.5), |s| s.throughput(64, "ratio"), ""),
    aim(
        "server CPU per million commands, pipeline 1, of Redis",
        "<= 1.0",
        Bound::AtMost(1.0),
        |s| s.throughput(1, "cpu_ratio"),
        "",
    ),
    aim("the same, pipeline 16", "<= 0.7", Bound::AtMost(0.7), |s| s.throughput(16, "cpu_ratio"), ""),
    aim("the same, pipeline 64", "<= 0.6", Bound::AtMost(0.6), |s| s.throughput(64, "cpu_ratio"), ""),
    aim(
        "`durable` against Redis `appendfsync always`, 50 connections, SET",
        ">= 2",
        Bound::AtLeast(2.0),
        |s| s.durable_against("redis, fsync always"),
        "",
    ),
    aim(
        "`durable` against own `relaxed`, SET, 50 connections",
        ">= 0.62 (stretch 0.8)",
        Bound::AtLeast(0.62),
        |s| s.durable_against("tanist relaxed"),
        "",
    ),
    aim(
        "GET p99 while 8 connections SET at level `durable`, against without them",
        "<= 2",
        Bound::AtMost(2.0),
        Stored::readers,
        "",
    ),
    aim(
        "p99 while shipping an image / before, SET at 80 % load, 1 GB",
        "<= 1.5 (stretch 1.1)",
        Bound::AtMost(1.5),
        |s| s.image("at ", "p99_ratio", 1.0),
        "",
    ),
    aim("throughput kept while shipping", ">= 0.9", Bound::AtLeast(0.9), |s| s.image("full", "kept", 1.0), ""),
    aim("freeze pause, max, per GB", "<= 100 us", Bound::AtMost(100.0), |s| s.image("", "pause_us_per_gb", 1.0), " us"),
    aim(
        "extra memory during a snapshot under full-speed uniform writes",
        "bounded by a setting; default <= 25 %",
        Bound::AtMost(25.0),
        |s| s.image("full", "extra_share", 100.0),
        " %",
    ),
    aim("image load, one core, page cache warm", ">= 1 GB/s", Bound::AtLeast(1000.0), Stored::load_image, " MB/s"),
    aim("bytes per key, 16 B key + 100 B value, 1 M", "<= 150", Bound::AtMost(150.0), Stored::memory, ""),
    aim(
        "bytes a member over those of 20 B, sorted set of 1 M, members and scores rising",
        "<= 26",
        Bound::AtMost(26.0),
        |s| s.overhead("sorted set, 20 B, rising"),
        "",
    ),
    aim("the same in random order", "<= 32", Bound::AtMost(32.0), |s| s.overhead("sorted set, 20 B, random"), ""),
    aim(
        "bytes an element over those of 32 B, list of 1 M",
        "<= 5",
        Bound::AtMost(5.0),
        |s| s.overhead("list, 32 B"),
        "",
    ),
    aim(
        "memory of 1 M hashes and sets of 10, of the better neighbour's",
        "<= 0.9",
        Bound::AtMost(0.9),
        |s| [s.memory_beside("hashes of 10, 6 B + 8 B"), s.memory_beside("sets of 10, 8 B")].concat(),
        "",
    ),
    aim(
        "memory of a hash of 1 M, 16 B + 64 B, of the better neighbour's",
        "<= 0.8",
        Bound::AtMost(0.8),
        |s| s.memory_beside("hash, 16 B + 64 B"),
        "",
    ),
    aim(
        "collections: server CPU per million commands, pipeline 1, of the better neighbour's",
        "<= 1.0",
        Bound::AtMost(1.0),
        |s| s.collections_beside(1),
        "",
    ),
    aim("collections: the same, pipeline 16", "<= 0.8", Bound::AtMost(0.8), |s| s.collections_beside(16), ""),
    aim("collections: the same, pipeline 64", "<= 0.7", Bound::AtMost(0.7), |s| s.collections_beside(64), ""),
    aim(
        "LINDEX and LSET in the middle of 10 M elements, time against at the end",
        "<= 2",
        Bound::AtMost(2.0),
        |s| [s.deep("LINDEX"), s.deep("LSET")].concat(),
        "",
    ),
    aim(
        "LINSERT in the middle of 10 M elements, rate against the better neighbour",
        ">= 3",
        Bound::AtLeast(3.0),
        Stored::linsert,
        "",
    ),
    aim(
        "writes to a large value of each type: p99.9 while an image is shipped / before",
        "<= 2",
        Bound::AtMost(2.0),
        |s| s.worst("p999_ratio", 1.0),
        "",
    ),
    aim(
        "its deletion: longest pause of another client",
        "<= 2 ms",
        Bound::AtMost(2.0),
        |s| s.worst("pause_us", 1e-3),
        " ms",
    ),
];

/// The last line, of which two figures come from one run.
const MICRO: Aim = aim(
    "micro: GET / SET on a live shard against a hash map behind the same lock",
    "<= 2.0 x",
    Bound::AtMost(2.0),
    Stored::micro,
    "",
);

const fn aim(
    figure: &'static str,
    aim: &'static str,
    bound: Bound,
    measured: fn(&Stored) -> Vec<(String, f64)>,
    unit: &'static str,
) -> Aim {
    Aim { figure, aim, bound, measured, unit }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it found")]
pub(crate) fn run(arguments: &Arguments, _: &Options) -> Fallible<()> {
    let stored = Stored(arguments.results.clone());
    let mut report = Report::new("summary", &["figure", "aim", "measured", "kept"]);
    for aim in AIMS.iter().chain([&MICRO]) {
        let measured = (aim.measured)(&stored);
        let kept = match measured.iter().filter(|(_, value)| aim.bound.holds(*value)).count() {
            _ if measured.is_empty() => "not measured".to_owned(),
            all if all == measured.len() => "yes".to_owned(),
            0 => "no".to_owned(),
            some => format!("{some} of {}", measured.len()),
        };
        let words = |(name, value): &(String, f64)| format!("{name} {}{}", figure(*value), aim.unit).trim().to_owned();
        let measured: Vec<String> = measured.iter().map(words).collect();
        report.table.row(&[aim.figure.into(), aim.aim.into(), measured.join(", "), kept]);
    }
    print!("{}", report.table.markdown());
    match &arguments.book {
        Some(book) => replace_part(book, "summary", &report.table.markdown()),
        None => Ok(()),
    }
}

/// The folder in which runs have left their figures.
struct Stored(std::path::PathBuf);

impl Stored {
    fn results(&self, name: &str) -> Vec<Value> {
        let path: &Path = &self.0.join(name).with_extension("json");
        let text = fs::read_to_string(path).unwrap_or_default();
        let stored: Value = serde_json::from_str(&text).unwrap_or_default();
        stored["results"].as_array().cloned().unwrap_or_default()
    }

    fn throughput(&self, pipeline: u64, field: &str) -> Vec<(String, f64)> {
        let results = self.results("throughput");
        let least = results.iter().filter_map(|row| row["keys"].as_u64()).min();
        let rows = results.iter().filter(|row| row["server"] == "tanist relaxed" && row["pipeline"] == pipeline);
        let rows = rows.filter(|row| row["keys"].as_u64() == least);
        rows.filter_map(|row| {
            let size = match row["value_bytes"].as_u64() {
                Some(100) | None => String::new(),
                Some(bytes) => format!(" {bytes} B"),
            };
            Some((format!("{}{size}", row["command"].as_str()?), row[field].as_f64()?))
        })
        .collect()
    }

    fn durable_against(&self, other: &str) -> Vec<(String, f64)> {
        let results = self.results("durable");
        let rate = |server: &str| {
            let row =
                results.iter().find(|row| row["load"] == "SET" && row["pipeline"] == 1 && row["server"] == server);
            row.and_then(|row| row["figures"]["per_second"].as_f64())
        };
        ratio(rate("tanist durable"), rate(other))
    }

    fn readers(&self) -> Vec<(String, f64)> {
        let results = self.results("durable");
        let p99 = |load: &str| {
            let is_it = |row: &&Value| {
                row["server"] == "tanist durable" && row["load"].as_str().is_some_and(|said| said.starts_with(load))
            };
            results.iter().find(is_it).and_then(|row| row["figures"]["p99_us"].as_f64())
        };
        ratio(p99("GET beside"), p99("GET alone"))
    }

    fn image(&self, load: &str, field: &str, scale: f64) -> Vec<(String, f64)> {
        let results = self.results("image");
        let rows = results.iter().filter(|row| row["server"] == "tanist relaxed");
        let rows = rows.filter(|row| row["load"].as_str().is_some_and(|said| said.starts_with(load)));
        rows.filter_map(|row| {
            Some((format!("{} GB {}:", row["gigabytes"], row["load"].as_str()?), row[field].as_f64()? * scale))
        })
        .collect()
    }

    fn load_image(&self) -> Vec<(String, f64)> {
        let results = self.results("load-image");
        let rows = results.iter().filter_map(|row| {
            let what = row["what"].as_str()?;
            let short = match what.strip_prefix("tanist") {
                Some(_) => "standby, all in all",
                None if what.ends_with("and check") => "engine alone",
                None => return None,
            };
            Some((format!("{} GB {short}:", row["gigabytes"]), row["megabytes_per_second"].as_f64()?))
        });
        rows.collect()
    }

    fn memory(&self) -> Vec<(String, f64)> {
        let of = |field: &str| self.memory_of("16 B + 100 B", "tanist relaxed", field);
        let named = |name: &str, value: Option<f64>| value.map(|value| (name.to_owned(), value));
        [named("in pages", of("in_pages")), named("resident", of("resident"))].into_iter().flatten().collect()
    }

    fn overhead(&self, shape: &str) -> Vec<(String, f64)> {
        let overhead = self.memory_of(shape, "tanist relaxed", "overhead");
        overhead.map(|value| (String::new(), value)).into_iter().collect()
    }

    /// Memory beside that of the neighbour that needs less.
    fn memory_beside(&self, shape: &str) -> Vec<(String, f64)> {
        let kind = shape.split([' ', ',']).next().unwrap_or_default();
        let of = |name: &str, field: &str| {
            let neighbours = ["redis", "valkey"].into_iter().filter_map(|server| self.memory_of(shape, server, field));
            let ours = self.memory_of(shape, "tanist relaxed", field)?;
            Some((format!("{kind} {name}"), ours / neighbours.min_by(f64::total_cmp)?))
        };
        [of("in pages", "in_pages"), of("resident", "resident")].into_iter().flatten().collect()
    }

    /// A figure of the memory of 1 M.
    fn memory_of(&self, shape: &str, server: &str, field: &str) -> Option<f64> {
        let results = self.results("memory");
        let is_it = |row: &&Value| row["server"] == server && row["shape"] == shape && row["keys"] == 1_000_000;
        results.iter().find(is_it).and_then(|row| row[field].as_f64())
    }

    /// Processor time of commands on collections, beside that of the neighbour that needs less.
    fn collections_beside(&self, pipeline: u64) -> Vec<(String, f64)> {
        let results = self.results("collections");
        let rows = || results.iter().filter(|row| row["pipeline"] == pipeline && row["deep"] == false);
        let cpu = |row: &Value| row["figures"]["cpu_per_million"].as_f64();
        let ours = rows().filter(|row| row["server"] == "tanist relaxed");
        ours.filter_map(|row| {
            let is_it = |other: &&Value| ["command", "large"].iter().all(|name| other[*name] == row[*name]);
            let neighbours = rows().filter(is_it).filter(|other| other["server"] != row["server"]).filter_map(cpu);
            let size = if row["large"] == true { "large" } else { "small" };
            let name = format!("{} {size}", row["command"].as_str()?);
            Some((name, cpu(row)? / neighbours.min_by(f64::total_cmp)?))
        })
        .collect()
    }

    /// Time of a command in the middle of a long list against the same at its end.
    fn deep(&self, command: &str) -> Vec<(String, f64)> {
        let time = |place: &str| Some(1.0 / self.rate_in_list(&format!("{command}, {place}"), "tanist relaxed")?);
        let ratio = ratio(time("middle"), time("end"));
        ratio.into_iter().map(|(_, ratio)| (command.to_owned(), ratio)).collect()
    }

    fn linsert(&self) -> Vec<(String, f64)> {
        let rate = |server: &&str| self.rate_in_list("LINSERT, middle", server);
        let neighbours = ["redis", "valkey"].iter().filter_map(rate).max_by(f64::total_cmp);
        ratio(rate(&"tanist relaxed"), neighbours)
    }

    fn rate_in_list(&self, command: &str, server: &str) -> Option<f64> {
        let results = self.results("collections");
        let row = results.iter().find(|row| row["command"] == command && row["server"] == server);
        row.and_then(|row| row["figures"]["per_second"].as_f64())
    }

    fn worst(&self, field: &str, scale: f64) -> Vec<(String, f64)> {
        let results = self.results("worst");
        let rows = results.iter().filter(|row| row["server"] == "tanist relaxed");
        rows.filter_map(|row| Some((row["writes"].as_str()?.to_owned(), row[field].as_f64()? * scale))).collect()
    }

    fn micro(&self) -> Vec<(String, f64)> {
        let results = self.results("micro");
        let of = |what: &str| {
            let row = results.iter().find(|row| row["what"] == what);
            row.and_then(|row| row["ratio"].as_f64()).map(|value| (what.to_uppercase(), value))
        };
        [of("get"), of("set")].into_iter().flatten().collect()
    }
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> Vec<(String, f64)> {
    ours.zip(theirs).map(|(ours, theirs)| (String::new(), ours / theirs)).into_iter().collect()
}
